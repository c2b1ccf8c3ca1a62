"""Text that is more than it seems: many lines in one, and controls."""

from __future__ import annotations

import itertools
from typing import Final

from bench.attacks.wire import HELLO, V1, Attack, Target, commands, crowd, websocket


async def _say(target: Target, text: str) -> None:
    async def step() -> None:
        async with websocket(target, V1) as peer:
            await peer.pour(itertools.chain([HELLO], commands(text)))

    await crowd(step, 10)


async def lines_in_one(target: Target) -> None:
    """30,000 lines in each command."""
    await _say(target, "\n" * 30_000)


async def controls(target: Target) -> None:
    """Sequences that a terminal would obey."""
    await _say(target, "\x1b]52;c;AAAA\x07\x1b[2J\r*** Goodbye.\x00" * 100)


ATTACKS: Final[dict[str, Attack]] = {
    "lines in one": lines_in_one,
    "controls": controls,
}
