"""Writes down one connection as commands of the test language, without I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod

from holdfast.vtc.record.quoting import CODE, CODE_PATTERN, pattern, quoted

COMMANDS_MAX = 100_000
"""Of one connection."""


class Recorder(ABC):
    """Records one connection as commands."""

    def __init__(self, codes: set[str]) -> None:
        self.commands: list[str] = []
        self._codes = codes
        """Resume codes that were shown, on any connection: each is `${code}` then."""
        self.over = False
        self.overlapped = False
        """Whether another connection began before it was over."""

    @property
    @abstractmethod
    def opening(self) -> str:
        """The command whose specification the commands are; empty if they need none."""

    @abstractmethod
    def client_says(self, data: bytes) -> None:
        """Bytes from the client."""

    @abstractmethod
    def server_says(self, data: bytes) -> None:
        """Bytes from the server."""

    def ended(self) -> None:
        """The connection is over."""
        self.over = True

    # For the protocols.

    def _write(self, command: str) -> None:
        if len(self.commands) < COMMANDS_MAX:
            self.commands.append(command)
        elif len(self.commands) == COMMANDS_MAX:
            self.commands.append(f"# The rest is missing: it is more than {COMMANDS_MAX} commands.")

    def _heard(self, kind: str, text: str) -> None:
        """Record a text of the server."""
        if not CODE.search(text):
            self._write(f"rx {kind} {quoted(text)}")
            return
        self._codes.update(CODE.findall(text))
        self._write(f"rx {kind}")
        self._write(f"expect rx.text ~ {pattern(text)}")
        self._write(f'save code rx.text "{CODE_PATTERN}"')

    def _typed(self, kind: str, text: str) -> None:
        """Record a text of the client."""
        word = quoted(text)
        for code in CODE.findall(text):
            if code in self._codes:
                word = word.replace(code, "${code}")
        self._write(f"tx {kind} {word}")
