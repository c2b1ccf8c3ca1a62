"""The goodbye of the gateway, to a client with a session and to a viewer."""

from __future__ import annotations

import random

from holdfast.core.errors import DISCONNECTS, Reason
from holdfast.gateway.adapters.base import Adapter
from holdfast.gateway.context import Context
from holdfast.net.connection.connection import Connection


def say_goodbye(
    connection: Connection, adapter: Adapter, context: Context, reason: Reason, text: str
) -> float | None:
    """Tell the client why its connection ends, and close.

    If the client is to close first, the connection is still open: it returns until when the
    handler is to wait for that, and the connection calls `expired` then.
    """
    disconnect, limits = DISCONNECTS[reason], context.limits
    context.counts[f"closed_{reason.value}"] += 1
    # A random pause: clients that are disconnected together must not reconnect together.
    retry = random.uniform(0.1, limits.drain.retry_seconds_max)
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
