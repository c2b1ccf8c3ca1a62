"""The metrics of terminals: what their backends count anyway, together for each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.metrics_core import Metric

from holdfast.backends.terminal.backend import TerminalBackend
from holdfast.backends.terminal.states import BridgeState
from holdfast.backends.terminal.stats import SECONDS
from holdfast.gateway.view import GatewayView
from holdfast.net.metric_families import Buckets, counter, gauge_of, histogram

_COUNTED = (
    ("opened", "Terminals that were opened.", "opened"),
    ("received_bytes", "Output of servers and commands.", "bytes_in"),
    ("sent_bytes", "Input to servers and commands.", "bytes_out"),
    ("gaps", "Clients that came back when output after their position was gone.", "gaps"),
    ("reattachments", "Clients that came back.", "reattachments"),
    ("pauses", "How often a server was not read, because its client was behind.", "pauses"),
    ("stuck", "Terminals that did not close in time.", "stuck"),
    ("forbidden_changes", "Changes of state that a terminal's state forbids.", "forbidden"),
)
"""The name of a counter, its help, and where it is counted."""


def terminals(view: GatewayView) -> Iterator[Metric]:
    """All of it; nothing without a listener of terminals."""
    backends = _by_kind(view.backends.terminals)
    if not backends:
        return
    states: Counter[tuple[str, str]] = Counter()
    unacknowledged: Counter[str] = Counter()
    for kind, several in backends.items():
        for backend in several:
            for _, one in backend.views():
                states[kind, one.state] += 1
                unacknowledged[kind] += one.unacknowledged_bytes
    yield gauge_of(
        "terminals",
        "Terminals, by state.",
        (((kind, it.value), states[kind, it.value]) for kind in backends for it in BridgeState),
        "kind",
        "state",
    )
    yield gauge_of(
        "terminal_unacknowledged_bytes",
        "Output that clients have not shown yet, in bytes.",
        (((kind,), unacknowledged[kind]) for kind in backends),
        "kind",
    )
    for name, help_, field in _COUNTED:
        yield counter(
            f"terminal_{name}",
            help_,
            (
                ((kind,), sum(getattr(one.counts, field) for one in several))
                for kind, several in backends.items()
            ),
            "kind",
        )
    yield counter(
        "terminal_failures", "Terminals that could not be had.", _failures(backends), "kind", "code"
    )
    yield histogram(
        "terminal_state_seconds",
        "How long terminals were in a state, once they have left it.",
        _durations(backends),
        "kind",
        "state",
    )


def _by_kind(backends: Iterable[TerminalBackend]) -> dict[str, list[TerminalBackend]]:
    found: dict[str, list[TerminalBackend]] = {}
    for one in backends:
        found.setdefault(one.kind, []).append(one)
    return found


def _failures(
    backends: dict[str, list[TerminalBackend]],
) -> Iterator[tuple[Sequence[str], float]]:
    for kind, several in backends.items():
        codes = sum((one.counts.failures for one in several), Counter[str]())
        yield from (((kind, code), count) for code, count in sorted(codes.items()))


def _durations(
    backends: dict[str, list[TerminalBackend]],
) -> Iterator[tuple[Sequence[str], Buckets, float]]:
    for kind, several in backends.items():
        for state in BridgeState:
            counted: Counter[float] = Counter()
            total = 0.0
            for one in several:
                counted += one.counts.seconds.get(state, Counter())
                total += one.counts.seconds_sum.get(state, 0.0)
            yield (kind, state.value), _buckets(counted), total


def _buckets(counted: Counter[float]) -> Buckets:
    """Counts up to each bound, those below it among them."""
    buckets = []
    count = 0
    for bound in (*SECONDS, float("inf")):
        count += counted[bound]
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(count)))
    return buckets
