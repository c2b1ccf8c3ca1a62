"""What a session's specification can do."""

from __future__ import annotations

from holdfast.vtc.commands.top.session import EXAMPLE
from holdfast.vtc.commands.ws.talk import close
from holdfast.vtc.errors import Failure
from holdfast.vtc.interpreter import Scope
from holdfast.vtc.numbers import whole
from holdfast.vtc.source import Token
from holdfast.vtc.talk.commands import Sent, commands
from holdfast.vtc.talk.conversation import json_in, text_of
from holdfast.vtc.talk.session import SessionTalk

SessionScope = Scope[SessionTalk]


async def _command(scope: SessionScope, words: list[Token]) -> None:
    scope.subject.client.command(text_of(words[0]))


async def _data(scope: SessionScope, words: list[Token]) -> None:
    value = json_in(text_of(words[1]))
    if value is None and words[1] != "null":
        raise Failure("tx data: this is not JSON", words[1].position())
    scope.subject.client.data(text_of(words[0]), value)


async def _interrupt(scope: SessionScope, words: list[Token]) -> None:
    scope.subject.client.interrupt()


async def _ack(scope: SessionScope, words: list[Token]) -> None:
    scope.subject.client.acknowledge()


async def _ping(scope: SessionScope, words: list[Token]) -> None:
    scope.subject.client.ping()


async def _resize(scope: SessionScope, words: list[Token]) -> None:
    width, height = map(whole, words)
    if width is None or height is None:
        raise Failure("tx resize: expected two numbers", words[0].position())
    scope.subject.client.resize(width, height)


async def _login(scope: SessionScope, words: list[Token]) -> None:
    scope.subject.client.login(text_of(words[0]), text_of(words[1]))


async def _profile(scope: SessionScope, words: list[Token]) -> None:
    scope.subject.client.choose(profile=text_of(words[0]))


async def _new_profile(scope: SessionScope, words: list[Token]) -> None:
    scope.subject.client.choose(name=text_of(words[0]))


async def _code(scope: SessionScope, words: list[Token]) -> None:
    scope.subject.client.ask_code()


async def _resume(scope: SessionScope, words: list[Token]) -> None:
    scope.subject.client.take_offer()


async def _quit(scope: SessionScope, words: list[Token]) -> None:
    scope.subject.client.quit()


COMMANDS = commands(
    sent={
        "command": Sent("STRING", "is a line, numbered and sent again until it is kept", _command),
        "data": Sent("PACKAGE JSON", "is a structured message, likewise", _data),
        "interrupt": Sent("", "asks for what is running to stop, likewise", _interrupt),
        "ack": Sent("", "acknowledges what has come", _ack),
        "ping": Sent("", "asks for a `pong`", _ping),
        "resize": Sent("WIDTH HEIGHT", "tells the size of the screen", _resize),
        "login": Sent("NAME PASSWORD", "answers `login`", _login),
        "profile": Sent("ID", "chooses one of the `profiles`", _profile),
        "new-profile": Sent("NAME", "asks for another one", _new_profile),
        "code": Sent("", "asks for a resume code", _code),
        "resume": Sent("", "takes up what was offered", _resume),
        "quit": Sent("", "ends the session", _quit),
        "close": Sent("[CODE] [REASON]", "closes the connection only, 1000 if no code", close),
    },
    received={
        "welcome": "begins a new session",
        "resumed": "goes on with one, and nothing is lost",
        "reset": "goes on with one that has lost output; its text is the reason",
        "text": "is output, as are `formatted`, `prompt`, `data`, `binary`, `notice`",
        "formatted": "has `rx.json.s`",
        "prompt": "stands before the cursor",
        "data": "has `rx.json.p` and `rx.json.d`",
        "binary": "is base64",
        "notice": "is a line of the application's that is set apart",
        "login": "asks for one; its text is what was wrong with the last",
        "profiles": "asks to choose",
        "offer": "offers another session of the same user",
        "code": "is a resume code",
        "refused": "says why a token or a code gives no session",
        "bye": "says why the connection ends",
        "close": "is the WebSocket's Close frame, `CODE REASON`",
        "remark": "is a line of the gateway's own; it is never in the way if it is not asked for, "
        "nor are the following",
        "ack": "says which commands are kept",
        "resend": "asks for commands again",
        "skip": "says which outputs newer ones have replaced",
        "pong": "answers a ping",
        "ping": "is the WebSocket's, and answered by itself",
        "mode": "is how typing is to be taken",
    },
    values={"ws.code": "the code of the Close frame"},
    example=EXAMPLE,
)
