"""The options that `serve` and `connect` share, and the limits they stand for."""

from __future__ import annotations

from typing import Literal, TypedDict

from holdfast.core.limits import Limits
from holdfast.core.rate import flow_rates
from holdfast.protocols.websocket import DeflateSettings
from holdfast.websocket.lifecycle import SlowPolicy, WebSocketSettings

Compression = Literal["deflate"] | DeflateSettings | None
"""`"deflate"` for the usual settings, or settings of your own; `None` for none."""


class Options(TypedDict, total=False):
    """Where a value is not given, `limits` has it."""

    limits: Limits
    """Every limit; the options below replace single ones."""
    ping_interval: float | None
    """Seconds between pings; `None`: none. By default `websocket.heartbeat_seconds_max`."""
    ping_timeout: float | None
    """Seconds of silence after a ping until the peer counts as gone; `None`: never."""
    open_timeout: float
    """`connection.handshake_seconds_max`."""
    close_timeout: float
    """`connection.close_seconds_max`."""
    max_size: int
    """Bytes of a message, decompressed: `websocket.message_bytes_max`, 1 MiB if not given."""
    max_queue: int
    """`websocket.queue_messages_max`."""
    write_limit: int
    """`connection.write_buffer_bytes_max`."""
    slow: SlowPolicy
    """What `send` does while the peer does not read: `wait`, `drop-volatile` or `close`."""


def settings(options: Options) -> WebSocketSettings:
    """What `options` come to. Raises `ConfigurationError` for a value out of range."""
    given = options.get("limits", Limits())
    limits = given.but(
        connection=_given(
            handshake_seconds_max=options.get("open_timeout"),
            close_seconds_max=options.get("close_timeout"),
            write_buffer_bytes_max=options.get("write_limit"),
        ),
        websocket=_given(
            message_bytes_max=options.get("max_size"),
            frame_bytes_max=options.get("max_size"),
            queue_messages_max=options.get("max_queue"),
        ),
    )
    heartbeat = limits.websocket.heartbeat_seconds_max
    return WebSocketSettings(
        limits=limits,
        ping_interval=options.get("ping_interval", heartbeat),
        ping_timeout=options.get("ping_timeout", heartbeat),
        slow=options.get("slow", "wait"),
        rates=flow_rates(limits.websocket),
    )


def _given(**values: float | None) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}
