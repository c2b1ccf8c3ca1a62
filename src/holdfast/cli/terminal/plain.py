"""Standard input and output as they are: pipes, files, and terminals that can do nothing more.

A terminal gets no controls of others, though it may say that it is dumb; a pipe gets them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from holdfast.cli.keyboard import typed_lines
from holdfast.cli.terminal.text import Printable, colors_here


class PlainScreen:
    """Writes what comes as it comes, with prompts where the cursor is."""

    def __init__(self) -> None:
        self._printable = Printable(colors_here()) if sys.stdout.isatty() else None
        self._shown = ""
        """The prompt before the cursor."""

    @property
    def waits(self) -> bool:
        return not sys.stdin.isatty()

    @asynccontextmanager
    async def running(
        self, interrupted: Callable[[], None], resized: Callable[[int, int], None]
    ) -> AsyncIterator[None]:
        def measure() -> None:
            if sys.stdout.isatty():
                resized(*os.get_terminal_size())

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, interrupted)
        loop.add_signal_handler(signal.SIGWINCH, measure)
        measure()
        try:
            yield
        finally:
            _echo(True)

    async def lines(self) -> AsyncIterator[str | None]:
        async for line in typed_lines():
            self._shown = ""
            yield None if line is None else line.decode(errors="replace").rstrip("\r")

    def text(self, text: str, spans: tuple[Any, ...] = ()) -> None:
        # The prompt moves up with its line.
        lead = "\n" if self._shown else ""
        self._shown = ""
        sys.stdout.write(f"{lead}{self._printed(text)}\n")

    own = text

    def complete(self, text: str) -> None:
        if self._shown and text.startswith(self._shown):
            sys.stdout.write(f"{self._printed(text.removeprefix(self._shown))}\n")
            self._shown = ""
        else:
            self.text(text)

    def prompt(self, text: str) -> None:
        lead = "\r\x1b[K" if self._shown else ""
        self._shown = text
        sys.stdout.write(f"{lead}{self._printed(text)}")
        sys.stdout.flush()  # without a line's end, it would wait for one

    def hide(self, hidden: bool) -> None:
        _echo(not hidden)

    def end_line(self) -> None:
        self.own("")

    def offline(self, reason: str, seconds: float) -> None:
        self.own(f"--- cut off: {reason}; trying again in {seconds:.1f} s")

    def online(self) -> None:
        self.own("--- connected")

    async def shown(self) -> None:
        sys.stdout.flush()

    def _printed(self, text: str) -> str:
        return text if self._printable is None else self._printable.text(text)


def _echo(on: bool) -> None:
    """Show or hide typed input."""
    if not sys.stdin.isatty():
        return
    attributes = termios.tcgetattr(sys.stdin)
    attributes[3] = attributes[3] | termios.ECHO if on else attributes[3] & ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, attributes)
