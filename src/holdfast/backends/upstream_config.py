"""The configuration of upstreams: servers that clients are forwarded to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct, field

from holdfast.backends.redial_config import RedialConfig, check_redial
from holdfast.core.errors import ConfigurationError
from holdfast.net.addresses import SCHEMES, Address, InvalidAddressError, parse_address
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.charset_config import check_charset
from holdfast.protocols.telnet.charsets import AUTO, UTF_8

_TELNET: Final = frozenset({"telnet", "telnets"})
PLAIN: Final = frozenset({"tcp", "tls", "unix"})
_MCCP: Final = {2: codes.MCCP2, 3: codes.MCCP3}
_NAME: Final = r"[A-Za-z0-9._-]{1,64}"
_WEIGHT_MAX: Final = 1_000
_READY_MAX: Final = 1_000


class ServerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One server of an upstream."""

    url: str
    """The server's address."""
    weight: int = 1
    """The server's share of clients, relative to the weights of the others."""

    @property
    def address(self) -> Address:
        return parse_address(self.url)


class UpstreamConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Servers of one kind, that clients are forwarded to."""

    name: str
    """The name that listeners refer to: 1 to 64 letters, digits, `.`, `_` or `-`."""
    servers: tuple[str | ServerConfig, ...]
    """The addresses: `tcp:// tls:// unix:` or `telnet:// telnets://`."""
    balance: Literal["round_robin", "least_connections", "random_of_two", "hash"] = "round_robin"
    """How a server is selected for a client; `hash`: by the client's address."""
    content: Literal["lines", "bytes"] = "lines"
    """The protocol of sessions on `tcp`, `tls` and `unix`: lines of text, or bytes."""
    charset: str = AUTO
    """The character set of Telnet servers, like that of a listener."""
    charset_fallback: str = UTF_8
    """With `auto`, the character set until one is negotiated or detected."""
    msdp: bool = False
    """Whether MSDP is accepted from a Telnet server that offers it. Its variables are data for the
    client. GMCP is preferred."""
    mxp: bool = False
    """Whether MXP is accepted from a Telnet server that offers it, for clients that have it
    (`mxp` of their listener). Other clients get its text without elements."""
    mccp: tuple[Literal[2, 3], ...] = ()
    """The versions of MCCP that are accepted from a Telnet server that offers them: 2 compresses
    its output, 3 its input."""
    mssp: bool = False
    """Whether the MSSP values of Telnet servers are queried once a minute. Telnet listeners in
    front of them send these to crawlers; the listener's own `mssp` overrides them."""
    on_server_lost: Literal["close", "redial"] = "close"
    """What happens when a server closes a session's connection or cannot be reached: the session
    ends (`close`), or it stays while the gateway connects again (`redial`)."""
    redial: RedialConfig = field(default_factory=RedialConfig)
    """With `on_server_lost = "redial"`: notices for clients, and what happens to their input."""
    away: Literal["drain", "pause"] = "drain"
    """What happens while a session is detached and its window is full: the oldest output is
    dropped (`drain`), or the server is not read (`pause`)."""
    check: bool = False
    """Whether each server is checked by a connection at intervals (health check)."""
    ready: int = 0
    """The number of idle connections that are kept open for new clients of `backend = "stream"`."""
    send_proxy: Literal[0, 1, 2] = 0
    """The version of the PROXY header that carries the client's address; 0: no header."""
    send_address: bool = False
    """Whether a Telnet server gets the client's address: by GMCP (`Holdfast.Client`), and by
    NEW-ENVIRON (MNES `IPADDRESS`) if it asks."""
    ca: str = ""
    """A PEM file of the authorities for the servers' certificates. Empty: those of the system."""

    @property
    def all_servers(self) -> list[ServerConfig]:
        return [ServerConfig(one) if isinstance(one, str) else one for one in self.servers]

    @property
    def spoken_options(self) -> frozenset[int]:
        """The Telnet options that are spoken with servers only where that is configured."""
        options = {code for code, on in ((codes.MSDP, self.msdp), (codes.MXP, self.mxp)) if on}
        return frozenset(options | {_MCCP[version] for version in self.mccp})

    @property
    def secure(self) -> bool:
        return any(server.address.secure for server in self.all_servers)

    @property
    def telnet(self) -> bool:
        return self.all_servers[0].address.scheme in _TELNET


def address_at(key: str, text: str, schemes: Sequence[str] = SCHEMES) -> Address:
    """The address that is configured under `key`. Raises `ConfigurationError` naming both."""
    try:
        return parse_address(text, schemes)
    except InvalidAddressError as error:
        raise ConfigurationError(f"{key}: {error}") from error


def find_upstream(key: str, name: str, upstreams: Sequence[UpstreamConfig]) -> UpstreamConfig:
    """The upstream of this name. Raises `ConfigurationError` naming the key."""
    for upstream in upstreams:
        if upstream.name == name:
            return upstream
    known = ", ".join(repr(one.name) for one in upstreams) or "none is configured"
    raise ConfigurationError(
        f"{key}: expected the name of an [[upstream]] ({known}), found {name!r}"
    )


def check_upstream(key: str, upstream: UpstreamConfig, before: Sequence[UpstreamConfig]) -> None:
    """Validate what types cannot express. Raises `ConfigurationError` naming the key."""
    if not re.fullmatch(_NAME, upstream.name):
        raise ConfigurationError(
            f"{key}.name: expected 1 to 64 letters, digits, '.', '_' or '-', found"
            f" {upstream.name!r}"
        )
    if upstream.name in [other.name for other in before]:
        raise ConfigurationError(f"{key}.name: another upstream is called {upstream.name!r}")
    if not upstream.servers:
        raise ConfigurationError(f"{key}.servers: expected at least one server, found none")
    seen: list[Address] = []
    for number, server in enumerate(upstream.all_servers):
        seen.append(_check_server(f"{key}.servers[{number}]", server, seen))
    if upstream.ca and not upstream.secure:
        raise ConfigurationError(f"{key}.ca: expected only for tls and telnets servers, found one")
    if not 0 <= upstream.ready <= _READY_MAX:
        raise ConfigurationError(f"{key}.ready: expected 0 to {_READY_MAX}, found {upstream.ready}")
    if upstream.ready and upstream.send_proxy:
        raise ConfigurationError(
            f"{key}.ready: expected 0, because send_proxy says at once who the client is; found"
            f" {upstream.ready}"
        )
    if upstream.ready and upstream.balance == "hash":
        raise ConfigurationError(
            f"{key}.ready: expected 0, because balance = 'hash' chooses a server by the client;"
            f" found {upstream.ready}"
        )
    check_redial(f"{key}.redial", upstream.redial, upstream.on_server_lost)
    kind = upstream.all_servers[0].address.scheme
    _check_telnet(key, upstream, kind)
    if upstream.content == "bytes" and upstream.telnet:
        raise ConfigurationError(f"{key}.content: expected 'lines' for telnet, found 'bytes'")


def _check_telnet(key: str, upstream: UpstreamConfig, kind: str) -> None:
    """What only Telnet servers have."""
    check_charset(key, upstream, kind, telnet=upstream.telnet)
    for name in ("send_address", "msdp", "mssp", "mxp", "mccp"):
        if getattr(upstream, name) and not upstream.telnet:
            raise ConfigurationError(
                f"{key}.{name}: expected only for telnet and telnets, found for {kind}"
            )


def _check_server(key: str, server: ServerConfig, seen: Sequence[Address]) -> Address:
    """Whether a server fits to those before it. Returns its address."""
    address = address_at(key, server.url)
    kinds = _TELNET | PLAIN
    if seen:
        kinds = _TELNET if seen[0].scheme in _TELNET else PLAIN
    if address.scheme not in kinds:
        raise ConfigurationError(
            f"{key}: expected one of {', '.join(sorted(kinds))}, found {server.url!r}"
        )
    if address.port == 0 and address.scheme != "unix":
        raise ConfigurationError(f"{key}: expected a port above 0, found {server.url!r}")
    if address in seen:
        raise ConfigurationError(f"{key}: {server.url!r} stands there twice")
    if not 0 < server.weight <= _WEIGHT_MAX:
        raise ConfigurationError(
            f"{key}.weight: expected 1 to {_WEIGHT_MAX}, found {server.weight}"
        )
    return address
