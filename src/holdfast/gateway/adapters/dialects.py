"""How items are written into WebSocket messages: the sub-protocol, or plain text. Hot path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

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
from holdfast.sessions.position import ClientPosition
from holdfast.sessions.records import Capabilities

_TRUE_COLOR = 1 << 24
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for malformed input: MessagePack may hold bad UTF-8, and both deep nests."""
_NOT_JSON = (*_UNREADABLE, TypeError)
_NOT_PASSED_ON = (*_UNREADABLE, OverflowError)


_NUMBER_KEYS: Final = (b'"n":', b"\xa1n")
"""What stands before the number of an output, in JSON and in MessagePack: its first digit is the
byte behind it."""
_SHARED_CHARS_MIN: Final = 1024
_UNSPLIT: Final = frozenset({type(None), items.Notice})
"""Outputs whose messages do not begin with their number."""


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


class Frames(Protocol):
    """How the messages of a connection are framed: `ServerConnection`, for a WebSocket."""

    @property
    def deflate(self) -> object:
        """What compresses a message by those before it; `None` where a frame is the same for
        all."""

    def encode_text(self, text: bytes) -> bytes:
        """A text message, in UTF-8, as one frame, for the caller to write."""

    def encode_binary(self, data: bytes) -> bytes:
        """A binary message as one frame, for the caller to write."""


class Dialect(Protocol):
    """What a WebSocket's messages mean."""

    numbered: bool

    @property
    def pending(self) -> int:
        """The bytes of a message that is not read yet, where one goes over several frames."""

    def read(self, message: str | bytes) -> list[Read]:
        """The events in one message. Raises `DialectError`."""

    def write(self, core: Frames, first: int, outputs: Sequence[Output | None]) -> bytes:
        """Frames for outputs numbered from `first` on."""

    def volatile(self, core: Frames, item: Output) -> bytes:
        """A frame for an output without a number; empty if it cannot be shown."""

    def frame(self, core: Frames, message: wire.ServerMessage) -> bytes:
        """Encode a message of the gateway itself as a frame; empty if the dialect lacks it."""

    def viewing(self, core: Frames, told: ViewerNotification) -> bytes:
        """A frame that tells of viewers, or tells a viewer; empty if the dialect has none."""

    def snapshot(self) -> bytes | None:
        """The part of a message that is not read yet, where one goes over several frames; `None`
        after a `DialectError`."""

    def restore(self, taken: bytes | None) -> None:
        """Go on where `taken` was made."""


class WholeMessages:
    """A dialect that keeps nothing of a message, and knows no viewers."""

    __slots__ = ()

    pending = 0

    def viewing(self, core: Frames, told: ViewerNotification) -> bytes:
        return b""

    def snapshot(self) -> bytes | None:
        return b""

    def restore(self, taken: bytes | None) -> None:
        pass


class PlainDialect(WholeMessages):
    """Text frames are lines, both ways; nothing is numbered.

    Many clients get the same outputs one after the other: what was encoded last is kept.
    """

    __slots__ = ("_frames", "_outputs")

    numbered = False

    def __init__(self) -> None:
        self._outputs: Sequence[Output | None] = ()
        self._frames = b""
        """The frames of these outputs."""

    def read(self, message: str | bytes) -> list[Read]:
        return [items.Text(message) if type(message) is str else items.Binary(message)]  # type: ignore[arg-type]

    def write(self, core: Frames, first: int, outputs: Sequence[Output | None]) -> bytes:
        if core.deflate is not None:
            return self._write(core, outputs)
        if outputs != self._outputs:
            self._frames = self._write(core, outputs)
            self._outputs = outputs
        return self._frames

    def _write(self, core: Frames, outputs: Sequence[Output | None]) -> bytes:
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

    def volatile(self, core: Frames, item: Output) -> bytes:
        return self.write(core, 0, (item,))

    def frame(self, core: Frames, message: wire.ServerMessage) -> bytes:
        return b""

    def _other(self, core: Frames, output: Output) -> bytes:
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
    """The sub-protocol `holdfast.v1`, as JSON or as MessagePack.

    Many clients get the same outputs one after the other, each with numbers of its own. What stands
    around the numbers is kept, unless it is a short text, which is encoded in less time.
    """

    __slots__ = ("_decode", "_encode", "_msgpack", "_outputs", "_parts")

    numbered = True

    def __init__(self, *, msgpack: bool) -> None:
        self._msgpack = msgpack
        self._outputs: Sequence[Output | None] = ()
        """What was written last."""
        self._parts: list[tuple[bytes, bytes]] | None = None
        """What stands before and behind the numbers of these outputs, once they come again."""
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

    def write(self, core: Frames, first: int, outputs: Sequence[Output | None]) -> bytes:
        frames = []
        encode = self._encode
        frame = core.encode_binary if self._msgpack else core.encode_text
        if len(outputs) == 1 and type(outputs[0]) is items.Text:
            text = outputs[0].text
            if len(text) < _SHARED_CHARS_MIN:  # the usual case, in few steps
                return frame(encode(wire.Text(first, text)))
        if outputs == self._outputs and self._is_split(outputs):
            return self._write_again(frame, first)
        self._outputs, self._parts = outputs, None
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

    def _is_split(self, outputs: Sequence[Output | None]) -> bool:
        """Whether `_parts` are there now."""
        if self._parts is not None:
            return True
        if any(type(output) in _UNSPLIT for output in outputs):
            return False
        key = _NUMBER_KEYS[self._msgpack]
        parts = self._parts = []
        for output in outputs:
            assert output is not None
            encoded = self._encode(self._message(0, output))
            before = encoded.index(key) + len(key)
            parts.append((encoded[:before], encoded[before + 1 :]))
        return True

    def _write_again(self, frame: Callable[[bytes], bytes], first: int) -> bytes:
        encode, parts = self._encode, self._parts
        assert parts is not None
        return b"".join(
            [
                frame(before + encode(number) + behind)
                for number, (before, behind) in enumerate(parts, first)
            ]
        )

    def volatile(self, core: Frames, item: Output) -> bytes:
        text = item.text if isinstance(item, items.Notice | items.Text | items.Prompt) else ""
        return self.frame(core, wire.Notice(text)) if text else b""

    def frame(self, core: Frames, message: wire.ServerMessage) -> bytes:
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
        except _NOT_JSON as error:  # JSON has not all that MessagePack has
            raise DialectError(f"cannot be JSON: {error}") from error

    def _from_json(self, json: str) -> Raw:
        try:
            if not self._msgpack:
                return msgspec.json.decode(json, type=Raw)
            return Raw(msgspec.msgpack.encode(msgspec.json.decode(json)))
        except _NOT_PASSED_ON:
            # What is not JSON, or no MessagePack could hold, is passed on as text, not lost.
            return Raw(self._encode(json))
