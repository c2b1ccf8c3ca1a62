"""The counters of a server for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.net.server.server import Server

if TYPE_CHECKING:
    from prometheus_client.registry import Collector


def metrics(server: Server) -> Collector:
    """What the listeners of `server` have counted, for a registry of `prometheus_client`.

    ```python
    REGISTRY.register(metrics(server))
    ```

    The names are those of the gateway, `holdfast_listener_connections` for example. The counters
    are kept anyway: nothing runs for a connection or a byte.
    """
    from holdfast.net.server.metrics import ServerCollector  # with prometheus_client

    return ServerCollector(server)
