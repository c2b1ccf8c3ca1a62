"""The interface of adapters.

Inbound, an adapter turns bytes into `events`; outbound, it turns outputs and `notifications`
into bytes, which it queues. It does no I/O and knows no session; the `Driver` of a connection
uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from holdfast.core.errors import Disconnect
from holdfast.core.identity import ClientFacts
from holdfast.core.items import Output
from holdfast.core.rate import Rate
from holdfast.gateway.adapters.events import Event
from holdfast.gateway.adapters.notifications import Notification
from holdfast.gateway.adapters.snapshot import AdapterSnapshot

TOKEN_BYTES: Final = 64
"""The cost of a protocol unit in addition to its bytes, however small it is."""


class Adapter(Protocol):
    """One connection's translation. Methods that queue bytes return nothing; the bytes are
    fetched with `data_to_send`. `now` is the runtime's time."""

    forwarded: Sequence[str]
    """What a proxy's request says of whom it speaks for, until the connection is told."""
    credential: str
    """The token in its client's request, until it is judged; empty if there is none."""

    @property
    def handshake_failed(self) -> bool:
        """Whether the request with which its client began was refused."""

    @property
    def protocol(self) -> str:
        """Its name for users and applications: `telnet`, `websocket`, `tcp` …"""

    @property
    def numbered(self) -> bool:
        """Whether its client numbers commands."""

    @property
    def wants_token(self) -> bool:
        """Whether its client can keep a token."""

    @property
    def takes_tokens(self) -> bool:
        """Whether its client takes another token while it is connected."""

    @property
    def wants_code(self) -> bool:
        """Whether its user can type a code."""

    @property
    def takes_credentials(self) -> bool:
        """Whether its client can be asked for a token while it is connected."""

    @property
    def facts(self) -> ClientFacts:
        """What its client's request says."""

    @property
    def pings(self) -> bool:
        """Whether `heartbeat` makes a living client answer."""

    @property
    def input_rate(self) -> Rate:
        """How much its client may send, in bytes."""

    @property
    def slice_bytes(self) -> int:
        """The most bytes for one call of `receive_data`."""

    @property
    def unread(self) -> bool:
        """Whether some of what it was given waits for the next call of `receive_data`, with more
        input or without, because it became too much at once."""

    @property
    def tokens(self) -> int:
        """How many units of the protocol have come, lines among them: each costs something."""

    @property
    def pending(self) -> int:
        """How much memory its client's input takes that is no event yet, in bytes."""

    def discard_input(self) -> None:
        """Drop that input: the connection ends, and nothing is read any more."""

    def begin(self, now: float) -> list[Event]:
        """The connection is there."""

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Return the events in `data`. Never raises for bytes of a client."""

    def receive_eof(self) -> list[Event]:
        """The client sends nothing more."""

    def data_to_send(self) -> bytes:
        """Return the queued bytes, once."""

    def next_deadline(self) -> float | None:
        """When `handle_timer` wants to be called."""

    def handle_timer(self, now: float) -> list[Event]:
        """A deadline has passed."""

    def encode(self, first: int, items: Sequence[Output | None]) -> bytes:
        """Outputs numbered from `first` on, for the caller to write. Hot path."""

    def encode_volatile(self, item: Output) -> bytes:
        """An output without a number."""

    def notify(self, notification: Notification) -> None:
        """Tell the client what happened to its session."""

    def probe(self, number: int, now: float) -> bool:
        """Ask for proof that outputs up to `number` have arrived; it comes as `Proven`.

        False if the client cannot be asked, or owes an answer already.
        """

    def heartbeat(self) -> None:
        """Ask for a sign of life. Only where `pings`."""

    def snapshot(self, now: float) -> AdapterSnapshot:
        """All that this adapter knows of its client, with the queued bytes, which stay queued.

        Raises `SnapshotError` while it cannot be written down.
        """

    def restore(self, taken: AdapterSnapshot, now: float) -> None:
        """Be what `taken` was. This adapter is new, and of the same kind of listener; `begin` is
        not called. Raises `SnapshotError` for a snapshot of another kind."""

    def goodbye(self, disconnect: Disconnect, text: str, retry_seconds: float) -> bool:
        """Say why the connection ends. True if the client is to close first."""
