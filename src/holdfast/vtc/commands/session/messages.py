"""The commands of a session's specification."""

from __future__ import annotations

from holdfast.vtc.commands.top.session import EXAMPLE
from holdfast.vtc.commands.ws.messages import close
from holdfast.vtc.dialogue.commands import SendableMessage, commands
from holdfast.vtc.dialogue.conversation import json_in, text_of
from holdfast.vtc.dialogue.session_connection import SessionConnection
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import whole
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.scope import Scope

SessionScope = Scope[SessionConnection]


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
        "command": SendableMessage(
            "STRING", "A line, numbered and sent again until it is kept.", _command
        ),
        "data": SendableMessage("PACKAGE JSON", "A structured message, likewise.", _data),
        "interrupt": SendableMessage("", "Ask for what is running to stop, likewise.", _interrupt),
        "ack": SendableMessage("", "Acknowledge what was received.", _ack),
        "ping": SendableMessage("", "Ask for a `pong`.", _ping),
        "resize": SendableMessage("WIDTH HEIGHT", "The size of the screen.", _resize),
        "login": SendableMessage("NAME PASSWORD", "Answer `login`.", _login),
        "profile": SendableMessage("ID", "Choose one of the `profiles`.", _profile),
        "new-profile": SendableMessage("NAME", "Ask for another one.", _new_profile),
        "code": SendableMessage("", "Ask for a resume code.", _code),
        "resume": SendableMessage("", "Take up what was offered.", _resume),
        "quit": SendableMessage("", "End the session.", _quit),
        "close": SendableMessage(
            "[CODE] [REASON]", "Close the connection only, with 1000 if no code is given.", close
        ),
    },
    received={
        "welcome": "A new session begins.",
        "resumed": "The session goes on, and nothing is lost.",
        "reset": "The session goes on, and output was lost; its text is the reason.",
        "text": "Output.",
        "formatted": "Output; `rx.json.s` has its styles.",
        "prompt": "What stands before the cursor.",
        "data": "A structured message, in `rx.json.p` and `rx.json.d`.",
        "binary": "Bytes, in base64.",
        "notice": "A line of the application's that is set apart.",
        "login": "The person must log in; its text is what was wrong with the last try.",
        "profiles": "The person must choose.",
        "offer": "There is another session of the same user.",
        "code": "A resume code.",
        "refused": "Why a token or a code gives no session.",
        "bye": "Why the connection ends.",
        "close": "The WebSocket's Close frame; its text is `CODE REASON`.",
        "remark": "A line of the gateway's own. It is never in the way, nor are the following.",
        "ack": "Which commands are kept.",
        "resend": "Commands are asked for again.",
        "skip": "Which outputs newer ones have replaced.",
        "pong": "The answer to a ping.",
        "ping": "The WebSocket's; it is answered by itself.",
        "mode": "How typing is to be taken.",
        "token": "A newer token of the same session, which has become a user's.",
    },
    values={"ws.code": "the code of the Close frame"},
    example=EXAMPLE,
)
