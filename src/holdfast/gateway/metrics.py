"""The metrics for Prometheus: counters that the gateway keeps anyway, read at each scrape.

Nothing here runs for a message. A scrape looks at each session and connection
once: some milliseconds for ten thousand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from holdfast import __version__
from holdfast.core.errors import Reason
from holdfast.gateway import http_metrics
from holdfast.gateway.session_totals import session_totals
from holdfast.gateway.terminal_metrics import terminals
from holdfast.gateway.view import GatewayView
from holdfast.net.loggers import LostLines
from holdfast.net.metric_families import Samples, counter, duration, gauge, gauge_of
from holdfast.net.security_log import SecurityEvent
from holdfast.net.server.metrics import listeners, refusals
from holdfast.sessions.fetching import Fetched
from holdfast.sessions.position import ResetReason
from holdfast.sessions.states import SessionState

_ENDED: Final = SessionState.CLOSED
"""No session that there is is in this state."""


class Metrics:
    """The registry of one gateway."""

    def __init__(self, view: GatewayView) -> None:
        self.admin_requests: Counter[str] = Counter()
        """Answers of the admin listener, by the class of their status: `2xx` …"""
        self.wrong_tokens = 0
        self.registry = CollectorRegistry()
        self.registry.register(_GatewayCollector(view, self))
        ProcessCollector(registry=self.registry)

    def expose(self, accept: str) -> tuple[bytes, str]:
        """The text, in the format that the `Accept` header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class _GatewayCollector(Collector):
    def __init__(self, view: GatewayView, metrics: Metrics) -> None:
        self._view = view
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        """Nothing: the names are this module's own, and collecting early would be a waste."""
        return []

    def collect(self) -> Iterator[Metric]:
        view = self._view
        yield InfoMetricFamily(
            "holdfast_build", "The version that runs.", value={"version": __version__}
        )
        yield gauge("draining", "Whether the gateway is stopping.", float(view.draining()))
        yield from listeners("listener", "clients", view.server)
        yield from listeners("link", "applications", view.link_server)
        yield from _connections(view)
        yield from _sessions(view)
        yield from _store(view)
        yield from _cluster(view)
        yield from _durations(view)
        yield from _upstreams(view)
        yield from terminals(view)
        yield from http_metrics.api(view)
        yield from http_metrics.requests(view)
        yield counter(
            "security_events",
            "What the security log tells, logged or left out.",
            (((event.value,), view.security.counts[event]) for event in SecurityEvent),
            "event",
        )
        yield counter(
            "admin_requests",
            "Answers of the admin listener, by the class of their status.",
            (((kind,), self._metrics.admin_requests[kind]) for kind in ("2xx", "4xx", "5xx")),
            "status",
        )
        yield counter(
            "log_lines_lost",
            "Lines of the log that could not be written.",
            [((), LostLines.count)],
        )
        yield counter(
            "admin_wrong_tokens",
            "Requests to the admin listener with a wrong token.",
            [((), self._metrics.wrong_tokens)],
        )


def _connections(view: GatewayView) -> Iterator[Metric]:
    yield from refusals(view.server)
    yield gauge_of(
        "connections",
        "Connections that have a session, by protocol.",
        (((protocol,), count) for protocol, count in view.pool.by_protocol().items()),
        "protocol",
    )
    yield counter(
        "connections_closed",
        "Connections that the gateway ended, by why.",
        (((why.value,), view.counts[f"closed_{why.value}"]) for why in Reason),
        "reason",
    )
    yield gauge(
        "input_kept_bytes",
        "Input of clients that waits or is incomplete, beyond 4 KiB of a connection, in bytes.",
        view.input_room.used,
    )
    yield counter(
        "input_connections_closed",
        "Connections that were closed because too much input waited.",
        [((), view.input_room.closed)],
    )
    yield gauge(
        "output_unsent_bytes",
        "Unsent output of clients that read too slowly (beyond their write buffers), in bytes.",
        view.output_room.used,
    )
    yield counter(
        "output_connections_closed",
        "Connections that were closed because too much output was unsent.",
        [((), view.output_room.closed)],
    )
    yield gauge_of(
        "link_applications",
        "Instances of applications that are linked, by application.",
        (((name,), link.instances) for name, link in view.backends.links.items()),
        "app",
    )


def _sessions(view: GatewayView) -> Iterator[Metric]:
    counts, totals = view.manager.counts, session_totals(view.manager)
    yield gauge_of(
        "sessions",
        "Sessions, by state.",
        (((one.value,), totals.states[one]) for one in SessionState if one is not _ENDED),
        "state",
    )
    yield gauge("session_viewers", "Viewers of sessions.", totals.viewers)
    yield gauge(
        "session_window_bytes", "Output kept in memory for clients, in bytes.", totals.window_bytes
    )
    yield gauge(
        "session_queue_bytes", "Commands kept in memory for backends, in bytes.", totals.queue_bytes
    )
    yield counter(
        "sessions_closed",
        "Sessions that have ended, by why.",
        (((why.value,), counts.closed[why.value]) for why in Reason),
        "reason",
    )
    yield counter(
        "session_resets",
        "Clients that came back and had to begin afresh, by why.",
        (((why.value,), view.counts[f"resets_{why.value}"]) for why in ResetReason),
        "reason",
    )
    for name, help_, value in (
        ("sessions_created", "New sessions.", counts.created),
        (
            "session_windows_forgotten",
            "Windows of clients that were away, let go because there was no more room.",
            view.manager.retention.windows_forgotten,
        ),
        ("sessions_resumed", "Sessions taken up again.", counts.resumed),
        ("session_outputs", "Numbered outputs of backends.", totals.outputs),
        ("session_commands", "Commands of clients that were taken in.", totals.commands),
        (
            "session_commands_refused",
            "Commands that found their session's queue full.",
            view.counts["commands_refused"],
        ),
        (
            "session_claims_refused",
            "Tokens and codes that gave no session.",
            view.counts["claims_refused"],
        ),
    ):
        yield counter(name, help_, [((), value)])


def _store(view: GatewayView) -> Iterator[Metric]:
    journal = view.journal
    yield gauge(
        "store_writable", "Whether the store takes what it is given.", float(journal.broken is None)
    )
    for name, help_, value in (
        ("store_commits", "Group commits.", journal.commits),
        ("store_commit_failures", "Group commits that the store refused.", journal.failures),
        ("store_written_bytes", "Bytes that commits added to the journal.", journal.written_bytes),
        (
            "store_set_aside",
            "Parts of the store that could not be read at the start.",
            view.manager.counts.set_aside,
        ),
    ):
        yield counter(name, help_, [((), value)])


def _cluster(view: GatewayView) -> Iterator[Metric]:
    status, counts = view.cluster(), view.manager.counts
    yield gauge("nodes", "Gateways that live on this one's store, itself included.", status.nodes)
    yield gauge(
        "store_sign_age_seconds",
        "Since the newest sign of life that the store has answered.",
        status.sign_age_seconds,
    )
    yield counter(
        "nodes_fenced", "Silent nodes that this one took for dead.", [((), status.fenced)]
    )
    yield counter(
        "sessions_fetched",
        "Wishes of clients for sessions of other nodes, by what became of them.",
        [((result.name.lower(),), status.fetched.get(result, 0)) for result in Fetched],
        "result",
    )
    yield counter(
        "sessions_moved",
        "Sessions that came from another node that lives (in), or went to one (out).",
        [(("in",), counts.moved_in), (("out",), counts.moved_out)],
        "direction",
    )
    yield counter("sessions_adopted", "Sessions of nodes that have ended.", [((), counts.adopted)])


def _durations(view: GatewayView) -> Iterator[Metric]:
    manager = view.manager
    for name, help_, counted in (
        (
            "store_commit_seconds",
            "How long the store took for a group commit.",
            view.journal.commit_seconds,
        ),
        (
            "node_adoption_seconds",
            "From when a node is seen to have ended until its sessions can be resumed here.",
            view.cluster().adoption_seconds,
        ),
        (
            "link_round_trip_seconds",
            "How long applications took to answer a heartbeat.",
            view.link_seconds,
        ),
        (
            "session_resume_seconds",
            "From the beginning of a connection until it continues its session.",
            manager.resume_seconds,
        ),
        (
            "session_output_delay_seconds",
            "From an output until it is given to its client's connection, of a sample.",
            manager.delay_seconds,
        ),
    ):
        yield duration(name, help_, counted)


def _upstreams(view: GatewayView) -> Iterator[Metric]:
    now = view.server.runtime.timers.now

    def each(value: Callable[[Any, Any], float]) -> Samples:
        return (
            ((pool.name, target.name), value(pool, target))
            for pool in view.upstreams
            for target in pool.targets
        )

    labels = ("upstream", "server")
    yield gauge_of(
        "upstream_connections",
        "Connections to a server, with attempts under way.",
        each(lambda pool, target: target.active),
        *labels,
    )
    yield gauge_of(
        "upstream_usable",
        "Whether a server can be used: its breaker, its checks and its limit let it.",
        each(lambda pool, target: float(pool.usable(target, now))),
        *labels,
    )
    for name, help_, value in (
        ("connects", "Connections made to a server.", lambda pool, target: target.connected),
        (
            "failures",
            "Attempts that failed, and connections that a server ended without a byte.",
            lambda pool, target: target.failed,
        ),
        ("received_bytes", "Bytes from a server.", lambda pool, target: target.received),
        ("sent_bytes", "Bytes to a server.", lambda pool, target: target.sent),
    ):
        yield counter(f"upstream_{name}", help_, each(value), *labels)
    yield counter(
        "upstream_refused",
        "Clients for whom no server could be used.",
        (((pool.name,), pool.refused) for pool in view.upstreams),
        "upstream",
    )
