"""Asking a running gateway: one request to its admin listener."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from holdfast.core.errors import ConfigurationError, HoldfastError, Source
from holdfast.gateway.admin.guard import DEFAULT_LISTEN, TOKEN_VARIABLE
from holdfast.net.addresses import Address, parse_address
from holdfast.net.tls.contexts import client_context

ADMIN_VARIABLE: Final = "HOLDFAST_ADMIN"
_HOW: Final = f"a gateway has one with [admin] listen; --admin or {ADMIN_VARIABLE} names another"
_SECONDS_MAX: Final = 20.0
_ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024


class AdminError(HoldfastError):
    """The admin listener cannot be reached, or has refused. The message names it and the reason."""

    source = Source.REMOTE


class Where(Struct, frozen=True):
    """A gateway's admin listener, and the right to use it."""

    address: Address
    token: str
    ca: str = ""


def find(admin: str, token_file: Path | None, ca: Path | None) -> Where:
    """Read the options, or else the environment. Raises `ConfigurationError`."""
    address = parse_address(admin or os.environ.get(ADMIN_VARIABLE, "") or DEFAULT_LISTEN)
    if address.scheme not in ("tcp", "tls", "unix"):
        raise ConfigurationError(
            f"{address}: expected a tcp://, tls:// or unix: address, as in {DEFAULT_LISTEN}"
        )
    token = os.environ.get(TOKEN_VARIABLE, "")
    if token_file is not None:
        try:
            token = token_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{token_file}: expected a token: {error}") from error
    return Where(address, token.strip(), str(ca or ""))


def ask(
    where: Where, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """The body of a good answer. Raises `AdminError` for any other."""
    status, answer = request(where, method, path, query, body)
    if status >= 400:
        raise AdminError(_refusal(where, status, answer))
    return answer


def request(
    where: Where, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes = b""
) -> tuple[int, bytes]:
    """The status and the body of an answer. Raises `AdminError` if there is none."""
    target = f"{path}?{urlencode(query)}" if query else path
    headers = {"Authorization": f"Bearer {where.token}"} if where.token else {}
    connection = _connection(where)
    try:
        connection.request(method, target, body or None, headers)
        response = connection.getresponse()
        answer = response.read(_ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException, UnicodeEncodeError) as error:
        cause = getattr(error, "strerror", None) or " ".join(str(error).split())
        cause = cause or type(error).__name__
        if isinstance(error, ConnectionRefusedError | FileNotFoundError):
            cause += f"; {_HOW}"
        raise AdminError(f"no admin listener answers at {where.address}: {cause}") from error
    finally:
        connection.close()
    return response.status, answer


def _refusal(where: Where, status: int, answer: bytes) -> str:
    try:
        why = msgspec.json.decode(answer, type=dict[str, str])["error"]
    except (msgspec.DecodeError, KeyError):
        why = f"it answered with status {status}"
    hint = f" (--token-file, or {TOKEN_VARIABLE})" if status == 401 else ""
    return f"{where.address}: {why}{hint}"


def _connection(where: Where) -> http.client.HTTPConnection:
    address = where.address
    if address.scheme == "unix":
        return _UnixConnection(address.socket_path)
    if address.secure:
        context: ssl.SSLContext = client_context(where.ca or None)
        return http.client.HTTPSConnection(
            address.host, address.port, timeout=_SECONDS_MAX, context=context
        )
    return http.client.HTTPConnection(address.host, address.port, timeout=_SECONDS_MAX)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS_MAX)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_SECONDS_MAX)
        self.sock.connect(self._path)
