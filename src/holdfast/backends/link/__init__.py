"""The backend `link`: applications that connect over the link."""

from __future__ import annotations

from holdfast.backends.base import Backend, Services
from holdfast.backends.link.backend import LinkBackend
from holdfast.backends.link.config import Config as Config


def open(config: Config, services: Services) -> Backend:
    """The backend of one application."""
    return LinkBackend(config.app, services)
