"""The kinds of backends: the listener keys of each, and the backends that a gateway has opened.

A new kind is a folder beside these, and a line in `_KINDS`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from msgspec import structs

from holdfast.backends import echo, http, link, pty, ssh, stream, tcp
from holdfast.backends.base import Backend, BackendConfig, Services
from holdfast.backends.link.backend import LinkBackend
from holdfast.backends.stream.backend import StreamBackend
from holdfast.backends.tcp.backend import TcpBackend
from holdfast.backends.terminal.backend import TerminalBackend
from holdfast.backends.upstreams import Upstream
from holdfast.core.errors import ConfigurationError


class Kind(Protocol):
    """The interface of a kind's package."""

    @property
    def Config(self) -> type[BackendConfig]:
        """The keys of a listener that are the kind's own."""

    def open(self, config: Any, services: Services, /) -> Backend:
        """The backend for a `Config`; called once for each name."""


_KINDS: Final[Sequence[Kind]] = (
    tcp,
    stream,
    echo,
    ssh,
    pty,
    http,
    link,  # the last: an application has any name that is left
)

KINDS: Final[Mapping[str, Kind]] = {kind.Config.kind: kind for kind in _KINDS}
"""By the value of `backend = "…"`."""
DEFAULT: Final = link.Config()
"""The default of a listener without a backend."""
SELECTOR: Final = "backend"
"""The key that names the kind."""


def keys_of(kind: Kind) -> set[str]:
    """The keys of a listener that are the kind's own."""
    return {field.encode_name for field in structs.fields(kind.Config)}


OWN_KEYS: Final = frozenset[str]().union(*map(keys_of, _KINDS))
"""Every key that belongs to some kind."""


def split(table: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A listener's table in two: the keys that concern its backend, and the others."""
    concerned = OWN_KEYS | {SELECTOR}
    own = {key: value for key, value in table.items() if key in concerned}
    return own, {key: value for key, value in table.items() if key not in concerned}


def read(key: str, own: Mapping[str, Any]) -> BackendConfig:
    """The configuration of a backend from the first part of `split`; `key` is the listener's.

    Raises `ConfigurationError` for a kind that there is not and a key of another kind, and
    `msgspec.ValidationError` for a value of a wrong type.
    """
    name = own.get(SELECTOR, DEFAULT.kind)
    msgspec.convert(name, str)
    if name not in KINDS:
        raise ConfigurationError(
            f"{key}.{SELECTOR}: expected {_listed(sorted(KINDS), 'or')}, found {name!r}"
        )
    kind = KINDS[name]
    for foreign in own.keys() - keys_of(kind) - {SELECTOR}:
        owners = [other for other, one in KINDS.items() if foreign in keys_of(one)]
        backends = "backend" if len(owners) == 1 else "backends"
        raise ConfigurationError(
            f"{key}.{foreign}: expected only for the {backends} {_listed(owners, 'and')}, found it"
            f" for {name!r}"
        )
    values = {name: value for name, value in own.items() if name != SELECTOR}
    return msgspec.convert(values, kind.Config)


class _Everything(Container[str]):
    """Whatever an upstream may be called, now or later."""

    def __contains__(self, name: object) -> bool:
        return True


def is_reserved(name: str, kind: str) -> bool:
    """Whether a backend of this name would be of another kind."""
    return config_of(name, _Everything()).kind != kind


def config_of(name: str, upstreams: Container[str]) -> BackendConfig:
    """The configuration of the backend of a stored session, by the name kept with it."""
    for kind in _KINDS:
        config = kind.Config.from_name(name, upstreams)
        if config is not None:
            return config
    raise AssertionError("the kind link takes every name")


class Backends:
    """The backends of one gateway. Each is opened on first use.

    `by_name` has those with sessions; it is shared with the parts that look them up by name.
    """

    def __init__(
        self,
        services: Services,
        by_name: dict[str, Backend],
        configured: Iterable[BackendConfig] = (),
    ) -> None:
        self._services = services
        self._configured = {config.name: config for config in configured}
        self._by_name = by_name
        self._opened: dict[BackendConfig, Backend] = {}

    @property
    def all(self) -> list[Backend]:
        """Those that were opened so far."""
        return list(self._opened.values())

    @property
    def with_kinds(self) -> list[tuple[str, Backend]]:
        """Those that were opened so far, each behind the name of its kind."""
        return [(config.kind, backend) for config, backend in self._opened.items()]

    @property
    def links(self) -> dict[str, LinkBackend]:
        """The applications, by name."""
        return {one.name: one for one in self.all if isinstance(one, LinkBackend)}

    @property
    def terminals(self) -> list[TerminalBackend]:
        """Those of terminals."""
        return [one for one in self.all if isinstance(one, TerminalBackend)]

    def open(self, config: BackendConfig) -> Backend:
        """The backend for this configuration."""
        backend = self._opened.get(config)
        if backend is None:
            backend = self._opened[config] = KINDS[config.kind].open(config, self._services)
            if config.has_sessions:
                self._by_name[config.name] = backend
        return backend

    def change_upstream(self, upstream: Upstream) -> None:
        """Let the backends that use the upstream of this name use this one."""
        for config, backend in self._opened.items():
            name = getattr(config, "upstream", None)
            if name == upstream.config.name and isinstance(backend, TcpBackend | StreamBackend):
                backend.change_upstream(upstream)

    def app_of(self, name: str) -> str:
        """What operators call the owner of the sessions that are stored with this name: of a
        backend that takes any application, the one that it serves."""
        backend = self._by_name.get(name)
        return backend.app if backend is not None else name

    def named(self, name: str) -> Backend:
        """The backend of a stored session, also if no listener names it any more."""
        config = self._configured.get(name) or config_of(name, self._services.upstreams)
        return self.open(config)


def _listed(words: Sequence[str], joint: str) -> str:
    *most, last = map(repr, words)
    return f"{', '.join(most)} {joint} {last}" if most else last
