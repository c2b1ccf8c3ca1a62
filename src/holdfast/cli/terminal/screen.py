"""What the dialogue asks of a screen and its keyboard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Screen(Protocol):
    """Standard input and output, as lines."""

    @property
    def waits(self) -> bool:
        """Whether the last answers are waited for when the input ends: it is no person's."""
        ...

    def running(
        self, interrupted: Callable[[], None], resized: Callable[[int, int], None]
    ) -> AbstractAsyncContextManager[None]:
        """Use the terminal while the block runs, and leave it as it was.

        `interrupted` is called at Ctrl-C, and `resized` with the columns and rows, first at the
        beginning.
        """
        ...

    def lines(self) -> AsyncIterator[str | None]:
        """The lines that are typed, until the input ends; `None` for one that is too long."""
        ...

    def text(self, text: str, spans: tuple[Any, ...] = ()) -> None:
        """Show whole lines of the other side. `spans`: as they came, not checked."""
        ...

    def complete(self, text: str) -> None:
        """Show a whole line, of which the beginning may be shown as a prompt."""
        ...

    def prompt(self, text: str) -> None:
        """Show the text before the cursor; it replaces an earlier one."""
        ...

    def own(self, text: str) -> None:
        """Show a line of this program."""
        ...

    def hide(self, hidden: bool) -> None:
        """Hide what is typed, or show it again."""
        ...

    def end_line(self) -> None:
        """End the line of a hidden answer: its own end was hidden, too."""
        ...

    def offline(self, reason: str, seconds: float) -> None:
        """Show that there is no connection, and when the next attempt is."""
        ...

    def online(self) -> None:
        """Show that there is a connection."""
        ...

    async def shown(self) -> None:
        """Wait until the screen takes more."""
        ...
