"""The configuration of `on_server_lost = "redial"`."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from holdfast.core.errors import ConfigurationError

_LINES_MAX: Final = 50
_CHARS_MAX: Final = 1_000


class RedialConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The notices for clients while the server is unreachable, and what happens to their input."""

    lines: tuple[str, ...] = ()
    """Lines that are sent to the server first, on each connection after a session's first one."""
    typed: Literal["refuse", "keep"] = "refuse"
    """What happens to input while the server is unreachable: it is refused with a notice, or kept
    in the session's queue and sent on the next connection."""
    waiting_text: str = "The server cannot be reached. It is tried again."
    """The notice for a new client when no server can be reached."""
    quit: tuple[str, ...] = ("quit",)
    """Commands that leave the server. When it closes the connection after one of them, the session
    ends. Case does not matter."""

    def is_quit(self, line: str) -> bool:
        """Whether `line` is a command that leaves the server."""
        return line.strip().lower() in self.quit


def check_redial(key: str, redial: RedialConfig, on_server_lost: str) -> None:
    """Check what types cannot express. Raises `ConfigurationError`, which names the key."""
    if redial != RedialConfig() and on_server_lost != "redial":
        raise ConfigurationError(
            f"{key}: expected only with on_server_lost = 'redial', found with {on_server_lost!r}"
        )
    for name in ("lines", "quit"):
        lines = getattr(redial, name)
        if len(lines) > _LINES_MAX:
            raise ConfigurationError(
                f"{key}.{name}: expected at most {_LINES_MAX} lines, found {len(lines)}"
            )
        for number, line in enumerate(lines):
            if len(line) > _CHARS_MAX or not (line.isprintable() or not line):
                raise ConfigurationError(
                    f"{key}.{name}[{number}]: expected one line of at most {_CHARS_MAX} printable"
                    f" characters, found {line[:40]!r}"
                )
    for number, line in enumerate(redial.quit):
        if line != line.strip().lower() or not line:
            raise ConfigurationError(
                f"{key}.quit[{number}]: expected a line in lower case, without spaces around it,"
                f" found {line!r}"
            )
