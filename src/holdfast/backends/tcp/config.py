"""The keys of a listener whose sessions are bridged to a server of an upstream."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from holdfast.backends.base import BackendConfig, Placement
from holdfast.backends.upstream_config import UpstreamConfig, find_upstream
from holdfast.core.errors import ConfigurationError

PREFIX: Final = "tcp:"
"""Before an upstream's name, in the name of its backend."""


class Config(BackendConfig, frozen=True):
    """The keys of the kind `tcp`."""

    kind = "tcp"
    raw = True

    upstream: str = ""
    """The name of the `[[upstream]]`."""

    @property
    def name(self) -> str:
        return PREFIX + self.upstream

    @property
    def scope(self) -> str:
        return self.upstream

    @classmethod
    def from_name(cls, name: str, upstreams: Container[str]) -> BackendConfig | None:
        upstream = name.removeprefix(PREFIX)
        return cls(upstream) if name.startswith(PREFIX) and upstream in upstreams else None

    def has_elements(self, upstreams: Sequence[UpstreamConfig]) -> bool:
        return any(one.mxp for one in upstreams if one.name == self.upstream)

    def check(self, placement: Placement) -> None:
        key, scheme = f"{placement.key}.upstream", placement.address.scheme
        upstream = find_upstream(key, self.upstream, placement.upstreams)
        if upstream.content == "bytes" and scheme not in ("ws", "wss"):
            raise ConfigurationError(
                f"{key}: expected a listener on ws or wss, because the content of"
                f" {upstream.name!r} is 'bytes'; found {scheme}"
            )
