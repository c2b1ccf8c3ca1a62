"""Raw TCP and Unix-socket clients: lines of UTF-8."""

from __future__ import annotations

from holdfast.core.errors import DISCONNECTS, Reason
from holdfast.core.limits import LineLimits
from holdfast.gateway.adapters.base import Broken, Capable, Enter, Event, Left
from holdfast.gateway.adapters.terminal import TerminalAdapter
from holdfast.protocols.framing import LineDecoder
from holdfast.sessions.records import Capabilities


class LineAdapter(TerminalAdapter):
    """One client that speaks lines."""

    __slots__ = ("_decoder", "_out")

    def __init__(self, protocol: str, limits: LineLimits) -> None:
        super().__init__(protocol)
        self._decoder = LineDecoder(limits.line_bytes_max)
        self._out: list[bytes] = []

    def begin(self, now: float) -> list[Event]:
        return [Capable(Capabilities()), Enter()]

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        events: list[Event] = []
        for line in self._decoder.receive_data(data):
            if type(line) is str:
                event = self._read(line)
                if event is not None:
                    events.append(event)
            else:
                events.append(self._too_long(line.bytes_max))  # type: ignore[union-attr]
        return events

    def receive_eof(self) -> list[Event]:
        return [Left(done=False)]

    def data_to_send(self) -> bytes:
        out, self._out = self._out, []
        return b"".join(out)

    def next_deadline(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> list[Event]:
        return []

    def probe(self) -> bool:
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
