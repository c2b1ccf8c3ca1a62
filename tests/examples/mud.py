"""Plays `examples/mud` through, whatever the client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from tests.programs import ROOT

MUD: Final = ROOT / "examples" / "mud" / "mud.py"
STORY: Final = (
    ("look", "A fountain without water."),
    ("fly", "You cannot fly."),
    ("west", "There is no way west."),
    ("e", "A sword lies here."),
    ("get anvil", "You see no such thing."),
    ("get sword", "You take the sword."),
    ("i", "You have: sword."),
    ("w", "The square"),
    ("n", "A troll blocks the way north."),
    ("n", "The troll does not let you pass."),
    ("kill troll", "The troll hits you for 4!"),
    ("kill troll", "The troll falls into the river."),
    ("north", "A crown lies here."),
    ("get crown", "You take the crown."),
    ("drop sword", "You drop the sword."),
    ("rest", "You rest, and feel well."),
    ("inventory", "You have: crown."),
)
"""What is typed, and what is then seen."""


async def play(
    types: Callable[[str], Awaitable[None]], sees: Callable[[str], Awaitable[object]]
) -> None:
    """From the first look to the crown."""
    for line, answer in STORY:
        await types(line)
        await sees(answer)
