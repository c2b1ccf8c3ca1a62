"""How items are written into WebSocket messages: the sub-protocol, or plain text. Hot path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from holdfast.core import items
from holdfast.core.items import Output, Resized
from holdfast.gateway.adapters.events import (
    Ack,
    Capable,
    CodeWanted,
    CredentialGiven,
    Enter,
    Event,
    Left,
    LoginGiven,
    Numbered,
    ProfileWanted,
    ResumeOwn,
)
from holdfast.gateway.adapters.notifications import ViewerNotification
from holdfast.gateway.adapters.shown import notice, unforged
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols.websocket import ServerConnection
from holdfast.sessions.position import ClientPosition
from holdfast.sessions.records import Capabilities

_TRUE_COLOR = 1 << 24
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for malformed input: MessagePack may hold bad UTF-8, and both deep nests."""


class DialectError(Exception):
    """A message that the dialect does not know. Says what was found and expected.

    `reply` is a message that tells the client so, in its own words.
    """

    def __init__(self, text: str, reply: bytes = b"") -> None:
        super().__init__(text)
        self.reply = reply


class Ping(msgspec.Struct, frozen=True, gc=False):
    """A sign of life that the dialect answers itself."""


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A binary message that the dialect answers with."""

    data: bytes


Read = Event | Ping | Reply


class Dialect(Protocol):
    """What a WebSocket's messages mean."""

    numbered: bool

    def read(self, message: str | bytes) -> list[Read]:
        """The events in one message. Raises `DialectError`."""

    def write(self, core: ServerConnection, first: int, outputs: Sequence[Output | None]) -> bytes:
        """Frames for outputs numbered from `first` on."""

    def volatile(self, core: ServerConnection, item: Output) -> bytes:
        """A frame for an output without a number; empty if it cannot be shown."""

    def frame(self, core: ServerConnection, message: wire.ServerMessage) -> bytes:
        """Encode a message of the gateway itself as a frame; empty if the dialect lacks it."""

    def viewing(self, core: ServerConnection, told: ViewerNotification) -> bytes:
        """A frame that tells of viewers, or tells a viewer; empty if the dialect has none."""

    def snapshot(self) -> bytes | None:
        """The part of a message that is not read yet, where one goes over several frames; `None`
        after a `DialectError`."""

    def restore(self, taken: bytes | None) -> None:
        """Go on where `taken` was made."""


class WholeMessages:
    """A dialect that keeps nothing of a message, and knows no viewers."""

    __slots__ = ()

    def viewing(self, core: ServerConnection, told: ViewerNotification) -> bytes:
        return b""

    def snapshot(self) -> bytes | None:
        return b""

    def restore(self, taken: bytes | None) -> None:
        pass


class PlainDialect(WholeMessages):
    """Text frames are lines, both ways; nothing is numbered."""

    numbered = False

    def read(self, message: str | bytes) -> list[Read]:
        return [items.Text(message) if type(message) is str else items.Binary(message)]  # type: ignore[arg-type]

    def write(self, core: ServerConnection, first: int, outputs: Sequence[Output | None]) -> bytes:
        encode = core.encode_text
        return b"".join(
            [
                encode((unforged(text) if "*" in (text := output.text) else text).encode())
                if type(output) is items.Text
                else self._other(core, output)
                for output in outputs
                if output is not None
            ]
        )

    def volatile(self, core: ServerConnection, item: Output) -> bytes:
        return self.write(core, 0, (item,))

    def frame(self, core: ServerConnection, message: wire.ServerMessage) -> bytes:
        return b""

    def _other(self, core: ServerConnection, output: Output) -> bytes:
        match output:
            case items.Text(text) | items.Formatted(text, _) | items.Prompt(text):
                return core.encode_text(unforged(text).encode())
            case items.Notice(text):
                return core.encode_text(notice(text).encode())
            case items.Binary(data):
                return core.encode_binary(data)
            case items.Data():
                return b""  # there is no way to tell it from text


class HoldfastDialect(WholeMessages):
    """The sub-protocol `holdfast.v1`, as JSON or as MessagePack."""

    numbered = True

    def __init__(self, *, msgpack: bool) -> None:
        self._msgpack = msgpack
        if msgpack:
            self._encode = msgspec.msgpack.Encoder().encode
            self._decode: Any = msgspec.msgpack.Decoder(wire.ClientMessage).decode
        else:
            self._encode = msgspec.json.Encoder().encode
            self._decode = msgspec.json.Decoder(wire.ClientMessage).decode

    # --- inbound

    def read(self, message: str | bytes) -> list[Read]:
        if isinstance(message, str) is self._msgpack:
            found, wanted = ("text", "binary") if self._msgpack else ("binary", "text")
            raise DialectError(f"expected a {wanted} message, found a {found} one")
        try:
            decoded = self._decode(message)
        except _UNREADABLE as error:
            raise DialectError(str(error)) from error
        if type(decoded) is wire.Command:
            return [Numbered(decoded.c, items.Text(decoded.d))]
        return self._read_other(decoded)

    def _read_other(self, message: wire.ClientMessage) -> list[Read]:  # noqa: C901 - one case a message
        match message:
            case wire.Ack(n):
                return [Ack(n)]
            case wire.Ping(n):
                return [Ack(n), Ping()] if n else [Ping()]
            case wire.Command(c, d):
                return [Numbered(c, items.Text(d))]
            case wire.DataCommand(c, p, d):
                return [Numbered(c, items.Data(p, self._to_json(d)))]
            case wire.BinaryCommand(c, d):
                return [Numbered(c, items.Binary(d))]
            case wire.InterruptCommand(c):
                return [Numbered(c, items.Interrupt())]
            case wire.Resize(width, height):
                return [Resized(width, height)]
            case wire.Hello():
                return self._read_hello(message)
            case wire.LoginClaim(username, password, token):
                return [LoginGiven(username, password, token)]
            case wire.AuthClaim(token):
                return [CredentialGiven(token)]
            case wire.Profile(id_, name, properties):
                return [ProfileWanted(id_, name, properties)]
            case wire.ResumeOwn():
                return [ResumeOwn()]
            case wire.CodeWanted():
                return [CodeWanted()]
            case wire.Quit():
                return [Left(done=True)]

    def _read_hello(self, hello: wire.Hello) -> list[Read]:
        capabilities = Capabilities(
            client=hello.client,
            width=hello.width,
            height=hello.height,
            colors=_TRUE_COLOR,
            data=True,
            binary=hello.binary or self._msgpack,
        )
        position = ClientPosition(hello.epoch, hello.last) if hello.epoch else None
        enter = Enter(
            hello.token,
            hello.code,
            position,
            hello.attempt,
            acked=hello.acked,
            credential=hello.auth,
        )
        return [Capable(capabilities), enter]

    # --- outbound

    def write(self, core: ServerConnection, first: int, outputs: Sequence[Output | None]) -> bytes:
        frames = []
        encode = self._encode
        frame = core.encode_binary if self._msgpack else core.encode_text
        skipped = 0
        for number, output in enumerate(outputs, first):
            if output is None:
                skipped = number
                continue
            if skipped:
                # The client counts outputs: it gets the skipped number before the next one.
                frames.append(frame(encode(wire.Skip(skipped))))
                skipped = 0
            if type(output) is items.Text:
                frames.append(frame(encode(wire.Text(number, output.text))))
            else:
                frames.append(frame(encode(self._message(number, output))))
        if skipped:
            frames.append(frame(encode(wire.Skip(skipped))))
        return b"".join(frames)

    def volatile(self, core: ServerConnection, item: Output) -> bytes:
        text = item.text if isinstance(item, items.Notice | items.Text | items.Prompt) else ""
        return self.frame(core, wire.Notice(text)) if text else b""

    def frame(self, core: ServerConnection, message: wire.ServerMessage) -> bytes:
        """Encode one message of the gateway itself."""
        encoded = self._encode(message)
        return core.encode_binary(encoded) if self._msgpack else core.encode_text(encoded)

    def _message(self, n: int, output: Output) -> wire.ServerMessage:
        match output:
            case items.Text(text):
                return wire.Text(n, text)
            case items.Formatted(text, spans):
                return wire.Formatted(n, text, spans)
            case items.Data(package, json):
                return wire.Data(n, package, self._from_json(json))
            case items.Prompt(text):
                return wire.Prompt(n, text)
            case items.Binary(data):
                return wire.Binary(n, data)
            case items.Notice(text):
                return wire.Notice(text, n)

    def _to_json(self, value: Raw) -> str:
        if not self._msgpack:
            return bytes(value).decode()
        try:
            return msgspec.json.encode(msgspec.msgpack.decode(value)).decode()
        except (*_UNREADABLE, TypeError) as error:  # JSON has not all that MessagePack has
            raise DialectError(f"cannot be JSON: {error}") from error

    def _from_json(self, json: str) -> Raw:
        try:
            if not self._msgpack:
                return msgspec.json.decode(json, type=Raw)
            return Raw(msgspec.msgpack.encode(msgspec.json.decode(json)))
        except (*_UNREADABLE, OverflowError):
            # What is not JSON, or no MessagePack could hold, is passed on as text, not lost.
            return Raw(self._encode(json))
