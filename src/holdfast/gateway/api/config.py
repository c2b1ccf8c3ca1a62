"""The table `[api]`: where publishers come in, and their keys."""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct, field

from holdfast.backends.upstream_config import PLAIN, address_at
from holdfast.core.errors import ConfigurationError, inside
from holdfast.gateway.secret_hash import HASHED, hash_of, read_hash
from holdfast.net.server.bind import BindOptions
from holdfast.net.server.bind import check as check_bind
from holdfast.net.tls.config import check_tls_keys, tls_options
from holdfast.net.tls.options import Certificate, TlsOptions

_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
ANY: Final = "*"

Action = Literal["publish", "read", "close"]
ACTIONS: Final = ("publish", "read", "close")


class ApiKey(Struct, frozen=True, forbid_unknown_fields=True):
    """The key of one publisher, and what it may do."""

    name: str
    """What logs call it. Ids of publications are remembered under this name."""
    hash: str = ""
    """`sha256:` and the hexadecimal hash of the key."""
    file: str = ""
    """Instead of `hash`: a file with the key, or with what `hash` says."""
    apps: tuple[str, ...] = ()
    """The applications to whose sessions it is restricted; `*` for all."""
    actions: tuple[Action, ...] = ("publish",)
    """`publish`, `read` (lists of sessions and groups) and `close` (sessions)."""


class ApiConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The HTTP API for other programs."""

    listen: str = ""
    """`tcp://`, `tls://` or `unix:`. Empty: there is no API."""
    key: tuple[ApiKey, ...] = ()
    """The keys; every request shows one."""
    certificate: Certificate | None = None
    tls: TlsOptions | None = None
    """Instead of `certificate`, for `tls://`: client certificates among others."""
    bind: BindOptions = field(default_factory=BindOptions)
    """`mode` and `group` of a Unix socket, among others."""

    @property
    def tls_options(self) -> TlsOptions | None:
        """What to do about TLS, whichever way it was written."""
        return tls_options(self)


def check_api(api: ApiConfig) -> None:
    """Validate what types cannot express. Raises `ConfigurationError` naming the key."""
    if not api.listen:
        if api != ApiConfig():
            raise ConfigurationError("api.listen: expected an address, found none")
        return
    address = address_at("api.listen", api.listen)
    if address.scheme not in PLAIN:
        raise ConfigurationError(
            f"api.listen: expected a tcp://, tls:// or unix: address, found {api.listen!r}"
        )
    check_tls_keys("api", api, address)
    with inside("api.bind"):
        check_bind(address, api.bind)
    if not api.key:
        raise ConfigurationError("api.key: expected at least one [[api.key]], found none")
    for number, key in enumerate(api.key):
        _check_key(f"api.key[{number}]", key, api.key[:number])


def _check_key(where: str, key: ApiKey, others: tuple[ApiKey, ...]) -> None:
    if not re.fullmatch(_NAME, key.name):
        raise ConfigurationError(
            f"{where}.name: expected 1 to 64 letters, digits, '.', '_' or '-'; found"
            f" {key.name[:64]!r}"
        )
    if key.name in [other.name for other in others]:
        raise ConfigurationError(
            f"{where}.name: expected another name than {key.name!r}, which another key has"
        )
    if not key.apps:
        raise ConfigurationError(
            f"{where}.apps: expected the names of applications, or '*' for all; found none"
        )
    if not key.actions:
        raise ConfigurationError(
            f"{where}.actions: expected some of {', '.join(ACTIONS)}; found none"
        )
    key_hash(where, key)


def key_hash(where: str, key: ApiKey) -> bytes:
    """The SHA-256 hash of a key. Raises `ConfigurationError`."""
    if bool(key.hash) is bool(key.file):
        found = "both" if key.hash else "neither"
        raise ConfigurationError(f"{where}: expected either hash or file, found {found}")
    if key.hash:
        if not key.hash.startswith(HASHED):
            raise ConfigurationError(
                f"{where}.hash: expected {HASHED!r} and 64 hexadecimal digits (a key itself"
                " stands in a file)"
            )
        return hash_of(f"{where}.hash", "key", key.hash)
    return read_hash(f"{where}.file: {key.file}", "key", key.file)
