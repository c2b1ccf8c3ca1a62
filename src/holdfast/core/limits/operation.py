"""Limits of the operation of a gateway."""

from __future__ import annotations

from holdfast.core.limits.base import KIB, MIB, Group


class AdminLimits(Group, frozen=True, forbid_unknown_fields=True):
    """The admin listener."""

    connections_max: int = 64
    """Open connections to the admin listener."""
    head_bytes_max: int = 16 * KIB
    """The head of one request."""
    body_bytes_max: int = 16 * KIB
    """The body of one request."""
    request_seconds_max: float = 15.0
    """From the accepted socket to the last byte of the answer."""
    page_max: int = 1_000
    """Sessions or connections in one answer."""
    watches_max: int = 16
    """Sessions that operators watch at one time."""
    watch_silent_seconds_max: float = 30.0
    """After so long without a request, a watch ends."""
    wrong_tokens_per_minute_max: float = 10.0
    """From one address, sustained."""
    wrong_token_burst_max: int = 10
    """The same at once."""


class ApiLimits(Group, frozen=True, forbid_unknown_fields=True):
    """The HTTP API, and what publishers say over the link."""

    connections_max: int = 1_000
    """Open connections to the API."""
    head_bytes_max: int = 16 * KIB
    """The head of one request."""
    header_count_max: int = 100
    """Header fields of one request."""
    body_bytes_max: int = 1 * MIB
    """The body of one request."""
    request_seconds_max: float = 15.0
    """From the first byte of a request to the end of its body."""
    answer_seconds_max: float = 60.0
    """How long after the end of a request its answer may come."""
    idle_seconds_max: float = 75.0
    """From one answer to the next request."""
    publications_max: int = 1_000
    """Publications in one request."""
    targets_max: int = 1_000
    """Sessions, users and groups that one publication names."""
    items_max: int = 1_000
    """Items of one publication."""
    ids_max: int = 10_000
    """Publications with an `id` that are remembered of each publisher, so that a repeat is known
    for one."""
    id_bytes_max: int = 128
    """The `id` of a publication."""
    page_max: int = 1_000
    """Sessions in one answer."""
    wrong_keys_per_minute_max: float = 10.0
    """From one network, sustained."""
    wrong_key_burst_max: int = 10
    """The same at once."""


class DrainLimits(Group, frozen=True, forbid_unknown_fields=True):
    """An orderly stop."""

    drain_seconds_max: float = 10.0
    """From the signal until the last client is notified and its socket closed."""
    retry_seconds_max: float = 2.0
    """Clients reconnect after a random part of this time; it is longer if many are told to."""
    moves_per_second_max: float = 1_000.0
    """Sessions that a gateway gives to the others on its store before it stops."""
    moves_seconds_max: float = 10.0
    """How long it does so. The others take what is left when it has stopped."""
    returns_per_second_max: float = 4_000.0
    """When a gateway stops, its clients are told to reconnect at no more than this rate."""
