"""The backend `echo`: it echoes input."""

from __future__ import annotations

from holdfast.backends.base import Backend, Services
from holdfast.backends.echo.backend import Config as Config
from holdfast.backends.echo.backend import EchoBackend


def open(config: Config, services: Services) -> Backend:
    """The one echo of a gateway."""
    return EchoBackend(services)
