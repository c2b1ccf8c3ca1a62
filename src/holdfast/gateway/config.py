"""The gateway's configuration: one TOML file, typed, refused as a whole when it is wrong.

```toml
[store]
path = "data/sessions.db"          # without it, sessions live in memory only

[link]
listen = "unix:data/link.sock"     # where applications dial in

[[listener]]
url = "telnet://0.0.0.0:4000"

[[listener]]
url = "wss://0.0.0.0:8443/ws"
durability = "durable"             # memory, fast or durable
certificate = { cert = "cert.pem", key = "key.pem" }
pages = "site"                     # what a browser gets that asks for a page
deflate = {}                       # compress messages (permessage-deflate); may set its parameters
```
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field, inspect

from holdfast.backends.echo import EchoBackend
from holdfast.backends.hub import ANY_APP
from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import Limits
from holdfast.net.addresses import Address, InvalidAddressError, parse_address
from holdfast.net.tls import Certificate
from holdfast.protocols.websocket import DeflateSettings


class StoreConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where sessions are kept."""

    path: str = ""
    """A SQLite file. Empty: nothing is kept, every listener is `memory`."""
    on_failure: Literal["refuse", "memory"] = "refuse"
    """While it cannot be written to: refuse new sessions, or go on without promises."""


class LinkConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where applications dial in."""

    listen: str = ""
    secret: str = ""
    """What an application must know. Empty for a Unix socket, whose file protects it."""


class ListenerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where clients come in."""

    url: str
    backend: Literal["link", "echo"] = "link"
    app: str = ANY_APP
    """The name of the application; `*` takes any."""
    durability: Literal["memory", "fast", "durable"] = "fast"
    certificate: Certificate | None = None
    origins: tuple[str, ...] = ()
    """Web pages of other hosts that may connect; `*` for any."""
    pages: str = ""
    """A folder of files for browsers that ask for a page, on a WebSocket listener."""
    deflate: DeflateSettings | None = None
    """How messages are compressed with WebSocket clients that offer it. Absent: not at all."""

    @property
    def address(self) -> Address:
        return parse_address(self.url)


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    listener: tuple[ListenerConfig, ...]
    node: str = "gateway"
    store: StoreConfig = field(default_factory=StoreConfig)
    link: LinkConfig = field(default_factory=LinkConfig)
    limits: Limits = field(default_factory=Limits)


def load(path: Path) -> Config:
    """Read a file. Raises `ConfigurationError` with the file, the key, what was found and what
    was expected."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: expected a TOML file: {error}") from error
    try:
        return parse(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def parse(text: str) -> Config:
    """Read the text of a configuration. Raises `ConfigurationError`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"not TOML: {error}") from error
    try:
        config = msgspec.convert(data, type=Config)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_explain(str(error), data)) from error
    check(config)
    return config


def check(config: Config) -> None:
    """What types cannot say. Raises `ConfigurationError` naming the key."""
    if not config.listener:
        raise ConfigurationError("listener: expected at least one [[listener]], found none")
    for number, listener in enumerate(config.listener):
        _check_listener(f"listener[{number}]", listener, config)
    if config.link.listen:
        link = _address("link.listen", config.link.listen)
        if link.scheme not in ("unix", "tcp"):
            raise ConfigurationError(
                f"link.listen: expected a unix: or tcp:// address, found {config.link.listen!r}"
            )
        if link.scheme == "tcp" and not config.link.secret:
            raise ConfigurationError(
                "link.secret: expected a secret, because link.listen is on TCP; found none"
            )
    elif any(listener.backend == "link" for listener in config.listener):
        raise ConfigurationError(
            "link.listen: expected an address, because a listener has the backend 'link';"
            " found none"
        )


def _check_listener(key: str, listener: ListenerConfig, config: Config) -> None:
    address = _address(f"{key}.url", listener.url)
    if address.secure and listener.certificate is None:
        raise ConfigurationError(
            f"{key}.certificate: expected a certificate for {address.scheme}, found none"
        )
    if not address.secure and listener.certificate is not None:
        raise ConfigurationError(
            f"{key}.certificate: expected none for {address.scheme}, found one"
        )
    if listener.durability != "memory" and not config.store.path:
        raise ConfigurationError(
            f"store.path: expected a path, because {key}.durability is"
            f" {listener.durability!r}; found none"
        )
    if listener.backend == "link" and listener.app == EchoBackend.name:
        raise ConfigurationError(
            f"{key}.app: expected another name than {EchoBackend.name!r}, which is a backend's"
        )
    for number, origin in enumerate(listener.origins):
        if not re.fullmatch(_ORIGIN, origin):
            raise ConfigurationError(
                f"{key}.origins[{number}]: expected '*' or an origin as in 'https://example.org',"
                f" found {origin!r}"
            )
    web = address.scheme in ("ws", "wss")
    for name in ("pages", "origins", "deflate"):
        if getattr(listener, name) and not web:
            raise ConfigurationError(
                f"{key}.{name}: expected only for ws and wss, found for {address.scheme}"
            )
    if listener.pages and not Path(listener.pages).is_dir():
        raise ConfigurationError(f"{key}.pages: expected a folder, found {listener.pages!r}")


_ORIGIN: Final = r"\*|null|[a-z][a-z0-9+.-]*://[^/]+"
"""As a browser writes it (RFC 6454 section 6.2): without a path, not even a slash."""


def _address(key: str, text: str) -> Address:
    try:
        return parse_address(text)
    except InvalidAddressError as error:
        raise ConfigurationError(f"{key}: {error}") from error


def _explain(message: str, data: Any) -> str:
    """A validation error as `key: expected what, found what`, in TOML's words."""
    words, _, where = message.partition(" - at `$")
    words = words.replace("`", "")
    key = where.rstrip("`").lstrip(".")
    inside = f"{key}." if key else ""
    steps = [int(index) if index else name for name, index in re.findall(_STEP, key)]
    if match := re.fullmatch(r"Expected (\w+).*, got (\w+)", words):
        wanted, got = (_TOML_WORDS.get(word, word) for word in match.groups())
        wanted = "number" if wanted == "float" else wanted  # 3 will do for 3.0
        return f"{key}: expected {_with_article(wanted)}, found {_show(got, steps, data)}"
    if match := re.fullmatch(r"Object missing required field (.*)", words):
        return f"{inside}{match[1]}: expected a value, found none"
    if match := re.fullmatch(r"Object contains unknown field (.*)", words):
        return f"{inside}{match[1]}: not a known key"
    if match := re.fullmatch(r"Invalid enum value (.*)", words):
        return f"{key}: expected {_choices(steps)}, found {match[1]}"
    return inside + words.removeprefix("limits: ")


_STEP: Final = r"([^.\[\]]+)|\[(\d+)\]"
_TOML_WORDS: Final = {
    "int": "integer",
    "str": "string",
    "bool": "boolean",
    "object": "table",
}


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _show(kind: str, steps: Sequence[str | int], data: Any) -> str:
    """A wrong value, unless it is long or may be a secret: then only what kind it is."""
    for step in steps:
        data = data[step]
    if kind in ("table", "array") or steps[-1:] == ["secret"]:
        return _with_article(kind)
    return f"the {kind} {data!r}"


def _choices(steps: Sequence[str | int]) -> str:
    """What a key with a few possible values may be."""
    found: inspect.Type = inspect.type_info(Config)
    for step in steps:
        if isinstance(found, inspect.StructType):
            found = next(field.type for field in found.fields if field.encode_name == step)
        elif isinstance(found, inspect.VarTupleType):
            found = found.item_type
    assert isinstance(found, inspect.LiteralType)
    *most, last = map(repr, found.values)
    return f"{', '.join(most)} or {last}"
