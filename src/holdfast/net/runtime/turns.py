"""A pass of the event loop is shared: no connection, and no network, has it to itself. Hot path.

Input that would take too long at once is handled in turns, a bounded part of it in each pass.
Turns go round by network, so a network with many connections has no more of them than one with
a single connection. Costs are in bytes, as rates of input count them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, Protocol

from holdfast.core.limits import KIB
from holdfast.net.log import RateLimitedLogger, log_failure

_log: Final = RateLimitedLogger("holdfast.net")

TURN_COST_MAX: Final = 16 * KIB
"""What one connection handles at once; it stops after the slice that reaches it."""
TURNS_COST_MAX: Final = 32 * KIB
"""All turns of one pass."""
PASS_COST_MAX: Final = 256 * KIB
"""What connections handle as they are read, in one pass; beyond it, they wait for turns."""
ARRIVALS_COST_MAX: Final = 96 * KIB
"""The same for connections that have no session yet, of which very many may come at once: what is
left of the pass is for others."""
ARRIVAL_COST: Final = 4 * KIB
"""A new connection: its handshake and its session cost so much time."""
ENTRY_COST: Final = 1 * KIB
"""What comes of a connection without a session costs this more: its handshake, say."""
REQUEST_COST: Final = 16 * KIB
"""A request for a page."""
_COST_MIN: Final = 1 * KIB
"""A turn costs this at least."""


class Waiting(Protocol):
    """Something with input to handle."""

    def take_turn(self) -> None:
        """Handle a part of it. Ask for another turn if there is more."""


class Turns:
    """Handlers that wait for a turn, by network."""

    __slots__ = ("_loop", "_networks", "_running", "_scheduled", "spent")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._networks: OrderedDict[str, OrderedDict[Waiting, None]] = OrderedDict()
        self._running = False
        """Whether somebody has a turn now."""
        self._scheduled = False
        self.spent = 0
        """What was handled in this pass."""

    def puts_off_arrival(self) -> bool:
        """Whether a connection that has no session yet must wait for its turn; else its step costs
        something. They go on in the order in which they came, so that an older connection of a
        client is not handled after a newer one."""
        if not self._running and (self._networks or self.spent >= ARRIVALS_COST_MAX):
            return True
        self.spent += ENTRY_COST
        return False

    def wait(self, waiting: Waiting, network: str) -> None:
        """Call `take_turn` once, when it is the turn of `waiting`."""
        self._networks.setdefault(network, OrderedDict())[waiting] = None
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        self._running = True
        self.spent = 0
        networks = self._networks
        while networks and self.spent < TURNS_COST_MAX:
            network, queue = networks.popitem(last=False)
            waiting, _ = queue.popitem(last=False)
            if queue:
                networks[network] = queue
            self.spent += _COST_MIN
            try:
                waiting.take_turn()
            except Exception as error:
                log_failure(_log, "a turn failed", error)
        self._running = False
        if networks:
            self._schedule()
