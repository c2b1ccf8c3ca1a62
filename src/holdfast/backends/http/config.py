"""The keys of a listener whose application is a URL."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from holdfast.backends.base import BackendConfig, Placement
from holdfast.backends.link.config import ANY_APP
from holdfast.core.errors import ConfigurationError
from holdfast.protocols.uris import without_user

PREFIX: Final = "http:"
"""Before the name of the application, in the name of its backend."""
_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
_SECRET_CHARS_MIN: Final = 16


class Config(BackendConfig, frozen=True):
    """The keys of the kind `http`."""

    kind = "http"

    endpoint: str | tuple[str, ...] = ()
    """The URL that events are sent to, `https://` or `http://`; or several, which share them."""
    app: str = ANY_APP
    """The name of the application; with the backend `link`, `*` takes any."""
    secret_files: tuple[str, ...] = ()
    """Files with the secrets that sign each request, the newest first. An application that knows
    one of them can verify it."""
    ca: str = ""
    """PEM certificates that sign the certificates of the endpoints; empty: the system's."""

    @property
    def name(self) -> str:
        return PREFIX + self.app

    @property
    def scope(self) -> str:
        return self.app

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All URLs."""
        return (self.endpoint,) if isinstance(self.endpoint, str) else self.endpoint

    @classmethod
    def from_name(cls, name: str, upstreams: Container[str]) -> BackendConfig | None:
        app = name.removeprefix(PREFIX)
        return cls(app=app) if name.startswith(PREFIX) and re.fullmatch(_NAME, app) else None

    def check(self, placement: Placement) -> None:
        key = placement.key
        if not re.fullmatch(_NAME, self.app):
            raise ConfigurationError(
                f"{key}.app: expected 1 to 64 letters, digits, '.', '_' or '-'; found"
                f" {self.app[:64]!r}"
            )
        if not self.endpoints:
            raise ConfigurationError(f"{key}.endpoint: expected a URL, found none")
        for url in self.endpoints:
            _check_url(f"{key}.endpoint", url)
        read_secrets(f"{key}.secret_files", self.secret_files)
        if self.ca and not Path(self.ca).is_file():
            raise ConfigurationError(f"{key}.ca: expected a file, found {self.ca!r}")


def _check_url(key: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
        good = known and parts.username is None and not parts.fragment and url.isprintable()
    except ValueError:
        good = False
    if not good:
        raise ConfigurationError(
            f"{key}: expected a URL as in 'https://app.internal/holdfast', found"
            f" {without_user(url)!r}"
        )


def read_secrets(key: str, files: tuple[str, ...]) -> tuple[bytes, ...]:
    """The secrets in some files. Raises `ConfigurationError`."""
    secrets = []
    for name in files:
        try:
            secret = Path(name).read_bytes().strip()
        except OSError as error:
            raise ConfigurationError(f"{key}: expected a file with a secret: {error}") from error
        if len(secret) < _SECRET_CHARS_MIN:
            raise ConfigurationError(
                f"{key}: {name}: expected at least {_SECRET_CHARS_MIN} characters, found"
                f" {len(secret)}"
            )
        secrets.append(secret)
    return tuple(secrets)
