"""The kinds of metrics, with the prefix of their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric

from holdfast.core.histogram import Histogram

Samples = Iterable[tuple[Sequence[str], float]]
"""The values of the labels, and the value."""
Buckets = Sequence[tuple[str, float]]
"""How many were at most so large; `+Inf` is the last bound."""


def gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(f"holdfast_{name}", help_, value=value)


def gauge_of(name: str, help_: str, samples: Samples, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"holdfast_{name}", help_, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def counter(name: str, help_: str, samples: Samples, *labels: str) -> Metric:
    """A counter; `_total` is added to its name, as its format wants it."""
    family = CounterMetricFamily(f"holdfast_{name}", help_, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def duration(name: str, help_: str, counted: Histogram) -> Metric:
    """A histogram without labels."""
    return histogram(name, help_, [((), buckets_of(counted), counted.sum)])


def buckets_of(counted: Histogram) -> Buckets:
    """What was counted, up to each bound."""
    bounds = [*map(str, counted.bounds), "+Inf"]
    return list(zip(bounds, accumulate(map(float, counted.counts)), strict=True))


def histogram(
    name: str,
    help_: str,
    samples: Iterable[tuple[Sequence[str], Buckets, float]],
    *labels: str,
) -> Metric:
    """A histogram: the values of the labels, the buckets and the sum."""
    family = HistogramMetricFamily(f"holdfast_{name}", help_, labels=labels)
    for values, buckets, total in samples:
        family.add_metric(values, buckets, total)
    return family
