"""The backend `tcp`: a session is a connection to a server."""

from __future__ import annotations

from holdfast.backends.base import Backend, Services
from holdfast.backends.tcp.backend import TcpBackend
from holdfast.backends.tcp.config import Config as Config


def open(config: Config, services: Services) -> Backend:
    """The backend of one upstream."""
    return TcpBackend(services.upstreams[config.upstream], services)
