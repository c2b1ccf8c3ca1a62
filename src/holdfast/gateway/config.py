"""The gateway's configuration: one TOML file, converted to types and checked before it is used.

```toml
[store]
path = "data/sessions.db"          # or url = "postgresql://…"; without it, only in memory

[link]
listen = "unix:data/link.sock"     # where applications connect

[admin]
listen = "tcp://127.0.0.1:9180"    # health, metrics, `holdfast sessions` and more
token_file = "/etc/holdfast/admin.token"

[api]
listen = "tcp://127.0.0.1:9181"    # publish from any program: `holdfast publish` and the like

[[api.key]]
name = "shop-workers"
file = "/etc/holdfast/shop.key"
apps = ["shop"]

[[listener]]
url = "telnet://0.0.0.0:4000"

[[listener]]
url = "wss://0.0.0.0:8443/ws"
durability = "durable"             # memory, fast or durable
certificate = { cert = "cert.pem", key = "key.pem" }
pages = "site"                     # a folder of static files
play = { title = "My MUD" }        # a MUD client for browsers, at /play/
deflate = {}                       # compress messages (permessage-deflate); may set its parameters

[[upstream]]                       # servers that are not applications of Holdfast
name = "mud"
servers = ["telnet://10.0.0.1:4000", { url = "telnet://10.0.0.2:4000", weight = 2 }]
balance = "least_connections"

[[listener]]
url = "telnet://0.0.0.0:4001"
backend = "tcp"                    # each session has a connection to a server …
upstream = "mud"

[[listener]]
url = "tcp://0.0.0.0:9000"
backend = "stream"                 # … or bytes are forwarded, without sessions
upstream = "metrics"

[[listener]]
url = "tls://[::]:4433"
bind = { dual_stack = true }
proxy = { trust = ["10.0.0.0/8"] } # load balancers that send a PROXY header
[listener.tls]                     # instead of `certificate`: all TLS options
certificates = [{ cert = "a.pem", key = "a.key" }, { cert = "b.pem", key = "b.key" }]
client_certificates = "required"
client_ca = "clients.pem"
```
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field, structs

from holdfast.backends import registry
from holdfast.backends.base import BackendConfig, Placement
from holdfast.backends.link.server_config import LinkConfig, check_link
from holdfast.backends.upstream_config import PLAIN, UpstreamConfig, address_at, check_upstream
from holdfast.core.errors import ConfigurationError, inside
from holdfast.core.limits import Limits
from holdfast.gateway.admin.guard import AdminConfig, token_hash
from holdfast.gateway.api.config import ApiConfig, check_api
from holdfast.gateway.auth.options import AuthOptions, check_auth
from holdfast.gateway.auth.request import RequestOptions, check_request
from holdfast.gateway.config_faults import explain, in_words, key_in_words
from holdfast.gateway.cookies import CookieOptions, check_cookie
from holdfast.gateway.play_config import PlayConfig, check_play
from holdfast.gateway.store_config import StoreConfig, check_store
from holdfast.gateway.telnet_config import TelnetConfig, check_telnet
from holdfast.net.addresses import Address, parse_address
from holdfast.net.http.hosts import check_host
from holdfast.net.server.bind import BindOptions
from holdfast.net.server.bind import check as check_bind
from holdfast.net.server.forwarded import ForwardedOptions, ForwardingProxies
from holdfast.net.server.handshake import ProxyOptions, TrustedProxies
from holdfast.net.tls.config import check_tls_keys, tls_options
from holdfast.net.tls.options import Certificate, TlsOptions
from holdfast.protocols.telnet.charset_config import check_charset
from holdfast.protocols.telnet.charsets import AUTO, UTF_8
from holdfast.protocols.uris import parse_origin
from holdfast.protocols.websocket import DeflateSettings
from holdfast.protocols.websocket.handshake import SELF


class ListenerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """An address that clients connect to, and how they are served."""

    url: str
    """The protocol and the address: `ws:// wss:// telnet:// telnets:// tcp:// tls://` with a host
    and a port, or `unix:` with a path."""
    backend: BackendConfig = registry.DEFAULT
    """What serves the clients: an application (`link`), an application that is a URL (`http`), a
    connection to a server of an upstream
    for each session (`tcp`), a server of an upstream to which bytes are forwarded without a
    session (`stream`), a terminal on an SSH server (`ssh`), a terminal with a local command
    (`pty`), or an echo (`echo`). Each kind adds its own keys to the listener."""
    durability: Literal["memory", "fast", "durable"] = "fast"
    """What a crash of the gateway may lose: all sessions (`memory`), the output of the last
    milliseconds (`fast`), or nothing (`durable`). Terminals (`ssh`, `pty`) are never stored."""
    resume: bool = True
    """Whether the sessions of the listener can be resumed. `false`: a session ends with its
    connection and is never stored; clients get neither codes nor tokens, and resume no session
    here."""
    certificate: Certificate | None = None
    tls: TlsOptions | None = None
    """Replaces `certificate` where more is needed: several certificates, client certificates,
    versions, ciphers, ALPN."""
    starttls: Literal["", "offered", "required"] = ""
    """Whether a `telnet` listener offers the Telnet option START_TLS, with `certificate` or `tls`.
    `required`: a client that refuses it is disconnected."""
    bind: BindOptions = field(default_factory=BindOptions)
    proxy: ProxyOptions | None = None
    """The proxies whose PROXY headers are trusted for the client's address."""
    origins: tuple[str, ...] = ()
    """The web origins whose pages may connect, as in `https://example.org`. `self` is the host that
    a request names, `*` is any origin. Empty: `self`."""
    hosts: tuple[str, ...] = ()
    """The host names that requests may name, without ports; `*` is any. Empty: any; on a loopback
    address, a request that names the listener's own port must name a loopback host."""
    pages: str = ""
    """A folder of static files that a WebSocket listener serves over HTTP. Names that begin with a
    dot are not served. `404.html` is the page for paths that do not exist."""
    play: PlayConfig | None = None
    """A MUD client for browsers at `/play/`, on a WebSocket listener; `{}` is the default page."""
    page_headers: dict[str, str] = field(default_factory=dict)
    """Header fields for each page. They are added to the default fields or replace them; an empty
    value removes a default field. HTTP Strict Transport Security is off by default:
    `{ Strict-Transport-Security = "max-age=31536000" }` sets it."""
    cookie: CookieOptions = field(default_factory=CookieOptions)
    """The cookie that identifies the session of a WebSocket client without a sub-protocol."""
    charset: str = AUTO
    """The character set of Telnet clients, by any name that Python knows. `auto`: the negotiated
    one, else the one detected from the client's first line beyond ASCII, else UTF-8."""
    charset_fallback: str = UTF_8
    """With `auto`, the character set until one is negotiated or detected."""
    ansi: bool = False
    """Whether colours and styles in text (escape sequences) are read. Clients of `holdfast.v1` get
    them as spans, Telnet clients in the colours that they have, all others plain text. Other escape
    sequences are left out. `false`: the text of a server passes as it is, fitted to the colours
    of Telnet clients; in an application's text, escape sequences are shown, not sent."""
    wrap: bool = False
    """Whether lines for Telnet clients are wrapped at the width of the window, if the client
    reports it (NAWS). Lines for screen readers are never wrapped."""
    telnet: TelnetConfig = field(default_factory=TelnetConfig)
    """The Telnet options that clients are refused, or offered in addition."""
    msdp: bool = False
    """Whether Telnet clients are offered MSDP. A client without GMCP receives data as MSDP
    variables; its MSDP commands (`REPORT`, `SEND`) are data for the application."""
    mssp: dict[str, str | int | list[str]] = field(default_factory=dict)
    """The variables that MUD crawlers get by MSSP. `NAME` is required; `PLAYERS` and `UPTIME` are
    added by default."""
    mxp: bool = False
    """Whether Telnet clients are offered MXP. Of an application, spans of the style `send` in
    formatted text are then clickable commands; users' text never becomes an element. With an
    upstream that has `mxp` as well, the elements of its servers are passed on."""
    mccp: tuple[Literal[2, 3], ...] = ()
    """The versions of MCCP that Telnet clients are offered: 2 compresses output, 3 input. For each
    client, version 2 takes 4 kB of memory and version 3 up to 40 kB. With TLS, compression may
    reveal secrets."""
    forwarded: ForwardedOptions | None = None
    """The HTTP proxies that are trusted for the client's address (`X-Forwarded-For`)."""
    request: RequestOptions = field(default_factory=RequestOptions)
    """Which parts of a WebSocket client's request its backend gets."""
    auth: AuthOptions | None = None
    """How clients prove who they are. Absent: they need not, or the backend asks them."""
    deflate: DeflateSettings | None = None
    """How messages are compressed with WebSocket clients that offer permessage-deflate. Absent: no
    compression."""

    @property
    def address(self) -> Address:
        return parse_address(self.url)

    @property
    def tls_options(self) -> TlsOptions | None:
        """The TLS options, from `tls` or `certificate`."""
        return tls_options(self)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration file."""

    listener: tuple[ListenerConfig, ...]
    upstream: tuple[UpstreamConfig, ...] = ()
    node: str = "gateway"
    """The name of this gateway in logs and in applications."""
    traces: bool = False
    """Whether commands to applications are traced with OpenTelemetry (`pip install
    holdfast[otel]`)."""
    store: StoreConfig = field(default_factory=StoreConfig)
    link: LinkConfig = field(default_factory=LinkConfig)
    admin: AdminConfig = field(default_factory=AdminConfig)
    api: ApiConfig = field(default_factory=ApiConfig)
    limits: Limits = field(default_factory=Limits)


def load(path: Path) -> Config:
    """Read a file. Raises `ConfigurationError`, which names the file, the key, the value that was
    found and what was expected."""
    text = read(path)
    try:
        return parse(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {in_words(str(error))}") from error


def read(path: Path) -> str:
    """Read the text of a file. Raises `ConfigurationError`."""
    try:
        return path.read_text()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{path}: expected a TOML file, found none; `holdfast config --example` prints one to"
            " begin with"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: expected a TOML file: {error}") from error


def parse(text: str) -> Config:
    """Read the text of a configuration. Raises `ConfigurationError`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"not TOML: {error}") from error
    try:
        config = convert(data)
    except msgspec.ValidationError as error:
        raise ConfigurationError(explain(str(error), data, Config)) from error
    check(config)
    return config


def convert(data: dict[str, Any]) -> Config:
    """Convert to the types. The registry converts the keys that belong to a listener's backend."""
    tables = data.get("listener")
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        return msgspec.convert(data, type=Config)  # raises the error
    parts = [registry.split(table) for table in tables]
    config = msgspec.convert({**data, "listener": [rest for _, rest in parts]}, type=Config)
    listeners = [
        structs.replace(listener, backend=_read_backend(f"listener[{number}]", own))
        for number, (listener, (own, _)) in enumerate(zip(config.listener, parts, strict=True))
    ]
    return structs.replace(config, listener=tuple(listeners))


def _read_backend(key: str, own: Mapping[str, Any]) -> BackendConfig:
    try:
        return registry.read(key, own)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        raise msgspec.ValidationError(f"{message} - at `$.{key}{where or '.backend`'}") from error


def check(config: Config) -> None:
    """Check what types cannot express. Raises `ConfigurationError`, which names the key."""
    for step in steps_of(config):
        step()


def steps_of(config: Config) -> Iterator[Callable[[], None]]:
    """The single steps of `check`. Each finds what is wrong in its part, whatever others find."""
    yield partial(_check_any, config)
    yield partial(check_store, config.store)
    for number, upstream in enumerate(config.upstream):
        yield partial(check_upstream, f"upstream[{number}]", upstream, config.upstream[:number])
    for number, listener in enumerate(config.listener):
        for step in _LISTENER_STEPS:
            yield partial(step, f"listener[{number}]", listener, config)
        yield partial(_check_backend, number, config.listener)
    yield partial(_check_admin, config.admin)
    yield partial(check_api, config.api)
    if config.link.listen:
        yield partial(check_link, config.link)


def _check_any(config: Config) -> None:
    if not config.listener:
        raise ConfigurationError("listener: expected at least one [[listener]], found none")


def _check_backend(number: int, listeners: Sequence[ListenerConfig]) -> None:
    """A backend that several listeners name is the same for all."""
    backend = listeners[number].backend
    for other, listener in enumerate(listeners[:number]):
        if listener.backend.name == backend.name and listener.backend != backend:
            raise ConfigurationError(
                f"listener[{number}].backend: expected the keys of [[listener]] {other + 1}, whose"
                f" backend is {backend.name!r}, too; found others"
            )


def _check_admin(admin: AdminConfig) -> None:
    if not admin.listen:
        if admin != AdminConfig():
            raise ConfigurationError("admin.listen: expected an address, found none")
        return
    address = address_at("admin.listen", admin.listen)
    if address.scheme not in PLAIN:
        raise ConfigurationError(
            f"admin.listen: expected a tcp://, tls:// or unix: address, found {admin.listen!r}"
        )
    if address.secure is not (admin.certificate is not None):
        expected, found = ("one", "none") if address.secure else ("none", "one")
        raise ConfigurationError(
            f"admin.certificate: expected {expected} for {address.scheme}, found {found}"
        )
    with inside("admin.bind"):
        check_bind(address, admin.bind)
    token_hash(admin, os.environ)


def _check_address(key: str, listener: ListenerConfig, config: Config) -> None:
    address = address_at(f"{key}.url", listener.url)
    if listener.starttls and address.scheme != "telnet":
        raise ConfigurationError(
            f"{key}.starttls: expected only for telnet, found for {address.scheme}"
        )


def _check_tls(key: str, listener: ListenerConfig, config: Config) -> None:
    check_tls_keys(key, listener, listener.address, wanted=bool(listener.starttls))


def _check_sockets(key: str, listener: ListenerConfig, config: Config) -> None:
    address = listener.address
    with inside(f"{key}.bind"):
        check_bind(address, listener.bind)
    if listener.proxy is not None:
        with inside(f"{key}.proxy"):
            TrustedProxies(listener.proxy)


def _check_behind(key: str, listener: ListenerConfig, config: Config) -> None:
    """What is behind the listener."""
    backend = listener.backend
    backend.check(
        Placement(
            key=key,
            address=listener.address,
            upstreams=config.upstream,
            link=config.link.listen,
            is_reserved=lambda name: registry.is_reserved(name, backend.kind),
        )
    )


def _check_kept(key: str, listener: ListenerConfig, config: Config) -> None:
    """Whether what is to be stored can be."""
    backend = listener.backend
    stored = listener.resume and backend.has_sessions and not backend.terminal
    if stored and listener.durability != "memory" and not config.store.kept:
        raise ConfigurationError(
            f"store.path: expected a path, because {key_in_words(f'{key}.durability')} is"
            f" {listener.durability!r}; found none"
        )


def _check_telnet_keys(key: str, listener: ListenerConfig, config: Config) -> None:
    """Check the keys that only Telnet listeners have."""
    address, backend = listener.address, listener.backend
    telnet = address.scheme in ("telnet", "telnets")
    check_charset(key, listener, address.scheme, telnet=telnet)
    if listener.mssp and "NAME" not in listener.mssp:
        raise ConfigurationError(f"{key}.mssp: expected a NAME, found {', '.join(listener.mssp)}")
    if listener.ansi and (backend.terminal or not backend.has_sessions):
        raise ConfigurationError(
            f"{key}.ansi: expected only with sessions of text, found with"
            f" backend = {backend.kind!r}"
        )
    if listener.mxp and not backend.has_elements(config.upstream):
        raise ConfigurationError(
            f"{key}.mxp: expected only with an application, or an upstream with mxp; found with"
            f" backend = {backend.kind!r}"
        )
    check_telnet(f"{key}.telnet", listener.telnet)
    for name in ("mccp", "msdp", "mssp", "mxp", "telnet", "wrap"):
        if getattr(listener, name) != getattr(_DEFAULTS, name) and not telnet:
            raise ConfigurationError(
                f"{key}.{name}: expected only for telnet and telnets, found for {address.scheme}"
            )


def _check_web(key: str, listener: ListenerConfig, config: Config) -> None:
    """Check the keys that only WebSocket listeners have."""
    address = listener.address
    for number, origin in enumerate(listener.origins):
        if origin not in _ORIGIN_WORDS and (parse_origin(origin) is None or "*" in origin):
            raise ConfigurationError(
                f"{key}.origins[{number}]: expected '*' or an origin as in 'https://example.org',"
                f" found {origin!r}"
            )
    for name, value in listener.page_headers.items():
        if not re.fullmatch(_FIELD_NAME, name) or not re.fullmatch(_FIELD_VALUE, value):
            raise ConfigurationError(
                f"{key}.page_headers: expected a header's name and its value, found"
                f" {name!r} and {value!r}"
            )
    for number, host in enumerate(listener.hosts):
        try:
            check_host(host)
        except ConfigurationError as error:
            raise ConfigurationError(f"{key}.hosts[{number}]: {error}") from error
    web = address.scheme in ("ws", "wss")
    with inside(f"{key}.cookie"):
        check_cookie(listener.cookie)
    check_play(f"{key}.play", listener.play)
    for name in _WEB_KEYS:
        if getattr(listener, name) != getattr(_DEFAULTS, name) and not web:
            raise ConfigurationError(
                f"{key}.{name}: expected only for ws and wss, found for {address.scheme}"
            )
    if listener.pages and not Path(listener.pages).is_dir():
        raise ConfigurationError(f"{key}.pages: expected a folder, found {listener.pages!r}")


def _check_identity(key: str, listener: ListenerConfig, config: Config) -> None:
    """What clients tell and prove of themselves."""
    web = listener.address.scheme in ("ws", "wss")
    if listener.forwarded is not None:
        with inside(f"{key}.forwarded"):
            ForwardingProxies(listener.forwarded)
    with inside(f"{key}.request"):
        check_request(listener.request)
    if listener.auth is None:
        return
    verifies = listener.tls is not None and listener.tls.client_certificates != "none"
    any_origin = "*" in listener.origins
    with inside(f"{key}.auth"):
        check_auth(listener.auth, verifies_clients=verifies, web=web, any_origin=any_origin)


_LISTENER_STEPS: Final = (
    _check_address, _check_tls, _check_sockets, _check_behind, _check_kept, _check_telnet_keys,
    _check_web, _check_identity,
)  # fmt: skip
_WEB_KEYS: Final = (
    "pages", "play", "page_headers", "origins", "hosts", "deflate", "cookie", "request",
    "forwarded",
)  # fmt: skip
_DEFAULTS: Final = ListenerConfig(url="")
_FIELD_NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD_VALUE: Final = r"[ -~]*"
"""RFC 9110 section 5.5, in ASCII."""
_ORIGIN_WORDS: Final = frozenset({"*", "null", SELF})
