"""The backend `echo`: it echoes input."""

from __future__ import annotations

from holdfast.backends.base import Backend, Services
from holdfast.backends.echo.backend import Config, EchoBackend

__all__ = ["Config", "open"]


def open(config: Config, services: Services) -> Backend:
    """The one echo of a gateway."""
    return EchoBackend(services)
