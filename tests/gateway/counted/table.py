"""The table of exchanges: what was done, and all that has changed by it.

Keys are the samples' names without `holdfast_`, with the labels' values; an
address or a name from the configuration stands as its label: `{listener}`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families as parse_text
from tests.gateway.admin.asking import TOKEN, ask
from tests.gateway.certificates import certificate
from tests.gateway.running import (
    WS,
    Stage,
    configured,
)

from holdfast.core.limits import Limits
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway

Found = dict[str, float]

CONFIGURED: Final = frozenset({"listener", "app", "upstream", "server", "version"})
"""Labels whose values come from the configuration."""


_SHAPES: Final = ("_seconds_bucket", "_seconds_sum")
"""What says how long something took: its `_seconds_count` says how often."""


SECONDS_TO_SETTLE: Final = 15.0
"""What is done may take so long to show."""


class Some:
    """Any number above none."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and other > 0

    def __repr__(self) -> str:
        return "some"


SOME: Any = Some()


def found_in(text: str) -> Found:
    """The samples in a scrape, but for the process's own."""
    found: Found = defaultdict(float)
    for family in parse_text(text):
        for sample in family.samples:
            if sample.name.startswith("holdfast_") and not sample.name.endswith(_SHAPES):
                labels = sorted(sample.labels.items())
                values = ",".join(key if key in CONFIGURED else value for key, value in labels)
                name = sample.name.removeprefix("holdfast_")
                found[f"{name}{{{values}}}" if values else name] += sample.value
    return dict(found)


class Meter:
    """Scrapes a gateway, and does not count itself."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._scrapes = 0

    async def read(self) -> Found:
        answer = await ask(self._gateway, "/metrics", token=TOKEN)
        assert answer.status == 200
        found = found_in(answer.body.decode())
        found["admin_requests_total{2xx}"] -= self._scrapes  # those before this one
        self._scrapes += 1
        return found


# --- exchanges


@dataclass(frozen=True)
class Scene:
    """A gateway that runs, and perhaps an application."""

    gateway: Gateway
    folder: Path
    stage: Stage


Deed = Callable[[Scene], AsyncIterator[Found | None]]
Configuration = Callable[[Path], Config]


@dataclass(frozen=True)
class Exchange:
    """What is done, and what it changes."""

    deed: Callable[[Scene], AbstractAsyncContextManager[Found | None]]
    grows: Found
    config: Configuration
    app: Callable[[], Stage] | None


EXCHANGES: dict[str, Exchange] = {}

UNCERTAIN: Final = frozenset(
    {
        "listener_received_bytes_total{listener}",
        "listener_sent_bytes_total{listener}",
        "link_received_bytes_total{listener}",
        "link_sent_bytes_total{listener}",
        "store_commits_total",
        "store_written_bytes_total",
        "session_window_bytes",
        "store_commit_seconds_count",
        "session_output_delay_seconds_count",
        "session_resume_seconds_count",
        "link_round_trip_seconds_count",
    }
)
"""These change in nearly every exchange, by how much hangs on random tokens and on time. They
are looked at in the exchanges that name them."""


def echoing(*urls: str, **limits: dict[str, float]) -> Configuration:
    """A gateway that answers by itself."""
    return lambda folder: configured(
        folder, urls or (WS,), backend="echo", limits=Limits().but(**limits)
    )


def applied(*urls: str, **limits: dict[str, float]) -> Configuration:
    """A gateway with an application behind it."""
    return lambda folder: configured(
        folder, urls or (WS,), app="stage", limits=Limits().but(**limits)
    )


def exchange(
    grows: Found,
    config: Configuration = echoing(WS),  # noqa: B008 - it makes nothing yet
    app: Callable[[], Stage] | None = None,
    name: str = "",
) -> Callable[[Deed], Deed]:
    """A row of `EXCHANGES`. The deed yields what it has measured, once it is done."""

    def add(deed: Deed) -> Deed:
        EXCHANGES[name or deed.__name__] = Exchange(asynccontextmanager(deed), grows, config, app)
        return deed

    return add


def grown(before: Found, after: Found, expected: Found) -> Found:
    """By how much each has changed."""
    return {
        name: value - before.get(name, 0.0)
        for name, value in after.items()
        if value != before.get(name, 0.0) and (name in expected or name not in UNCERTAIN)
    }


def came(protocol: str, state: str = "active", count: int = 1) -> Found:
    """What it changes that clients have come, and are there."""
    return {
        "listener_connections{listener}": count,
        "listener_accepted_total{listener}": count,
        f"connections{{{protocol}}}": count,
        f"sessions{{{state}}}": count,
        "sessions_created_total": count,
    }


CAME_AND_WENT: Final[Found] = {"listener_accepted_total{listener}": 1, "sessions_created_total": 1}


# --- what several of them need


def secured(folder: Path) -> Config:
    listener = structs.replace(
        echoing("tls://127.0.0.1:0")(folder).listener[0], certificate=certificate(folder)
    )
    return structs.replace(echoing()(folder), listener=(listener,))


async def ends_by_itself(gateway: Gateway, said: bytes = b"") -> None:
    """A connection that is turned away, whether it says something or not."""
    with contextlib.suppress(ConnectionError):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.addresses[0].port)
        writer.write(said)
        await reader.read()
        writer.transport.abort()
