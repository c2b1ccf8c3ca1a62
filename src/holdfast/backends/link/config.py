"""The keys of a listener whose sessions belong to an application."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from holdfast.backends.base import BackendConfig, Placement
from holdfast.core.errors import ConfigurationError

ANY_APP: Final = "*"
"""The name of a backend that takes an application of any name: the first one that links."""


class Config(BackendConfig, frozen=True):
    """The keys of the kind `link`."""

    kind = "link"

    app: str = ANY_APP
    """The name of the application; `*` takes any."""

    @property
    def name(self) -> str:
        return self.app

    @property
    def scope(self) -> str:
        return "" if self.app == ANY_APP else self.app

    @classmethod
    def from_name(cls, name: str, upstreams: Container[str]) -> BackendConfig | None:
        return cls(name)  # an application may have any name that no other kind takes

    def check(self, placement: Placement) -> None:
        if placement.is_reserved(self.app):
            raise ConfigurationError(
                f"{placement.key}.app: expected another name than {self.app!r}, which is a"
                " backend's"
            )
        if not placement.link:
            raise ConfigurationError(
                "link.listen: expected an address, because a listener has the backend 'link';"
                " found none"
            )
