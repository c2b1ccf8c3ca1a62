"""Commands of the user: validated before they get a number, and numbered without gaps.

A command that the gateway can never accept would end its session at each connection. It is
refused at the call, with an exception that names the value found; it is not kept and gets no
number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from holdfast.protocols import holdfast_v1 as wire

DEPTH_MAX: Final = 100
"""Arrays and objects within each other in the value of one `data`."""
_NUMBER_DIGITS: Final = 16
"""A command may get another number, with as many digits."""

Said = wire.Command | wire.DataCommand | wire.InterruptCommand

_encode: Final = msgspec.json.Encoder().encode


class Dropped(Struct, frozen=True):
    """Commands that are not sent again, oldest first, and the reason.

    Commands that were sent may have run; the others have not. `reason`:

    - `gone`: their session no longer exists;
    - `left`: the client has changed to another session;
    - `superseded`: another client has taken the session over;
    - `refused`: the gateway refuses them (they are too large, or malformed).
    """

    reason: str
    commands: tuple[Said, ...]


class Uncertain(Struct, frozen=True):
    """The gateway has forgotten the commands `first` to `last`, which it had acknowledged.

    Its store went back in time. The commands may or may not have run, and their effects may be
    lost; they are not sent again. Later commands are sent as before.
    """

    first: int
    last: int


def text(what: str, value: object) -> str:
    """`value` as text that can be sent. Raises `TypeError` or `ValueError`; both name `what`."""
    if not isinstance(value, str):
        raise TypeError(f"{what}: expected str, found {_named(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        found = f"U+{ord(value[error.start]):04X}"
        raise ValueError(
            f"{what}: expected Unicode text, found the lone surrogate {found} at {error.start}"
        ) from None
    return value


def number(what: str, value: object, most: int) -> int:
    """`value` as an integer from 0 to `most`. Raises `TypeError` or `ValueError`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{what}: expected int, found {_named(value)}")
    if not 0 <= value <= most:
        raise ValueError(f"{what}: expected 0 to {most}, found {value}")
    return value


def json(what: str, value: object) -> msgspec.Raw:
    """`value` as JSON. Raises `TypeError` or `ValueError`; both name `what`."""
    try:
        encoded = _encode(value)
    except UnicodeEncodeError:
        raise ValueError(f"{what}: expected Unicode text, found a lone surrogate") from None
    except RecursionError:
        raise ValueError(f"{what}: expected at most {DEPTH_MAX} levels, found more") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise type(error)(f"{what}: expected a value that JSON has: {error}") from error
    try:
        depth = _depth(msgspec.json.decode(encoded))
    except (msgspec.DecodeError, RecursionError) as error:  # a number of thousands of digits
        raise ValueError(f"{what}: expected a value that can be read again: {error}") from error
    if depth > DEPTH_MAX:
        raise ValueError(f"{what}: expected at most {DEPTH_MAX} levels, found more")
    return msgspec.Raw(encoded)


def check_size(what: str, message: wire.ClientMessage, bytes_max: int) -> None:
    """Raise `ValueError` if `message` is larger than the gateway takes."""
    size = len(_encode(message))
    if size + _NUMBER_DIGITS > bytes_max:
        raise ValueError(
            f"{what}: expected a message of at most {bytes_max} bytes, found about {size}"
        )


def is_sayable(command: Said, bytes_max: int) -> bool:
    """Whether a command that was kept can be sent: an earlier version may have kept any."""
    try:
        if isinstance(command, wire.Command):
            text("command", command.d)
        elif isinstance(command, wire.DataCommand):
            text("package", command.p)
            json("data", msgspec.json.decode(command.d))
        check_size("command", command, bytes_max)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def renumbered(commands: Iterable[Said], first: int) -> list[Said]:
    """The same commands, numbered from `first` on without a gap."""
    return [
        command if command.c == c else msgspec.structs.replace(command, c=c)
        for c, command in enumerate(commands, first)
    ]


def largest(commands: Sequence[Said]) -> int:
    """The index of the largest command."""
    sizes = [len(_encode(command)) for command in commands]
    return sizes.index(max(sizes))


def _named(value: object) -> str:
    return f"{type(value).__name__} {value!r:.40}"


def _depth(value: Any) -> int:
    """How many arrays and objects stand within each other."""
    depth = 0
    level = [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [
            inner for each in level for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return depth
