"""Somebody whose client cannot count: what is shown, and what is told of the rest.

Every line of the application begins with its session, so that it is known what
belongs to which.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tests.simulation.clients.base import ClientNode

if TYPE_CHECKING:
    from tests.simulation.world import World

_NOTICE: Final = "*** "
_COUNT: Final = re.compile(r"(\d+) older \w+(, which you may have seen,)? could not be kept\.")
_BY_AGE: Final = re.compile(r"What came more than (\d+) seconds before .* is not shown again\.")


class Person(ClientNode):
    """Rule: everything that is said is shown, or it is told that it may be missing."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.shown: defaultdict[str, list[str]] = defaultdict(list)
        """By session, what was shown as new."""
        self.perhaps: defaultdict[str, set[str]] = defaultdict(set)
        """By session, what was shown as something that may have been seen before."""
        self.typed_on: dict[str, int] = {}
        """By command, the connection that it was typed into."""
        self.told = 0
        """How many lines in all were said to be gone."""
        self.told_before = 0.0
        """What was said up to this time may be missing: the person was told so."""
        self.doubt = False
        """Whether what is shown now may have been seen before."""
        self.entered = False
        """Whether this connection has a session."""

    def type(self) -> str:
        if not self.can_type:
            return ""
        command = super().type()
        self.typed_on[command] = self.connections
        return command

    @property
    def can_type(self) -> bool:
        """Whether there is a connection to type into."""
        raise NotImplementedError

    @property
    def has_right(self) -> bool:
        return self.entered

    @property
    def settled(self) -> bool:
        return self.entered

    def offline(self) -> None:
        self.entered = self.doubt = False

    def read(self, line: str) -> None:
        """A line is on the screen."""
        if line.startswith(_NOTICE):
            self.notice(line.removeprefix(_NOTICE))
        elif line:
            self.show(line.partition(" ")[0], line)

    def show(self, sid: str, line: str) -> None:
        """A line of the application."""
        if self.doubt:
            self.perhaps[sid].add(line)
        else:
            self.shown[sid].append(line)

    def notice(self, text: str) -> None:
        """A line of the gateway itself."""
        if match := _COUNT.fullmatch(text):
            self.told += int(match[1])
        elif match := _BY_AGE.fullmatch(text):
            self.told_before = self.world.time.now - float(match[1])

    def has(self, sid: str) -> set[str]:
        """Everything of a session that was on the screen."""
        return set(self.shown[sid]) | self.perhaps[sid]
