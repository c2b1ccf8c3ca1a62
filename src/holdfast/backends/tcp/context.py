"""What the bridges of one backend share."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from holdfast.backends.redial_config import RedialConfig
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
    spoken_options: frozenset[int]
    """The Telnet options that are accepted from servers in addition to the default ones."""
    pauses: bool
    """Whether reading from a server stops while its client is away and the window is full."""
    redial: RedialConfig | None
    """How the gateway connects to a lost server again; `None`: it does not."""
    sends_address: bool
    """Whether a Telnet server gets its client's address."""
