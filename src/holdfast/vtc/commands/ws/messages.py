"""The commands of a WebSocket's specification."""

from __future__ import annotations

from typing import TypeVar

from holdfast.protocols.websocket import CloseCode
from holdfast.vtc.commands.http.ws import EXAMPLE
from holdfast.vtc.dialogue.commands import SendableMessage, commands
from holdfast.vtc.dialogue.conversation import text_of
from holdfast.vtc.dialogue.websocket import WebSocketConversation
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import unhex, whole
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.scope import Scope

W = TypeVar("W", bound=WebSocketConversation)
WsScope = Scope[WebSocketConversation]


async def _text(scope: WsScope, words: list[Token]) -> None:
    core = scope.subject.core
    core.queue(core.encode_text(text_of(words[0]).encode()))


async def _binary(scope: WsScope, words: list[Token]) -> None:
    data = unhex(words[0])
    if data is None:
        raise Failure("Illegal hex string", words[0].position())
    core = scope.subject.core
    core.queue(core.encode_binary(data))


async def _ping(scope: WsScope, words: list[Token]) -> None:
    scope.subject.core.ping(words[0].encode(ENCODING) if words else b"")


async def close(scope: Scope[W], words: list[Token]) -> None:
    """Begin the closing handshake, with the code and the reason that are given."""
    code = whole(words[0]) if words else CloseCode.NORMAL
    if code is None:
        raise Failure(f"tx close: found {words[0]}, expected a number", words[0].position())
    scope.subject.core.close(code, text_of(words[1]) if len(words) > 1 else "")


COMMANDS = commands(
    sent={
        "text": SendableMessage("STRING", "A text message.", _text),
        "binary": SendableMessage("HEXDIGITS", "A binary message.", _binary),
        "ping": SendableMessage("[STRING]", "Ask for a pong.", _ping),
        "close": SendableMessage(
            "[CODE] [REASON]", "Begin the closing handshake, with 1000 if no code is given.", close
        ),
    },
    received={
        "text": "A text message.",
        "binary": "A binary message; its text is in hexadecimal.",
        "close": "The peer's Close frame; its text is `CODE REASON`. It is answered by itself.",
        "ping": "May come at any time and is never in the way; it is answered by itself.",
        "pong": "The answer to a ping; it is never in the way.",
    },
    values={
        "ws.protocol": "the sub-protocol",
        "ws.code": "the code of the peer's Close frame",
        "ws.http.NAME": "a field of the peer's part of the handshake",
    },
    example=EXAMPLE,
)
