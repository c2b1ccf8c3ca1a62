"""The goodbye of the gateway, to a client with a session and to a viewer."""

from __future__ import annotations

import random
from typing import Final

from holdfast.core.errors import DISCONNECTS, Reason
from holdfast.core.limits import DrainLimits
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.context import Context
from holdfast.net.connection.connection import Connection

_PAUSE_SECONDS_MIN: Final = 0.1


def advised_pause(
    limits: DrainLimits, leaving: int, entropy: float, per_second: float = 0.0
) -> float:
    """Return the seconds after which a client is to connect again.

    It is a random pause: clients that are disconnected together must not return together. When
    `leaving` clients have to leave at once, as the gateway stops, they are spread over as long as
    the next one needs for them, and the first returns when it may have started. `entropy` is a
    random number from 0 to 1. `per_second` takes the place of the rate in the limits.
    """
    spread = leaving / (per_second or limits.returns_per_second_max)
    first, last = _PAUSE_SECONDS_MIN + spread / 2, limits.retry_seconds_max + spread
    return first + (last - first) * entropy


def say_goodbye(
    connection: Connection, adapter: Adapter, context: Context, reason: Reason, text: str
) -> float | None:
    """Tell the client why its connection ends, and close.

    If the client is to close first, the connection is still open: it returns until when the
    handler is to wait for that, and the connection calls `expired` then.
    """
    disconnect, limits = DISCONNECTS[reason], context.limits
    context.counts[f"closed_{reason.value}"] += 1
    pool = context.pool
    retry = advised_pause(limits.drain, pool.leaving, random.random(), pool.returns_per_second)
    waits = adapter.goodbye(disconnect, text or disconnect.text, retry)
    data = adapter.data_to_send()
    if data:
        connection.write(data)
    connection.flush()
    if not waits:
        connection.close_on()  # a busy client sends until it has read our goodbye
        return None
    until = connection.time() + limits.connection.close_seconds_max
    connection.wake_at(until)
    return until
