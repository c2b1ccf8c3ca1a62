"""The table `[link]`: the address that applications connect to."""

from __future__ import annotations

import os
from typing import Final

from msgspec import Struct, field

from holdfast.backends.link.secrets import Secrets
from holdfast.backends.upstream_config import address_at
from holdfast.core.errors import ConfigurationError, inside
from holdfast.link.peer import SCHEMES
from holdfast.net.addresses import Address
from holdfast.net.server.bind import BindOptions
from holdfast.net.server.bind import check as check_bind
from holdfast.net.tls.config import check_tls_keys, tls_options
from holdfast.net.tls.options import Certificate, TlsOptions

_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})
_SECRET_CHARS_MIN: Final = 16
"""The shortest secret on TCP, where anybody on the network can guess."""


class LinkConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The address that applications connect to."""

    listen: str = ""
    """The address: `unix:`, `tcp://` or `tls://`. Empty: no application can connect."""
    advertise: str = ""
    """Where applications that are linked to another node on the same database reach this one.
    Otherwise it is `listen`, unless that is an address of all interfaces."""
    secret: str = ""
    """The secret of all applications. It may be empty on a Unix socket, which its file protects."""
    secrets: dict[str, str] = field(default_factory=dict)
    """The secrets of single applications, which replace `secret`."""
    certificate: Certificate | None = None
    tls: TlsOptions | None = None
    """Replaces `certificate` of a `tls://` address, with client certificates and other options."""
    bind: BindOptions = field(default_factory=BindOptions)
    """Options of the socket, as `mode` and `group` of a Unix socket."""

    @property
    def all_secrets(self) -> Secrets:
        return Secrets(self.secret, self.secrets)

    @property
    def tls_options(self) -> TlsOptions | None:
        """The TLS options, from `tls` or `certificate`."""
        return tls_options(self)


def advertised(link: LinkConfig, listens: Address | None) -> str:
    """The address that other nodes name to applications; empty if there is none.

    `listens` has the port that was taken.
    """
    if link.advertise or listens is None:
        return link.advertise
    if listens.scheme == "unix":
        path = listens.path
        return f"unix:{path if path.startswith('@') else os.path.abspath(path)}"
    return "" if listens.host in _EVERYWHERE else str(listens)


def check_link(link: LinkConfig) -> None:
    """Check the table. Raises `ConfigurationError`, which names the key."""
    address = address_at("link.listen", link.listen, SCHEMES)
    with inside("link.bind"):
        check_bind(address, link.bind)
    check_tls_keys("link", link, address)
    if link.advertise:
        address_at("link.advertise", link.advertise, SCHEMES)
    if address.scheme == "unix":
        return
    if not link.all_secrets.asked:
        raise ConfigurationError(
            "link.secret: expected a secret, because link.listen is on TCP; found none"
        )
    named = {f"secrets.{app}": secret for app, secret in link.secrets.items()}
    for key, secret in {"secret": link.secret, **named}.items():
        if len(secret) < _SECRET_CHARS_MIN and (secret or key != "secret"):
            raise ConfigurationError(
                f"link.{key}: expected at least {_SECRET_CHARS_MIN} characters, because"
                f" link.listen is on TCP; found {len(secret)}"
            )
