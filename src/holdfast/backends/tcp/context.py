"""What the bridges of one backend share."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from holdfast.core.clock import Clock
from holdfast.core.limits import Limits
from holdfast.net.upstream.dialler import Dialler
from holdfast.protocols.telnet.charsets import Charsets
from holdfast.sessions.port import SessionPort


class BridgeContext(Struct, frozen=True):
    """What the bridges of one backend use, and how it is configured."""

    port: SessionPort
    dialler: Dialler
    clock: Clock
    at_end_of_tick: Callable[[Callable[[], None]], None]
    limits: Limits
    content: str
    charsets: Charsets
    pauses: bool
    """Whether a server is not read while its client is away and the window is full."""
    redials: bool
    """Whether a server that was lost is connected to again."""
    sends_address: bool
    """Whether a Telnet server is told its client's address."""
