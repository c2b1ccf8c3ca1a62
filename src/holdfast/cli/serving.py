"""Runs a gateway in this process: signals, and the message at its start."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.net.runtime.loop import calm_collector
from holdfast.net.server.inherited import Inherited, notify
from holdfast.net.server.service import signals


async def serve_gateway(
    config: Config,
    started: Callable[[Gateway], None],
    source: Callable[[], Config] | None = None,
    *,
    inherited: Inherited | None = None,
    reloads: bool = True,
) -> None:
    """Serve until SIGINT or SIGTERM, which drains; a second signal ends at once.

    Uses the sockets that a service manager has opened, or those that are `inherited`, and notifies
    it of state changes. `source` reads the configuration again, for a reload. With `reloads`,
    SIGHUP asks for one; else it stops, as the end of a terminal does.
    """
    gateway = Gateway(config, inherited or Inherited(), source=source)

    def on_start() -> None:
        started(gateway)
        calm_collector()
        notify("READY=1")

    with signals(gateway.stop, gateway.reload if reloads else None):
        await gateway.run(on_start)
