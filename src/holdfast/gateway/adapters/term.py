"""The sub-protocol `holdfast.term.v1` as a dialect of a WebSocket. Hot path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import structs

from holdfast.core import items
from holdfast.core.items import Output, Resized
from holdfast.core.limits import KIB
from holdfast.gateway.adapters.dialects import (
    DialectError,
    Frames,
    Ping,
    Read,
    WholeMessages,
)
from holdfast.gateway.adapters.events import (
    Ack,
    Capable,
    CodeWanted,
    Enter,
    InvitationRevoked,
    InvitationWanted,
    Left,
    Numbered,
    Watch,
)
from holdfast.gateway.adapters.notifications import (
    InvitationIssued,
    ViewerNotification,
    ViewersChanged,
    WatchedResized,
    Watching,
)
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols import term
from holdfast.sessions.position import ClientPosition
from holdfast.sessions.records import Capabilities

PACKAGE: Final = "Terminal."
"""`Data` of this package is a message: `Terminal.Exit` with its JSON object is `exit`."""
_FRAME_BYTES_MAX: Final = 64 * KIB
_TRUE_COLOR: Final = 1 << 24

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(term.ClientMessage).decode


class TermDialect(WholeMessages):
    """One connection's messages."""

    numbered = True

    def __init__(self) -> None:
        self._n = 0
        """The offset that the client said to be at."""

    # --- inbound

    def read(self, message: str | bytes) -> list[Read]:
        if type(message) is bytes:
            try:
                c, data = term.read_input(message)
            except term.TermError as error:
                raise DialectError(str(error)) from error
            return [Numbered(c, items.Binary(data))]
        try:
            decoded = _decode(message)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DialectError(str(error)) from error
        if type(decoded) is term.Ack:
            return [Ack(decoded.n)]
        return self._read_other(decoded)

    def _read_other(self, message: term.ClientMessage) -> list[Read]:  # noqa: C901 - one case a message
        match message:
            case term.Ack(n):
                return [Ack(n)]
            case term.Answer(c, text):
                return [Numbered(c, items.Text(text))]
            case term.Signal(c, name):
                return [Numbered(c, items.Data(f"{PACKAGE}Signal", _encode(name).decode()))]
            case term.Resize(cols, rows):
                return [Resized(cols, rows)]
            case term.Open():
                return [_capable(message), Enter(attempt=message.attempt)]
            case term.Attach():
                return self._attach(message)
            case term.Invite(seconds):
                return [InvitationWanted(seconds)]
            case term.Revoke(id_):
                return [InvitationRevoked(id_)]
            case term.Watch(token, n):
                return [Watch(token, n)]
            case term.AskCode():
                return [CodeWanted()]
            case term.Close():
                return [Left(done=True)]
            case term.Ping():
                return [Ping()]

    def _attach(self, attach: term.Attach) -> list[Read]:
        self._n = attach.n
        position = ClientPosition("", attach.n)
        token, code = attach.token, attach.code
        enter = Enter(token, code, position, attach.attempt, acked=attach.acked)
        return [_capable(attach), enter]

    # --- outbound

    def write(self, core: Frames, first: int, outputs: Sequence[Output | None]) -> bytes:
        frames: list[bytes] = []
        parts: list[bytes] = []
        size = 0
        for output in outputs:
            if type(output) is not items.Binary:
                continue
            if size + len(output.data) > _FRAME_BYTES_MAX and parts:
                frames.append(core.encode_binary(b"".join(parts)))
                parts = []
                size = 0
            parts.append(output.data)
            size += len(output.data)
        if parts:
            frames.append(core.encode_binary(parts[0] if len(parts) == 1 else b"".join(parts)))
        return b"".join(frames) if len(frames) != 1 else frames[0]

    def volatile(self, core: Frames, item: Output) -> bytes:
        match item:
            case items.Notice(text) | items.Text(text) | items.Formatted(text, _):
                return core.encode_text(_encode(term.Notify(text)))
            case items.Data(package, json) if package.startswith(PACKAGE):
                return core.encode_text(_message(package.removeprefix(PACKAGE), json))
            case items.Binary(data):
                return core.encode_text(_encode(term.Screen(data.decode("latin-1"))))
            case _:
                return b""  # a prompt is sent as data, with its other fields

    def frame(self, core: Frames, message: wire.ServerMessage) -> bytes:
        told = self._told(message)
        return core.encode_text(_encode(told)) if told is not None else b""

    def viewing(self, core: Frames, told: ViewerNotification) -> bytes:
        return core.encode_text(_encode(_viewing(told)))

    def _told(self, message: wire.ServerMessage) -> term.ServerMessage | None:  # noqa: C901 - one case a message
        match message:
            case wire.Acked(c):
                return term.Took(c)
            case wire.Welcome():
                return self._ready(message, 0, 0)
            case wire.Resumed():
                return self._ready(message, message.first - 1, message.cin)
            case wire.Reset():
                return self._ready(message, message.top, message.cin)
            case wire.Resend(c):
                return term.Resend(c)
            case wire.Token(d):
                return term.Token(d)
            case wire.Code(d):
                return term.Code(d)
            case wire.Refused(text, retry_ms):
                return term.Refused(text, retry_ms)
            case wire.Notice(text):
                return term.Notify(text)
            case wire.Bye(code, reason, text, retry_ms):
                return term.Bye(code, reason, text, retry_ms)
            case wire.Pong():
                return term.Pong()
            case _:
                return None

    def _ready(
        self, message: wire.Welcome | wire.Resumed | wire.Reset, n: int, c: int
    ) -> term.Ready:
        gap = abs(n - self._n)  # a client that is ahead begins anew as well
        self._n = n
        sid, token = message.sid, message.token
        return term.Ready(sid, token, n, gap, c, message.heartbeat, message.bytes_max)


def _capable(message: term.Open | term.Attach) -> Capable:
    return Capable(
        Capabilities(
            client=term.SUBPROTOCOL,
            terminal=message.term,
            width=message.cols,
            height=message.rows,
            colors=_TRUE_COLOR,
            data=True,
            binary=True,
        )
    )


def _viewing(told: ViewerNotification) -> term.ServerMessage:
    match told:
        case InvitationIssued(id_, token, seconds):
            return term.Invitation(id_, token, seconds)
        case ViewersChanged(invitations):
            return term.Viewers([structs.asdict(one) for one in invitations])
        case Watching(sid, n, gap, width, height, heartbeat):
            return term.Watching(sid, n, gap, width, height, heartbeat)
        case WatchedResized(width, height):
            return term.WatchedSize(width, height)


def _message(name: str, json: str) -> bytes:
    """A message of the backend: its JSON object, with its name as `t`."""
    fields = json.strip().removeprefix("{")
    comma = "" if fields == "}" else ","
    return f'{{"t":"{name.lower()}"{comma}{fields}'.encode()
