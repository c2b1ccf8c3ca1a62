"""The messages of the WebSocket sub-protocol `holdfast.term.v1`: a terminal that can be resumed.

Output is binary messages, raw. Its positions are offsets: how many bytes the session has put out
up to there. Input is binary messages: one byte for the type (0), the command's number (4 bytes,
big-endian), and what was typed. All else is JSON objects in text messages; `t` names each.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

SUBPROTOCOL: Final = "holdfast.term.v1"

_NUMBER_MAX: Final = (1 << 53) - 1
COMMAND_MAX: Final = (1 << 32) - 1
Offset = Annotated[int, Meta(ge=0, le=_NUMBER_MAX)]
Command = Annotated[int, Meta(ge=1, le=COMMAND_MAX)]
Count = Annotated[int, Meta(ge=0, le=COMMAND_MAX)]
Attempt = Annotated[int, Meta(ge=0, le=_NUMBER_MAX)]
Size = Annotated[int, Meta(ge=1, le=1_000)]
_SECONDS_MAX: Final = 1e9
_INVITATION_SECONDS: Final = 3_600.0
Name = Annotated[str, Meta(max_length=100)]

INPUT: Final = 0
"""The type byte of what was typed."""
_HEAD: Final = struct.Struct(">BI")


class TermError(Exception):
    """A message that is none of the sub-protocol. Says what was found and expected."""


# --- client → server


class Open(Struct, frozen=True, tag_field="t", tag="open", forbid_unknown_fields=True):
    """The first message: a new session."""

    cols: Size = 80
    rows: Size = 24
    term: Name = "xterm-256color"
    attempt: Attempt = 0


class Attach(Struct, frozen=True, tag_field="t", tag="attach", forbid_unknown_fields=True):
    """The first message: the session of a token or a code goes on after offset `n`."""

    token: str = ""
    code: str = ""
    n: Offset = 0
    acked: Count = 0
    """The newest command that was acknowledged to the client."""
    cols: Size = 80
    rows: Size = 24
    term: Name = "xterm-256color"
    attempt: Attempt = 0


class Ack(Struct, frozen=True, tag_field="t", tag="ack", forbid_unknown_fields=True):
    """The client's terminal has shown the output up to offset `n`."""

    n: Offset


class Resize(Struct, frozen=True, tag_field="t", tag="resize", forbid_unknown_fields=True):
    """The terminal has another size."""

    cols: Size
    rows: Size


class Answer(Struct, frozen=True, tag_field="t", tag="answer", forbid_unknown_fields=True):
    """The answer to a prompt: command number `c`."""

    c: Command
    text: str


class Signal(Struct, frozen=True, tag_field="t", tag="signal", forbid_unknown_fields=True):
    """A signal for what runs (`INT`, `TERM` …): command number `c`."""

    c: Command
    name: Name


class AskCode(Struct, frozen=True, tag_field="t", tag="code", forbid_unknown_fields=True):
    """The user wants to go on at another device."""


class Close(Struct, frozen=True, tag_field="t", tag="close", forbid_unknown_fields=True):
    """The session is to end, and what runs in it."""


class Invite(Struct, frozen=True, tag_field="t", tag="invite", forbid_unknown_fields=True):
    """Others are to watch, for so many seconds."""

    seconds: Annotated[float, Meta(gt=0, le=_SECONDS_MAX)] = _INVITATION_SECONDS


class Revoke(Struct, frozen=True, tag_field="t", tag="revoke", forbid_unknown_fields=True):
    """The invitation `id` is to end."""

    id: Count


class Watch(Struct, frozen=True, tag_field="t", tag="watch", forbid_unknown_fields=True):
    """The first message of a viewer: it has an invitation, and the output up to offset `n`. It
    sends `ack`, `ping` and `close` after that, and nothing else."""

    token: str
    n: Offset = 0


class Ping(Struct, frozen=True, tag_field="t", tag="ping", forbid_unknown_fields=True):
    """A question for a sign of life."""


ClientMessage = (
    Open
    | Attach
    | Ack
    | Resize
    | Answer
    | Signal
    | AskCode
    | Invite
    | Revoke
    | Watch
    | Close
    | Ping
)


# --- server → client


class Ready(Struct, frozen=True, tag_field="t", tag="ready"):
    """The session. Output follows after offset `n`; if `gap` is not 0, so many bytes after the
    client's own offset could not be kept: it clears its terminal."""

    sid: str
    token: str
    n: int
    gap: int
    c: int
    """The newest command that was taken; the client sends the ones after it again."""
    heartbeat: float
    bytes_max: int
    """The largest message that is taken."""


class Screen(Struct, frozen=True, tag_field="t", tag="screen", omit_defaults=True):
    """What is written to the terminal and is no output: it restores modes after a gap."""

    d: str


class Token(Struct, frozen=True, tag_field="t", tag="token"):
    """A newer token of the session."""

    d: str


class Code(Struct, frozen=True, tag_field="t", tag="code"):
    """A code for another device."""

    d: str


class Invitation(Struct, frozen=True, tag_field="t", tag="invitation"):
    """An invitation, which is good for so many seconds."""

    id: int
    token: str
    seconds: float


class Viewers(Struct, frozen=True, tag_field="t", tag="viewers"):
    """The invitations that are good now: of each its `id`, for how many `seconds` it is good, and
    the addresses of its `viewers`."""

    invitations: Sequence[Mapping[str, Any]]


class Watching(Struct, frozen=True, tag_field="t", tag="watching"):
    """To a viewer: output follows after offset `n`. If that is not its own offset, `gap` bytes
    are gone: it clears its terminal, which has the size of the watched one."""

    sid: str
    n: int
    gap: int
    cols: int
    rows: int
    heartbeat: float


class WatchedSize(Struct, frozen=True, tag_field="t", tag="size"):
    """To a viewer: the watched terminal has another size."""

    cols: int
    rows: int


class Took(Struct, frozen=True, tag_field="t", tag="took"):
    """Commands up to `c` were taken."""

    c: int


class Resend(Struct, frozen=True, tag_field="t", tag="resend"):
    """Commands from `c` on were not taken; the client sends them again."""

    c: int


class Refused(Struct, frozen=True, tag_field="t", tag="refused"):
    """A token or code gives no session. With `retry_ms` of 0 or more it was not looked at."""

    text: str
    retry_ms: int


class Notify(Struct, frozen=True, tag_field="t", tag="notify"):
    """A line of the gateway for the user."""

    text: str


class Bye(Struct, frozen=True, tag_field="t", tag="bye"):
    """The connection ends. `retry_ms` is below 0 where the client is not to come back."""

    code: int
    reason: str
    text: str
    retry_ms: int


class Pong(Struct, frozen=True, tag_field="t", tag="pong"):
    """A sign of life."""


ServerMessage = (
    Ready
    | Screen
    | Token
    | Code
    | Invitation
    | Viewers
    | Watching
    | WatchedSize
    | Took
    | Resend
    | Refused
    | Notify
    | Bye
    | Pong
)


def read_input(message: bytes) -> tuple[int, bytes]:
    """The number of the command in a binary message, and what was typed. Raises `TermError`."""
    if len(message) <= _HEAD.size:
        raise TermError(f"expected input behind {_HEAD.size} bytes, found {len(message)} bytes")
    kind, c = _HEAD.unpack_from(message)
    if kind != INPUT or not c:
        raise TermError(f"expected type {INPUT} and a number from 1 on, found {kind} and {c}")
    return c, message[_HEAD.size :]


def write_input(c: int, data: bytes) -> bytes:
    """The message of command `c`."""
    return _HEAD.pack(INPUT, c) + data
