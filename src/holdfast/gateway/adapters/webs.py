"""The WebSocket sub-protocol `webs.v1`: sessions for clients that speak WEBS.

| from the client | becomes |
|---|---|
| connect, with a token or nothing | a session: the one of the token, or a new one |
| input | a line (UTF-8) or bytes |
| auth, JSON `{"username", "password"}` or `{"token"}` | a claim to be somebody |
| ping | a pong with its timestamp |
| disconnect | the end of the session |

| to the client | means |
|---|---|
| auth, JSON `{"session", "token"}` | the session; the token takes it up again |
| auth, JSON `{"login", "retry_ms"}` | say who you are; `login` is why the last try failed |
| display | an output |
| disconnect, JSON `{"code", "reason", "text", "retry_ms"}` | the connection ends |
| error, JSON `{"code", "message", "details"}` | what was wrong |
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from holdfast.core import items
from holdfast.core.items import Output
from holdfast.gateway.adapters.dialects import DialectError, Frames, Read, Reply
from holdfast.gateway.adapters.events import Capable, Enter, Left, LoginGiven
from holdfast.gateway.adapters.notifications import ViewerNotification
from holdfast.gateway.adapters.shown import notice, unforged
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols import webs
from holdfast.protocols.webs import ErrorCode, Fault, Message, Opcode
from holdfast.sessions.records import Capabilities

_encode: Final = msgspec.json.Encoder().encode
_NOT_SERVED: Final = frozenset({Opcode.DISPLAY, Opcode.FILESYSTEM, Opcode.NETWORK, Opcode.PROCESS})


class Auth(Struct, frozen=True):
    """A client's auth payload."""

    username: str = ""
    password: str = ""
    token: str = ""


_decode_auth: Final = msgspec.json.Decoder(Auth).decode


class WebsDialect:
    """One connection's messages. `wall_ns` is the time in Unix nanoseconds."""

    numbered = False

    def __init__(self, payload_bytes_max: int, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._decoder = webs.Decoder(payload_bytes_max)
        self._wall_ns = wall_ns

    # --- inbound

    @property
    def pending(self) -> int:
        return self._decoder.pending

    def read(self, message: str | bytes) -> list[Read]:
        if isinstance(message, str):
            raise DialectError("expected a binary message, found a text one")
        events: list[Read] = []
        for found in self._decoder.receive_data(message):
            if isinstance(found, Fault):
                raise DialectError(found.text, self._error(found.code, found.text))
            events += self._translate(found)
        return events

    def _translate(self, message: Message) -> list[Read]:
        match message.opcode:
            case Opcode.INPUT:
                return [_input(message.payload)]
            case Opcode.CONNECT:
                return self._connect(message.payload)
            case Opcode.AUTH:
                return [self._auth(message.payload)]
            case Opcode.PING:
                return [Reply(webs.encode(Message(Opcode.PONG, message.timestamp)))]
            case Opcode.DISCONNECT:
                return [Left(done=True)]
            case opcode if opcode in _NOT_SERVED:
                text = f"{opcode.name.lower()} is not served here"
                return [Reply(self._error(ErrorCode.BAD_OPCODE, text))]
            case _:
                return []  # a pong is life enough; an error of the client's is for its owner

    def _connect(self, payload: bytes) -> list[Read]:
        try:
            token = payload.decode("ascii")
        except UnicodeDecodeError as error:
            raise DialectError("connect: expected a token or nothing") from error
        return [Capable(Capabilities(client="webs", binary=True)), Enter(token=token, or_new=True)]

    def _auth(self, payload: bytes) -> LoginGiven:
        try:
            claim = _decode_auth(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DialectError(f"auth: {error}") from error
        return LoginGiven(claim.username, claim.password, claim.token)

    def viewing(self, core: Frames, told: ViewerNotification) -> bytes:
        return b""

    def snapshot(self) -> bytes | None:
        return self._decoder.snapshot()

    def restore(self, taken: bytes | None) -> None:
        self._decoder.restore(taken)

    # --- outbound

    def write(self, core: Frames, first: int, outputs: Sequence[Output | None]) -> bytes:
        now = self._wall_ns()
        displayed = [
            webs.encode(Message(Opcode.DISPLAY, now, payload))
            for output in outputs
            if output is not None and (payload := _payload(output))
        ]
        return core.encode_binary(b"".join(displayed)) if displayed else b""

    def volatile(self, core: Frames, item: Output) -> bytes:
        return self.write(core, 0, (item,))

    def frame(self, core: Frames, message: wire.ServerMessage) -> bytes:
        """Encode a message of the gateway as WEBS; empty if WEBS lacks it."""
        match message:
            case wire.Welcome() | wire.Resumed() | wire.Reset():
                said = self._say(Opcode.AUTH, {"session": message.sid, "token": message.token})
            case wire.Login(error, retry_ms):
                said = self._say(Opcode.AUTH, {"login": error, "retry_ms": retry_ms})
            case wire.Bye(code, reason, text, retry_ms):
                said = self._say(
                    Opcode.DISCONNECT,
                    {"code": code, "reason": reason, "text": text, "retry_ms": retry_ms},
                )
            case wire.Refused(text) | wire.Offer(text):
                said = self._say(Opcode.DISPLAY, text)
            case _:
                return b""
        return core.encode_binary(said)

    def _say(self, opcode: Opcode, value: Any) -> bytes:
        payload = value.encode() if isinstance(value, str) else _encode(value)
        return webs.encode(Message(opcode, self._wall_ns(), payload))

    def _error(self, code: ErrorCode, text: str) -> bytes:
        message = code.name.lower().replace("_", " ")
        return self._say(Opcode.ERROR, {"code": code, "message": message, "details": text})


def _input(payload: bytes) -> items.Text | items.Binary:
    try:
        return items.Text(payload.decode())
    except UnicodeDecodeError:
        return items.Binary(payload)


def _payload(output: Output) -> bytes:
    """The text of an output for a display, which cannot distinguish data from text."""
    match output:
        case items.Text(text) | items.Formatted(text, _) | items.Prompt(text):
            return unforged(text).encode()
        case items.Notice(text):
            return notice(text).encode()
        case items.Binary(data):
            return data
        case items.Data():
            return b""
