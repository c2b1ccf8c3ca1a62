"""Sockets to listen on, with errors that name the address or the option."""

from __future__ import annotations

import contextlib
import errno
import grp
import ipaddress
import os
import socket
import stat
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from holdfast.core.errors import BusyError, ConfigurationError
from holdfast.net.addresses import Address


class AddressInUseError(BusyError):
    """Another process listens there."""


class BindOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a listening socket."""

    interface: str = ""
    """Accept connections of this network interface only (SO_BINDTODEVICE)."""
    dual_stack: bool = False
    """On `[::]`, accept IPv4, too."""
    reuse_port: bool = False
    """Share the port with other processes of this user (SO_REUSEPORT)."""
    mode: str = ""
    """The permissions of a Unix socket's file in octal, as in "0660"."""
    group: str = ""
    """The group of a Unix socket's file, by its name or number."""


DEFAULT: Final = BindOptions()
_TRIES_MAX: Final = 16
"""Ports that are tried until one is free in each address family of a name."""
_MODE_MAX: Final = 0o777


def bind(address: Address, options: BindOptions) -> list[socket.socket]:
    """A socket for each address that the host's name stands for, all on one port.

    Raises `AddressInUseError`, or `ConfigurationError` for an address or an option that
    this user or this machine does not have.
    """
    check(address, options)
    try:
        if address.scheme == "unix":
            return [_bind_unix(address, options)]
        return _bind_inet(address, options)
    except OSError as error:
        raise _explain(address, error) from error


def check(address: Address, options: BindOptions) -> None:
    """Check that `address` can have the options. Raises `ConfigurationError`."""
    if address.scheme == "unix":
        for name in ("interface", "dual_stack", "reuse_port"):
            if getattr(options, name):
                raise ConfigurationError(f"{name}: expected none for a Unix socket, found one")
    readers: tuple[tuple[str, Callable[[str], int]], ...] = (("mode", _mode), ("group", _group))
    for name, read in readers:
        text = getattr(options, name)
        if text and not is_file(address):
            raise ConfigurationError(
                f"{name}: expected none for {address}, which has no file, found {text!r}"
            )
        if text:
            read(text)
    if options.dual_stack and address.host != "::":
        raise ConfigurationError(f"dual_stack: expected only for the host [::], found {address}")
    if options.interface:
        names = [name for _, name in socket.if_nameindex()]
        if options.interface not in names:
            raise ConfigurationError(
                f"interface: expected one of {', '.join(names)}, found {options.interface!r}"
            )


def is_file(address: Address) -> bool:
    """Whether the socket has a file: a Unix socket that is not abstract."""
    return address.scheme == "unix" and not address.path.startswith("@")


def _bind_inet(address: Address, options: BindOptions) -> list[socket.socket]:
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    for _ in range(_TRIES_MAX):
        with contextlib.suppress(_TakenElsewhereError):
            return _bind_all(found, address.port, options)
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


class _TakenElsewhereError(Exception):
    """The port that one family was given is another's in the other family."""


def _bind_all(
    found: Sequence[tuple[Any, ...]], port: int, options: BindOptions
) -> list[socket.socket]:
    any_port = port == 0
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for entry in dict.fromkeys(found):
            try:
                sockets.append(_bind_one(entry, port, options))
            except OSError as error:
                if not _has_no_such_loopback(error, entry):
                    raise
                missing = error
            else:
                port = sockets[-1].getsockname()[1]
        if missing is not None and not sockets:
            raise missing
    except BaseException as error:
        for sock in sockets:
            sock.close()
        if any_port and port and isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise _TakenElsewhereError from error
        raise
    return sockets


def _bind_one(entry: tuple[Any, ...], port: int, options: BindOptions) -> socket.socket:
    family, kind, protocol, _, where = entry
    sock = socket.socket(family, kind, protocol)
    try:
        _prepare(sock, options)
        sock.bind((where[0], port, *where[2:]))
    except BaseException:
        sock.close()
        raise
    return sock


def _has_no_such_loopback(error: OSError, entry: tuple[Any, ...]) -> bool:
    """Whether this machine lacks the family: `localhost` is both, whatever the machine has."""
    lacks = error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
    return lacks and ipaddress.ip_address(entry[4][0].partition("%")[0]).is_loopback


def _prepare(sock: socket.socket, options: BindOptions) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not options.dual_stack))
    if options.interface:
        sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_BINDTODEVICE, options.interface.encode() + b"\0"
        )


def _bind_unix(address: Address, options: BindOptions) -> socket.socket:
    _remove_stale_file(address)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(address.socket_path)
        # Nobody can connect before it listens.
        if options.group:
            _give_to(address, options.group)
        if options.mode:
            os.chmod(address.path, _mode(options.mode))
    except BaseException:
        sock.close()
        raise
    return sock


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= _MODE_MAX:
        raise ConfigurationError(f"mode: expected permissions as in '0660', found {text!r}")
    return mode


def _group(text: str) -> int:
    try:
        return int(text) if text.isdecimal() else grp.getgrnam(text).gr_gid
    except KeyError:
        raise ConfigurationError(
            f"group: expected a group of this machine, found {text!r}"
        ) from None


def _give_to(address: Address, group: str) -> None:
    try:
        os.chown(address.path, -1, _group(group))
    except PermissionError:
        raise ConfigurationError(
            f"group: this user may not give {address} to the group {group!r}: it is in none such"
        ) from None


def _remove_stale_file(address: Address) -> None:
    """Remove the socket of a process that is gone; leave one that is alive alone."""
    if not is_file(address):
        return
    try:
        is_socket = stat.S_ISSOCK(os.stat(address.path).st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise ConfigurationError(f"{address}: expected a socket or nothing, found a file")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            os.unlink(address.path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _explain(address: Address, error: OSError) -> BusyError | ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return AddressInUseError(f"{address}: another process listens there already")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigurationError(f"{address}: this user may not listen there")
    return ConfigurationError(f"{address}: cannot listen there: {error.strerror or error}")
