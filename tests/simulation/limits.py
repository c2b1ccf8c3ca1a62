"""Limits that are soon reached."""

from __future__ import annotations

from typing import Final

from holdfast.core.limits import Limits

LIMITS: Final = Limits().but(
    store={"journal_bytes_max": 2_000, "snapshot_bytes_max": 300},
    session={
        "window_messages_max": 20,
        "queue_messages_max": 8,
        "attach_failure_burst_max": 1_000_000,
        "probe_interval_seconds_max": 1.0,
        "unclaimed_seconds_max": 3_600.0,  # no run is so long that a session is given up
    },
)
