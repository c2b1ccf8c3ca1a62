"""The backend `stream`: forwards bytes to a server of an upstream, without a session."""

from __future__ import annotations

from holdfast.backends.base import Backend, Services
from holdfast.backends.stream.backend import Config as Config
from holdfast.backends.stream.backend import StreamBackend


def open(config: Config, services: Services) -> Backend:
    """The backend of one upstream."""
    return StreamBackend(config.name, services.upstreams[config.upstream])
