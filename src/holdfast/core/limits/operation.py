"""Limits of the operation of a gateway."""

from __future__ import annotations

from holdfast.core.limits.base import KIB, Group


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
    wrong_tokens_per_minute_max: float = 10.0
    """From one address, sustained."""
    wrong_token_burst_max: int = 10
    """The same at once."""


class DrainLimits(Group, frozen=True, forbid_unknown_fields=True):
    """An orderly stop."""

    drain_seconds_max: float = 10.0
    """From the signal until the last client is notified and its socket closed."""
    retry_seconds_max: float = 2.0
    """Clients reconnect after a random part of this time."""
