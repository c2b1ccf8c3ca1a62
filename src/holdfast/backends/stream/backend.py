"""The backend `stream`: what stands on a client's connection is the upstream's proxy."""

from __future__ import annotations

from collections.abc import Container

from holdfast.backends.base import BackendConfig, BaseBackend, Placement
from holdfast.backends.upstream_config import PLAIN, find_upstream
from holdfast.backends.upstreams import Upstream
from holdfast.core.errors import ConfigurationError


class Config(BackendConfig, frozen=True):
    """The keys of the kind `stream`."""

    kind = "stream"
    has_sessions = False

    upstream: str = ""
    """The name of the `[[upstream]]`."""

    @property
    def name(self) -> str:
        return f"stream:{self.upstream}"

    @classmethod
    def from_name(cls, name: str, upstreams: Container[str]) -> BackendConfig | None:
        return None  # no session is a stream's

    def check(self, placement: Placement) -> None:
        scheme = placement.address.scheme
        upstream = find_upstream(f"{placement.key}.upstream", self.upstream, placement.upstreams)
        if scheme not in PLAIN or upstream.telnet:
            raise ConfigurationError(
                f"{placement.key}.backend: 'stream' passes bytes from tcp, tls and unix to tcp,"
                f" tls and unix; found {scheme} to {upstream.all_servers[0].url!r}"
            )


class StreamBackend(BaseBackend):
    """Passes clients on to one upstream."""

    def __init__(self, name: str, upstream: Upstream) -> None:
        self.name = name
        self.change_upstream(upstream)

    def change_upstream(self, upstream: Upstream) -> None:
        """Pass new clients on to the servers of `upstream`; others keep what they have."""
        self.handler = upstream.proxy.handler
