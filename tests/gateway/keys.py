"""Writes the keys of the configuration, with defaults, into keys.txt: `python -m
tests.gateway.keys`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from holdfast.backends.echo import Config as EchoConfig
from holdfast.backends.link import Config as LinkBackendConfig
from holdfast.backends.link.server_config import LinkConfig
from holdfast.backends.stream import Config as StreamConfig
from holdfast.backends.tcp import Config as TcpConfig
from holdfast.backends.upstream_config import ServerConfig, UpstreamConfig
from holdfast.gateway.admin.guard import AdminConfig
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.cookies import CookieOptions
from holdfast.gateway.store_config import StoreConfig
from holdfast.net.server.bind import BindOptions
from holdfast.net.server.handshake import ProxyOptions
from holdfast.net.tls.options import Certificate, TlsOptions
from holdfast.protocols.websocket import DeflateSettings

FILE: Final = Path(__file__).with_suffix(".txt")
GROUPS: Final[tuple[type[Struct], ...]] = (
    Config, StoreConfig, LinkConfig, AdminConfig, ListenerConfig, UpstreamConfig, ServerConfig,
    LinkBackendConfig, TcpConfig, StreamConfig, EchoConfig, Certificate, TlsOptions, BindOptions,
    ProxyOptions, CookieOptions, DeflateSettings,
)  # fmt: skip


def keys() -> str:
    """A line for each group and one for each key, which names its group."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    for group in GROUPS:
        closed = group.__struct_config__.forbid_unknown_fields
        name = f"{group.__module__.removeprefix('holdfast.')}.{group.__name__}"
        yield f"{name}: {'no other keys' if closed else 'any other key'}"
        yield from (
            f"{name}: {field.encode_name} {_default(field)}" for field in structs.fields(group)
        )


def _default(field: Any) -> str:
    if field.default is not msgspec.NODEFAULT:
        return f"= {_shown(field.default)}"
    if field.default_factory is msgspec.NODEFAULT:
        return "required"
    return f"= {_shown(field.default_factory())}"


def _shown(value: object) -> str:
    return f"{type(value).__name__}()" if isinstance(value, Struct) else repr(value)


if __name__ == "__main__":
    FILE.write_text(keys())
