"""What a configuration needs of this machine, looked at before a start: `holdfast check`.

Certificates and keys that can be loaded, packages that are installed, addresses that do not
collide, names that can be resolved, paths that can be written.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Final

from holdfast.core.clock import wall
from holdfast.core.errors import ConfigurationError
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.config_faults import key_in_words
from holdfast.gateway.listener_parts import credential_judge
from holdfast.link.tracing import CommandTraces
from holdfast.net.addresses import Address, InvalidAddressError, parse_address
from holdfast.net.tls.contexts import client_context, server_context, server_contexts

_NAMES_MAX: Final = 16
"""Names that are resolved at one time."""


def steps_of_start(config: Config) -> Iterator[Callable[[], object]]:
    """The single steps. Each raises `ConfigurationError`, which names the key."""
    yield from _steps_of_listeners(config)
    if config.traces:
        yield CommandTraces
    if config.link.tls_options is not None:
        yield partial(_under, "link.tls", partial(server_contexts, config.link.tls_options))
    if config.admin.certificate is not None:
        yield partial(
            _under, "admin.certificate", partial(server_context, config.admin.certificate)
        )
    for number, upstream in enumerate(config.upstream):
        if upstream.ca:
            yield partial(_under, f"upstream[{number}].ca", partial(client_context, upstream.ca))
    bound = list(_bound(config))
    for first, second in combinations(bound, 2):
        yield partial(_collide, first, second)
    for key, address in bound:
        if address.scheme == "unix":
            yield partial(_writable, key, Path(address.path))
    if config.store.path:
        yield partial(_writable, "store.path", Path(config.store.path))


def _steps_of_listeners(config: Config) -> Iterator[Callable[[], object]]:
    for number, listener in enumerate(config.listener):
        yield partial(_load_listener, f"listener[{number}]", listener)
        yield partial(credential_judge, listener, config.limits, wall)


def warnings_of(config: Config) -> list[str]:
    """What is probably not meant, and does no harm."""
    used = {getattr(listener.backend, "upstream", None) for listener in config.listener}
    return [
        f"upstream[{number}].name: no listener uses {upstream.name!r}"
        for number, upstream in enumerate(config.upstream)
        if upstream.name not in used
    ]


def unresolved(config: Config) -> list[str]:
    """The names in the configuration that cannot be resolved now."""
    servers = {
        f"upstream[{number}].servers[{place}]": server.url
        for number, upstream in enumerate(config.upstream)
        for place, server in enumerate(upstream.all_servers)
    }
    names = [*_bound(config), *_parsed(servers)]
    wanted = {address.host for _, address in names if _is_name(address)}
    with ThreadPoolExecutor(_NAMES_MAX) as threads:
        faults = dict(zip(wanted, threads.map(_fault, wanted), strict=True))
    return [
        f"{key}: expected a name that can be resolved, found {address.host!r}:"
        f" {faults[address.host]}"
        for key, address in names
        if faults.get(address.host)
    ]


def _load_listener(key: str, listener: ListenerConfig) -> None:
    if listener.tls_options is not None:
        name = "tls" if listener.tls is not None else "certificate"
        _under(f"{key}.{name}", partial(server_contexts, listener.tls_options))


def _under(key: str, load: Callable[[], object]) -> None:
    try:
        load()
    except ConfigurationError as error:
        raise ConfigurationError(f"{key}: {error}") from error


def _bound(config: Config) -> Iterator[tuple[str, Address]]:
    """The addresses that are listened at, by their keys."""
    texts = {f"listener[{number}].url": one.url for number, one in enumerate(config.listener)}
    texts |= {
        "link.listen": config.link.listen,
        "admin.listen": config.admin.listen,
        "api.listen": config.api.listen,
    }
    yield from _parsed(texts)


def _parsed(texts: Mapping[str, str]) -> Iterator[tuple[str, Address]]:
    for key, text in texts.items():
        try:
            if text:
                yield key, parse_address(text)
        except InvalidAddressError:
            continue  # that is told of the key itself


def _collide(first: tuple[str, Address], second: tuple[str, Address]) -> None:
    (key, one), (other_key, other) = first, second
    if "unix" in (one.scheme, other.scheme):
        same = one.scheme == other.scheme and one.path == other.path
    else:
        hosts = {one.host, other.host}
        same = one.port == other.port != 0 and (len(hosts) == 1 or bool(hosts & _ANY))
    if same:
        raise ConfigurationError(
            f"{other_key}: expected another address than {key_in_words(key)}, found {other}"
        )


_ANY: Final = frozenset({"0.0.0.0", "::"})


def _is_name(address: Address) -> bool:
    if address.scheme == "unix":
        return False
    try:
        ipaddress.ip_address(address.host.partition("%")[0])
    except ValueError:
        return True
    return False


def _fault(host: str) -> str:
    """Why a name cannot be resolved, or nothing."""
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def _writable(key: str, path: Path) -> None:
    """Whether a file can be made at a path."""
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if path.is_dir():
        raise ConfigurationError(f"{key}: expected a file, found the folder {str(path)!r}")
    if not folder.is_dir():
        raise ConfigurationError(f"{key}: expected a folder at {str(folder)!r}, found a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"{key}: expected a folder that can be written, found {str(folder)!r}"
        )
