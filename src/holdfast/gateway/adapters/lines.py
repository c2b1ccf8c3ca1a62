"""Raw TCP and Unix-socket clients: lines of UTF-8."""

from __future__ import annotations

from typing import Final

from holdfast.core.errors import DISCONNECTS, Reason
from holdfast.core.limits import LineLimits
from holdfast.gateway.adapters.base import Broken, Capable, Enter, Event, Left
from holdfast.gateway.adapters.terminal import TerminalAdapter
from holdfast.protocols.framing import LineDecoder
from holdfast.sessions.records import Capabilities

_PATIENCE_SECONDS: Final = 0.2
"""How long a client may take to say that it wants to resume, before it gets a new session."""


class LineAdapter(TerminalAdapter):
    """One client that speaks lines."""

    __slots__ = ("_decoder", "_enter_at", "_out")

    def __init__(self, protocol: str, limits: LineLimits) -> None:
        super().__init__(protocol)
        self._decoder = LineDecoder(limits.line_bytes_max)
        self._enter_at: float | None = None
        self._out: list[bytes] = []

    def begin(self, now: float) -> list[Event]:
        self._enter_at = now + _PATIENCE_SECONDS
        return []

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        events = self._read_ahead()
        for line in self._decoder.receive_data(data):
            if type(line) is str:
                events += self._read(line)
            else:
                events.append(self._too_long(line.bytes_max))  # type: ignore[union-attr]
        if self._early:
            events = self.handle_timer(now) + events
        return events

    def receive_eof(self) -> list[Event]:
        return [Left(done=False)]

    def data_to_send(self) -> bytes:
        out, self._out = self._out, []
        return b"".join(out)

    def next_deadline(self) -> float | None:
        return self._enter_at

    def handle_timer(self, now: float) -> list[Event]:
        if self._enter_at is None:
            return []
        self._enter_at = None
        return [Capable(Capabilities()), *self._enter(Enter())]

    def probe(self, number: int) -> bool:
        return False

    def _too_long(self, bytes_max: int) -> Broken:
        text = f"a line of more than {bytes_max} bytes"
        self.goodbye(DISCONNECTS[Reason.PROTOCOL_ERROR], text, 0)
        return Broken(Reason.PROTOCOL_ERROR, text)

    def _line(self, text: str) -> bytes:
        return text.encode() + b"\n"

    def _prompt(self, text: str) -> bytes:
        return text.encode()

    def _queue(self, data: bytes) -> None:
        self._out.append(data)
