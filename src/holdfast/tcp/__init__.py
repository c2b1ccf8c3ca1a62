"""TCP, TLS and Unix-socket servers for programs of their own. See docs/tcp.md.

```python
import asyncio
from holdfast.tcp import Stream, serve_forever

async def echo(stream: Stream) -> None:
    async for data in stream:
        await stream.write(data)

asyncio.run(serve_forever(echo, "tcp://127.0.0.1:7000"))
```
"""

from __future__ import annotations

from holdfast.core.errors import ConfigurationError, HoldfastError, LimitExceededError
from holdfast.core.limits import ConnectionLimits, UpstreamLimits
from holdfast.net.addresses import Address, InvalidAddressError, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Handler, Phase
from holdfast.net.connection.observer import Observer
from holdfast.net.connection.stream import (
    IdleTimeoutError,
    InvalidHandlerError,
    Stream,
    StreamClosedError,
    serve,
    serve_forever,
)
from holdfast.net.dial.dial import DialError, dial
from holdfast.net.runtime.loop import run
from holdfast.net.runtime.runtime import Runtime as Clockwork
from holdfast.net.server.bind import AddressInUseError, BindOptions
from holdfast.net.server.handshake import HandshakeError, ProxyOptions
from holdfast.net.server.lifecycle import ServerState
from holdfast.net.server.server import ListenOptions, Server, ServerClosedError
from holdfast.net.server.service import serve_until_stopped
from holdfast.net.server.workers import run_workers
from holdfast.net.tls.certificates import ServerTls
from holdfast.net.tls.describe import TlsInfo
from holdfast.net.tls.options import Certificate, TlsOptions
from holdfast.net.upstream.pool import NoUpstreamError
from holdfast.protocols.frames import (
    Chunked,
    Delimited,
    Fixed,
    FrameError,
    FrameTooLargeError,
    Framing,
    LengthPrefixed,
    Netstring,
    VarintPrefixed,
)
from holdfast.tcp.monitoring import metrics
from holdfast.tcp.upstream import Upstream

__all__ = [
    "Address",
    "AddressInUseError",
    "BindOptions",
    "Certificate",
    "Chunked",
    "Clockwork",
    "ConfigurationError",
    "Connection",
    "ConnectionLimits",
    "Delimited",
    "DialError",
    "Fixed",
    "FrameError",
    "FrameTooLargeError",
    "Framing",
    "Handler",
    "HandshakeError",
    "HoldfastError",
    "IdleTimeoutError",
    "InvalidAddressError",
    "InvalidHandlerError",
    "LengthPrefixed",
    "LimitExceededError",
    "ListenOptions",
    "Netstring",
    "NoUpstreamError",
    "Observer",
    "Phase",
    "ProxyOptions",
    "Server",
    "ServerClosedError",
    "ServerState",
    "ServerTls",
    "Stream",
    "StreamClosedError",
    "TlsInfo",
    "TlsOptions",
    "Upstream",
    "UpstreamLimits",
    "VarintPrefixed",
    "dial",
    "metrics",
    "parse_address",
    "run",
    "run_workers",
    "serve",
    "serve_forever",
    "serve_until_stopped",
]
