"""The metrics of HTTP: of the API of publishers, and of applications that are URLs."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from holdfast.backends.base import REQUEST_RESULTS
from holdfast.gateway.api.publications import STATUSES
from holdfast.gateway.view import GatewayView
from holdfast.net.metric_families import buckets_of, counter, histogram

_RESULTS = {"": "carried_out", "repeated": "repeated"} | {code: code for code in STATUSES if code}
"""The label of each result of a publication, by its code."""


def api(view: GatewayView) -> Iterator[Metric]:
    """Publications, and what they have reached; nothing without an API."""
    if view.api is None:
        return
    publications = view.api.publications
    yield counter(
        "api_publications",
        "Publications by HTTP, by what became of them.",
        (((label,), publications.counts[code]) for code, label in _RESULTS.items()),
        "result",
    )
    yield counter(
        "api_deliveries",
        "Outputs for sessions that publications by HTTP have made.",
        [((), publications.delivered)],
    )
    yield counter(
        "api_wrong_keys",
        "Requests to the API with a wrong key.",
        [((), view.api.keyring.wrong)],
    )


def requests(view: GatewayView) -> Iterator[Metric]:
    """Requests to applications that are URLs; nothing without any."""
    counted = [(one.app, one.requests) for one in view.backends.all if one.requests is not None]
    if not counted:
        return
    yield counter(
        "http_requests",
        "Requests to an application that is a URL, by what became of them.",
        (
            ((app, result), counts.results[result])
            for app, counts in counted
            for result in REQUEST_RESULTS
        ),
        "app",
        "result",
    )
    yield histogram(
        "http_request_seconds",
        "From a request to an application that is a URL to the end of its answer.",
        (((app,), buckets_of(counts.seconds), counts.seconds.sum) for app, counts in counted),
        "app",
    )
