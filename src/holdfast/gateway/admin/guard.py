"""Authorises requests to the admin listener. Pure: no I/O, and the time is an argument."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from enum import Enum
from typing import Final

from msgspec import Struct, field

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import AdminLimits
from holdfast.core.rate import Rate, RateByKey
from holdfast.gateway.secret_hash import hash_of, read_hash
from holdfast.net.addresses import Address, network_of, parse_address, peer_name
from holdfast.net.http.hosts import is_loopback_name
from holdfast.net.server.bind import BindOptions
from holdfast.net.tls.options import Certificate
from holdfast.protocols.uris import split_authority

TOKEN_VARIABLE: Final = "HOLDFAST_ADMIN_TOKEN"
DEFAULT_LISTEN: Final = "tcp://127.0.0.1:9180"


class AdminConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The admin listener, for operators and for Prometheus."""

    listen: str = ""
    """The address: `tcp://`, `tls://` or `unix:`. Empty: there is no admin listener."""
    token_file: str = ""
    """A file with the token, or with `sha256:` and its hash in hexadecimal. Empty: the environment
    variable HOLDFAST_ADMIN_TOKEN has it, in the same form."""
    watch: bool = False
    """Whether operators may watch sessions, read-only, as in the console. Each watch is an entry in
    the security log. A client that shows its viewers shows an operator (terminals, Telnet, TCP)."""
    certificate: Certificate | None = None
    bind: BindOptions = field(default_factory=BindOptions)
    """Options of the socket, as `mode` and `group` of a Unix socket."""


class Access(Enum):
    """The decision on a request: the status of the answer, and the reason."""

    ALLOWED = (200, "")
    MISSING = (401, "expected a token: Authorization: Bearer TOKEN")
    WRONG = (401, "the token is wrong")
    TOO_MANY = (429, "too many wrong tokens; try again later")
    FOREIGN = (403, "not for web pages of other hosts")


def token_hash(config: AdminConfig, environment: Mapping[str, str]) -> bytes | None:
    """The hash of the token, or `None` without one.

    Raises `ConfigurationError` for a token that cannot be used, and where there
    must be one: at any address that others than this machine can reach.
    """
    if config.token_file:
        where = f"admin.token_file: {config.token_file}"
        return read_hash(where, "token", config.token_file)
    token = environment.get(TOKEN_VARIABLE, "").strip()
    if token:
        return hash_of(TOKEN_VARIABLE, "token", token)
    if not _is_local(parse_address(config.listen)):
        raise ConfigurationError(
            f"admin.token_file: expected a token (or {TOKEN_VARIABLE}), because"
            f" {config.listen!r} can be reached from elsewhere; found none"
        )
    return None


def _is_local(address: Address) -> bool:
    """Whether only this machine can reach it."""
    if address.scheme == "unix" or address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False


class Guard:
    """Decides on each request. `hash_` is of the token; `None`: no token is required."""

    def __init__(self, hash_: bytes | None, limits: AdminLimits) -> None:
        self.wrong = 0
        """The number of wrong tokens since the start."""
        self._hash = hash_
        self._rate = RateByKey(
            Rate(limits.wrong_tokens_per_minute_max / 60, limits.wrong_token_burst_max)
        )

    def judge(self, headers: Mapping[str, str], address: str, now: float) -> Access:
        """Whether a request with these headers, from `address`, is answered.

        The right token always is, however many wrong ones come from its address.
        """
        if "Origin" in headers and not _is_own(headers["Origin"], headers.get("Host", "")):
            return (
                Access.FOREIGN
            )  # a browser says so for a page of another host that wants to use us
        if self._hash is None:
            # A page whose host name was made to point here has that name in `Host`.
            host = headers.get("Host", "")
            split = split_authority(host)
            local = not host or (split is not None and is_loopback_name(split[0]))
            return Access.ALLOWED if local else Access.FOREIGN
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return Access.MISSING
        given = hashlib.sha256(token.strip().encode(errors="surrogateescape")).digest()
        if hmac.compare_digest(given, self._hash):
            return Access.ALLOWED
        self.wrong += 1
        network = network_of(peer_name((address, 0)))
        return Access.WRONG if self._rate.spend(network, now) else Access.TOO_MANY


def _is_own(origin: str, host: str) -> bool:
    """Whether a page comes from the host that its request names: the console does.

    The scheme may be another one than ours: a proxy may have ended TLS.
    """
    scheme, _, authority = origin.partition("://")
    return scheme in ("http", "https") and bool(host) and authority.lower() == host.lower()
