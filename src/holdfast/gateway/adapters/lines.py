"""Raw TCP and Unix-socket clients: lines of UTF-8."""

from __future__ import annotations

from typing import Final

from holdfast.core.errors import Reason
from holdfast.core.limits import LineLimits
from holdfast.core.rate import shared_rate
from holdfast.gateway.adapters.ansi_spans import SpanReader
from holdfast.gateway.adapters.events import Broken, Capable, Enter, Event, Left
from holdfast.gateway.adapters.snapshot import AdapterSnapshot, LineAdapterSnapshot, other_kind
from holdfast.gateway.adapters.terminal import TerminalAdapter
from holdfast.protocols.framing import LineDecoder
from holdfast.protocols.sniffing import TLS_ALERT, TLS_HANDSHAKE, ForeignProtocol, recognise
from holdfast.sessions.records import Capabilities

_PATIENCE_SECONDS: Final = 0.2
"""The time for a client to ask for its session, before it gets a new one."""


class LineAdapter(TerminalAdapter):
    """The adapter of a client that sends and receives lines of text."""

    __slots__ = ("_decoder", "_enter_at", "_first_bytes", "_newcomer", "_out")

    def __init__(
        self, protocol: str, limits: LineLimits, *, raw: bool = False, ansi: bool = False
    ) -> None:
        rate = shared_rate(limits.bytes_per_second_max, limits.bytes_burst_max)
        spans = SpanReader(continues=raw) if ansi else None
        super().__init__(protocol, rate, raw=raw, spans=spans)
        self._decoder = LineDecoder(limits.line_bytes_max)
        self._newcomer = True
        """Whether no line has come: the first one shows a client of another protocol."""
        self._first_bytes: bytes | None = b""
        """The first bytes, while they could be those of a TLS client."""
        self._enter_at: float | None = None
        self._out: list[bytes] = []

    @property
    def _undecoded(self) -> LineDecoder:
        return self._decoder

    def begin(self, now: float) -> list[Event]:
        self._enter_at = now + _PATIENCE_SECONDS
        return []

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        events = self._read_ahead()
        if self._begins_tls(data):
            return [self._turn_away(ForeignProtocol.TLS)]
        for line in self._decoder.receive_data(data):
            if type(line) is str:
                if self._newcomer:
                    self._newcomer = False
                    foreign = recognise(line)
                    if foreign is not None:
                        return [self._turn_away(foreign)]
                events += self._read(line)
            else:
                self._newcomer = False
                self._discard(f"{line.bytes_max} bytes")  # type: ignore[union-attr]
        if self._typed.early:
            events = self.handle_timer(now) + events
        return events

    def _begins_tls(self, data: bytes) -> bool:
        """Whether the first bytes are those of a TLS ClientHello."""
        head = self._first_bytes
        if head is None:
            return False
        head = (head + data)[: len(TLS_HANDSHAKE)]
        if TLS_HANDSHAKE.startswith(head):
            self._first_bytes = head
            return head == TLS_HANDSHAKE
        self._first_bytes = None
        return False

    def _turn_away(self, foreign: ForeignProtocol) -> Broken:
        speaks = f"speaks {foreign.value}, not lines"
        if foreign is ForeignProtocol.TLS:
            self._queue(TLS_ALERT)
        else:
            self._queue(b"This port speaks lines of text.\n")
        return Broken(Reason.PROTOCOL_ERROR, speaks)

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

    def snapshot(self, now: float) -> LineAdapterSnapshot:
        return LineAdapterSnapshot(
            terminal=self._snapshot(),
            lines=self._decoder.snapshot(),
            newcomer=self._newcomer,
            first_bytes=self._first_bytes,
            enter_seconds=self._enter_at - now if self._enter_at is not None else None,
            unsent=b"".join(self._out),
        )

    def restore(self, taken: AdapterSnapshot, now: float) -> None:
        if not isinstance(taken, LineAdapterSnapshot):
            raise other_kind(taken, LineAdapterSnapshot)
        self._restore(taken.terminal)
        self._decoder.restore(taken.lines)
        self._newcomer, self._first_bytes = taken.newcomer, taken.first_bytes
        self._enter_at = now + taken.enter_seconds if taken.enter_seconds is not None else None
        self._out = [taken.unsent]

    def probe(self, number: int, now: float) -> bool:
        return False

    def _line(self, text: str) -> bytes:
        return text.encode() + b"\n"

    def _prompt(self, text: str) -> bytes:
        return text.encode()

    def _bytes(self, data: bytes) -> bytes:
        return data if self._raw else b""

    def _queue(self, data: bytes) -> None:
        self._out.append(data)
