"""The configuration of how a lost server is waited for (`on_server_lost = "redial"`)."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from holdfast.core.errors import ConfigurationError

_LINES_MAX: Final = 50
_CHARS_MAX: Final = 1_000


class RedialConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What clients are told meanwhile, and what becomes of what they type."""

    lines: tuple[str, ...] = ()
    """Lines that the server is sent first on each connection after the first."""
    typed: Literal["refuse", "keep"] = "refuse"
    """What is typed while the server is gone: refused with a notice, or kept and sent to the next
    connection, as much as a session's queue holds."""
    waiting_text: str = "The server cannot be reached. It is tried again."
    """What a new client is told when there is no server."""
    quit: tuple[str, ...] = ("quit",)
    """Lines with which a person leaves the server: when it closes the connection after one of
    them, the session ends. Case does not matter."""

    def is_quit(self, line: str) -> bool:
        """Whether a person leaves with `line`."""
        return line.strip().lower() in self.quit


def check_redial(key: str, redial: RedialConfig, on_server_lost: str) -> None:
    """What types cannot say. Raises `ConfigurationError` naming the key."""
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
