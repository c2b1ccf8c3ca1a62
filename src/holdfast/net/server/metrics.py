"""The counters of a server for Prometheus, read when they are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from holdfast.net.metric_families import Samples, counter, gauge_of
from holdfast.net.server.admission import AdmissionRefusal
from holdfast.net.server.server import Server


class ServerCollector(Collector):
    """What the listeners of a server have counted."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def describe(self) -> Iterable[Metric]:
        """Nothing: the names are this module's own, and collecting early would be a waste."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from listeners("listener", "clients", self._server)
        yield from refusals(self._server)


def listeners(kind: str, who: str, server: Server) -> Iterator[Metric]:
    """What the listeners of a server have counted; `kind` begins the names."""
    tallies = server.tallies
    received: Counter[Any] = Counter()
    sent: Counter[Any] = Counter()
    for connection in server.connections:
        received[connection.listener] += connection.bytes_in
        sent[connection.listener] += connection.bytes_out

    def each(value: Callable[[Any, Any], float]) -> Samples:
        return (((str(at),), value(at, counters)) for at, counters in tallies.items())

    yield gauge_of(
        f"{kind}_connections",
        f"Open connections of {who}.",
        each(lambda at, counters: counters.open),
        "listener",
    )
    for name, help_, value in (
        (
            "accepted",
            f"Connections of {who} that were accepted.",
            lambda at, counters: counters.accepted,
        ),
        (
            "refused",
            f"Connections of {who} that were refused.",
            lambda at, counters: counters.refused,
        ),
        (
            "received_bytes",
            f"Bytes from {who}.",
            lambda at, counters: counters.bytes_in + received[at],
        ),
        ("sent_bytes", f"Bytes to {who}.", lambda at, counters: counters.bytes_out + sent[at]),
    ):
        yield counter(f"{kind}_{name}", help_, each(value), "listener")


def refusals(server: Server) -> Iterator[Metric]:
    """What came to nothing at the listeners of a server."""
    yield counter(
        "listener_handshake_failures",
        "Handshakes that came to nothing: TLS, PROXY headers, requests for a WebSocket.",
        (((str(at),), counters.failed) for at, counters in server.tallies.items()),
        "listener",
    )
    yield counter(
        "connections_refused",
        "Clients that were refused, by reason.",
        (((why.value,), server.refusals[why]) for why in AdmissionRefusal),
        "reason",
    )
