"""A server's output on its way to the session, as far as the client keeps up. Hot path."""

from __future__ import annotations

from typing import Final

from holdfast.backends.tcp.context import BridgeContext
from holdfast.backends.tcp.upstream_protocols import InputMode, Said
from holdfast.core.items import LATEST_PROMPT, MUST, Prompt, size_of
from holdfast.core.limits import KIB
from holdfast.sessions.session import Session

_UNCHECKED_ITEMS_MAX: Final = 64
_UNCHECKED_BYTES_MAX: Final = 16 * KIB
"""The most output that is forwarded before the client's back-pressure is checked."""
_FILL_MAX: Final = 1 / 2
"""The share of the window that the server may fill with undelivered output."""
_FILL_AWAY_MAX: Final = 3 / 4
"""The same while the client is away: an eighth of a full window would leave it at once."""


class SessionOutput:
    """Forwards a server's output to one session, and holds what its client is not ready for.

    The caller stops reading from the server while anything is `held`.
    """

    __slots__ = ("_context", "_session", "_unchecked_bytes", "_unchecked_items", "held")

    def __init__(self, context: BridgeContext, session: Session) -> None:
        self._context = context
        self._session = session
        self._unchecked_items = self._unchecked_bytes = 0
        self.held: list[Said] = []
        """Output of the server that waits for the client."""

    def say(self, said: list[Said]) -> None:
        """Forward output, or hold it behind what is held."""
        if self.held:
            self.held += said  # of the reads that were under way when reading was stopped
            return
        port, session, now = self._context.port, self._session, self._context.clock()
        for number, item in enumerate(said):
            if self._lags():
                self.held = said[number:]
                port.await_delivery(session)
                return
            if isinstance(item, InputMode):
                port.set_input_mode(session, item.mode)
                continue
            self._unchecked_items += 1
            self._unchecked_bytes += size_of(item)
            port.emit(session, item, LATEST_PROMPT if isinstance(item, Prompt) else MUST, now)

    def go_on(self) -> bool:
        """Forward what is held, as far as it fits now. Returns whether nothing is left."""
        held, self.held = self.held, []
        self.say(held)
        return not self.held

    def _lags(self) -> bool:
        """Whether the client has so much to read that forwarding should stop."""
        if (
            self._unchecked_items < _UNCHECKED_ITEMS_MAX
            and self._unchecked_bytes < _UNCHECKED_BYTES_MAX
        ):
            return False
        session, context = self._session, self._context
        if session.attached:
            fill_max = _FILL_MAX
        elif context.pauses:
            fill_max = _FILL_AWAY_MAX
        else:
            return False
        if context.port.fill(session) >= fill_max:
            return True
        self._unchecked_items = self._unchecked_bytes = 0
        return False
