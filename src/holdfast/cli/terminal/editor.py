"""A line editor at the bottom of the terminal, with what comes above it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from prompt_toolkit.application import Application
from prompt_toolkit.clipboard import ClipboardData
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

from holdfast.cli.terminal.history import History
from holdfast.cli.terminal.input_area import InputArea, keys
from holdfast.cli.terminal.outage import Outage
from holdfast.cli.terminal.text import RESET, Printable, colors_here, painted
from holdfast.gateway.adapters.wrapping import wrap

_PENDING_MAX: Final = 500
"""Texts that wait to be printed, at which no more are taken."""
_PROMPT_CHARS_MAX: Final = 1000
"""A longer prompt is printed as a line."""
_DIM: Final = "\x1b[2m"
_DEPTHS: Final = {0: ColorDepth.DEPTH_1_BIT, 8: ColorDepth.DEPTH_4_BIT, 256: ColorDepth.DEPTH_8_BIT}


class EditedScreen:
    """A terminal with an editor; `lines` are those that were typed and ended."""

    waits = False
    """A person has seen the answers."""

    def __init__(self, history: History) -> None:
        self._colors = colors_here()
        self._printable = Printable(self._colors)
        self._area = InputArea(history, self._printable)
        self._pending: list[str] = []
        self._typed: deque[str] = deque()
        self._came = asyncio.Event()
        self._cut = asyncio.Event()
        """Whether there is no connection."""
        self._ended = False
        """Whether nothing more is typed."""
        self._over = False
        """Whether the editor is gone from the terminal."""

    @asynccontextmanager
    async def running(
        self, interrupted: Callable[[], None], resized: Callable[[int, int], None]
    ) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end)  # the terminal is left as it was
        loop.add_signal_handler(signal.SIGINT, interrupted)
        # A file description of its own: the event loop makes it non-blocking, unlike the screen.
        with open(os.ttyname(sys.stdin.fileno())) as keyboard:  # noqa: ASYNC230 - it is there
            self._app = self._application(keyboard, interrupted)
            self._measures(resized)
            async with asyncio.TaskGroup() as tasks:
                app = tasks.create_task(self._run())
                ticker = tasks.create_task(self._tick())
                try:
                    yield
                finally:
                    ticker.cancel()
                    self._print()
                    if self._app.is_running and not self._app.is_done:
                        self._app.exit()
                    else:
                        app.cancel()
            self._over = True
            self._print()

    def _application(self, keyboard: Any, interrupted: Callable[[], None]) -> Application[None]:
        area = self._area
        output = Vt100_Output.from_pty(
            sys.stdout,
            term=os.environ.get("TERM"),
            default_color_depth=_DEPTHS.get(self._colors, ColorDepth.DEPTH_24_BIT),
            enable_bell=False,
        )
        output.enable_cpr = False  # the answer would come as input
        return Application(
            layout=area.layout,
            key_bindings=keys(self._accept, interrupted, self._end, lambda: area.is_empty),
            erase_when_done=True,
            input=Vt100Input(keyboard),
            output=output,
        )

    def _measures(self, resized: Callable[[int, int], None]) -> None:
        """Call `resized` with the size of the terminal, and whenever it has changed."""
        told: tuple[int, int] | None = None

        def measure(_: object = None) -> None:
            nonlocal told
            rows, columns = self._app.output.get_size()
            if told != (columns, rows):
                told = (columns, rows)
                resized(columns, rows)

        measure()
        self._app.before_render += measure

    async def _run(self) -> None:
        try:
            await self._app.run_async(
                pre_run=self._print, handle_sigint=False, set_exception_handler=False
            )
        except EOFError:  # the terminal is gone
            self._end()

    async def _tick(self) -> None:
        """Count down while there is no connection."""
        while True:
            await self._cut.wait()
            self._app.invalidate()
            if self._area.outage is not None:
                await asyncio.sleep(self._area.outage.pause(time.monotonic()))

    # --- what is typed

    async def lines(self) -> AsyncIterator[str | None]:
        while True:
            while self._typed:
                yield self._typed.popleft()
            if self._ended:
                return
            self._came.clear()
            await self._came.wait()

    def _accept(self) -> None:
        prompt, hidden = self._area.prompt, self._area.hidden
        self._area.prompt = ""
        typed = self._area.take()
        shown = "" if hidden else self._printable.once(typed)
        reset = RESET if self._colors else ""
        self._add(f"{self._printable.once(prompt)}{reset}{shown}{reset}")
        lines = typed.split("\n")  # several if they were pasted
        self._typed.extend(lines)
        self._came.set()

    def _end(self) -> None:
        self._ended = True
        self._came.set()

    # --- what is shown

    def text(self, text: str, spans: tuple[Any, ...] = ()) -> None:
        self._area.commands.learn(text)
        self._add(self._printable.text(painted(text, spans) if spans else text))

    def complete(self, text: str) -> None:
        if self._area.prompt and text.startswith(self._area.prompt):
            self._area.prompt = ""
        self.text(text)

    def prompt(self, text: str) -> None:
        *lines, prompt = text.split("\n")
        if lines:
            self.text("\n".join(lines))
        if len(prompt) > _PROMPT_CHARS_MAX:
            self.text(prompt)
            prompt = ""
        self._area.prompt = prompt
        self._refresh()

    def own(self, text: str) -> None:
        shown = self._printable.once(text)
        self._add(f"{_DIM}{shown}{RESET}" if self._colors else shown)

    def hide(self, hidden: bool) -> None:
        self._area.hide(hidden)
        if not hidden:
            self._app.clipboard.set_data(ClipboardData())  # nothing of it can be pasted
        self._refresh()

    def end_line(self) -> None:
        pass

    def offline(self, reason: str, seconds: float) -> None:
        now = time.monotonic()
        reason = self._printable.once(reason)
        if self._area.outage is None:
            self._area.outage = Outage(reason, now)
        self._area.outage.retry(reason, now + seconds)
        self._cut.set()
        self._refresh()

    def online(self) -> None:
        outage, self._area.outage = self._area.outage, None
        self._cut.clear()
        self.own("--- connected" if outage is None else outage.over(time.monotonic()))

    async def shown(self) -> None:
        if len(self._pending) >= _PENDING_MAX:
            await asyncio.sleep(0)  # they are printed in the next pass of the loop

    def _add(self, text: str) -> None:
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._print)
        self._pending.append(text)

    def _print(self) -> None:
        """Print the texts that wait, above the editor."""
        output = self._app.output
        if not self._pending or not (self._app.is_running or self._over):
            return
        width = output.get_size().columns
        lines = "\n".join(wrap(text, width) for text in self._pending).split("\n")
        self._pending.clear()
        if not self._over:
            self._app.renderer.erase()
        output.write_raw("".join(f"{line}\r\n" for line in lines))
        output.flush()
        self._app.invalidate()

    def _refresh(self) -> None:
        self._app.invalidate()
