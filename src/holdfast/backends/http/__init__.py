"""The backend `http`: an application that is a URL (docs/http-backend.md)."""

from __future__ import annotations

from holdfast.backends.base import Backend, Services
from holdfast.backends.http.config import Config as Config


def open(config: Config, services: Services) -> Backend:
    """The backend of one application."""
    from holdfast.backends.http.backend import (
        HttpBackend,
    )  # with aiohttp, and only where it is used

    return HttpBackend(config, services)
