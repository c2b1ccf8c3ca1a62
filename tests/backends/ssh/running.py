"""A gateway with terminals on an SSH server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.backends.ssh.servers import SshServer
from tests.gateway.running import TCP, TELNET, WS, serving

from holdfast.backends import ssh
from holdfast.backends.ssh.config import SshOptions, TargetConfig
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.gateway import Gateway


def target(server: SshServer, **fields: Any) -> TargetConfig:
    found: dict[str, Any] = {"name": "box", "host": "127.0.0.1", "port": server.port}
    return TargetConfig(**found | {"user": server.user} | fields)


def configured(
    options: SshOptions, limits: Limits | None = None, urls: Sequence[str] = (WS, TELNET, TCP)
) -> Config:
    return Config(
        listener=tuple(ListenerConfig(url=url, backend=ssh.Config(options)) for url in urls),
        limits=limits or Limits(),
    )


@asynccontextmanager
async def gateway_to(
    server: SshServer,
    limits: Limits | None = None,
    *,
    of_target: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Gateway]:
    """A gateway whose one target is `server`, with its key known."""
    given: dict[str, Any] = {
        "target": (target(server, **(of_target or {})),),
        "known_hosts": server.known_hosts,
    } | options
    async with serving(configured(SshOptions(**given), limits)) as gateway:
        yield gateway
