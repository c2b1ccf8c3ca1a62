"""TLS for clients and servers: option `-tls`.

The script decides what is verified: without `ca`, a client accepts any certificate.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from holdfast.net.tls.core import TlsCore
from holdfast.vtc.io.socket_address import SocketAddress
from holdfast.vtc.io.stream_socket import CONNECT_SECONDS_MAX, PEEK_BYTES_MAX, StreamSocket
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.log import Logger
from holdfast.vtc.run.shell import run_shell

T = TypeVar("T")

TLS_TEXT = (
    "STRING is words of the form NAME=VALUE, or empty: `cert` and `key` are PEM files (a server "
    "without makes its own and tells it as `${sNAME_cert}`), `ca` a file with the authority that "
    "must have signed the peer's certificate, `sni` the name that a client asks for and checks, "
    "`alpn` protocols parted by commas, `version` is `1.2` or `1.3`. `expect` knows "
    "`tls.version`, `tls.cipher`, `tls.alpn` and `tls.subject` then."
)
_WORDS = ("cert", "key", "ca", "sni", "alpn", "version")
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_SELF_SIGNED = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
    "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1 "
    "-keyout {path} -out {path}.crt && cat {path}.crt >>{path}"
)


def _parse(case: Case, spec: Token) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in spec.split():
        name, mark, value = word.partition("=")
        if name not in _WORDS or not mark:
            raise Failure(f"-tls: unknown word {word!r}", spec.position())
        is_file = name in ("cert", "key", "ca")
        found[name] = os.fsdecode(case.path(value)) if is_file else value
    if found.get("version", "1.2") not in _VERSIONS:
        raise Failure(f"-tls: version is {' or '.join(_VERSIONS)}", spec.position())
    return found


def _configure(context: ssl.SSLContext, words: dict[str, str]) -> None:
    if "cert" in words:
        context.load_cert_chain(words["cert"], words.get("key"))
    if "ca" in words:
        context.load_verify_locations(words["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    if "alpn" in words:
        context.set_alpn_protocols(words["alpn"].split(","))
    if "version" in words:
        context.minimum_version = context.maximum_version = _VERSIONS[words["version"]]


def _context(side: ssl._SSLMethod, words: dict[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    if side is ssl.PROTOCOL_TLS_CLIENT:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        _configure(context, words)
    except (OSError, ValueError) as error:
        raise Failure(f"-tls: {error}") from None
    context.check_hostname = "ca" in words and "sni" in words
    return context


@dataclass(frozen=True, slots=True)
class ClientTlsOptions:
    """The TLS settings of a client."""

    context: ssl.SSLContext
    name: str | None

    async def handshake(self, sock: StreamSocket, log: Logger) -> StreamSocket:
        """`wire` with TLS on it. Raises `Failure`."""
        return await _handshake(TlsSocket(sock, self.context, server=False, name=self.name), log)


@dataclass(frozen=True, slots=True)
class ServerTlsOptions:
    """The TLS settings of a server."""

    words: dict[str, str]

    async def prepare(
        self, case: Case, name: str, log: Logger
    ) -> Callable[[StreamSocket], Awaitable[StreamSocket]]:
        """Return the preparation of connections for a server called `name`. Raises `Failure`."""
        words = dict(self.words)
        if "cert" not in words:
            words["cert"] = await self_signed(case, name)
        case.define(log, f"{name}_cert", os.fsencode(words["cert"]).decode(ENCODING))
        context = _context(ssl.PROTOCOL_TLS_SERVER, words)

        async def prepare(sock: StreamSocket) -> StreamSocket:
            return await _handshake(TlsSocket(sock, context, server=True, name=None), log)

        return prepare


def client_tls(case: Case, spec: Token) -> ClientTlsOptions:
    """Parse the value of `client -tls`. Raises `Failure`."""
    words = _parse(case, spec)
    return ClientTlsOptions(_context(ssl.PROTOCOL_TLS_CLIENT, words), words.get("sni"))


def server_tls(case: Case, spec: Token) -> ServerTlsOptions:
    """Parse the value of `server -tls`. Raises `Failure`."""
    return ServerTlsOptions(_parse(case, spec))


async def self_signed(case: Case, name: str) -> str:
    """Make a certificate with its key for this machine; the file's path. Raises `Failure`."""
    path = f"{case.directory}/{name}.pem"
    status, output = await run_shell(case, os.fsencode(_SELF_SIGNED.format(path=path)))
    if status:
        raise Failure(f"-tls: cannot make a certificate: {bytes(output).decode(ENCODING).strip()}")
    return path


async def _handshake(sock: TlsSocket, log: Logger) -> TlsSocket:
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            await sock.handshake()
    except TimeoutError:
        raise Failure("TLS handshake failed: no answer") from None
    except OSError as error:
        raise Failure(f"TLS handshake failed: {error.strerror or error}") from None
    values = (sock.tls_value(f"tls.{word}") for word in ("version", "cipher", "alpn"))
    log.line(3, "TLS " + " ".join(value or "-" for value in values))
    return sock


class TlsSocket(StreamSocket):
    """A connection with TLS on it."""

    def __init__(
        self, raw: StreamSocket, context: ssl.SSLContext, *, server: bool, name: str | None
    ) -> None:
        """Owns `raw` from here on."""
        self._raw = raw
        self.peer = raw.peer
        self._tls = TlsCore(context, server_side=server, server_hostname=name)
        self._sending = asyncio.Lock()
        self._read_ahead = bytearray()

    @property
    def fd(self) -> int:
        return self._raw.fd

    @property
    def own(self) -> SocketAddress:
        return self._raw.own

    async def handshake(self) -> None:
        """Agree with the peer. Raises `OSError`."""
        await self._perform(self._tls.object.do_handshake, None)

    async def _perform(self, step: Callable[[], T], seconds: float | None) -> T:
        """Take a step of TLS, with all that must be sent and received for it."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._raw.recv(PEEK_BYTES_MAX, seconds)
                if data:
                    self._tls.incoming.write(data)
                else:
                    self._tls.incoming.write_eof()
                continue
            except ssl.SSLError:
                await self._flush()  # the alert
                raise
            await self._flush()
            return result

    async def _flush(self) -> None:
        async with self._sending:
            if data := self._tls.outgoing.read():
                await self._raw.send(data)

    async def peek(self, seconds: float) -> bytes:
        if not self._read_ahead:
            self._read_ahead += await self._read(PEEK_BYTES_MAX, seconds)
        return bytes(self._read_ahead)

    def take(self, count: int) -> bytes:
        data = bytes(self._read_ahead[:count])
        del self._read_ahead[:count]
        return data

    async def recv(self, count: int, seconds: float | None) -> bytes:
        if self._read_ahead:
            return self.take(count)
        return await self._read(count, seconds)

    async def _read(self, count: int, seconds: float | None) -> bytes:
        try:
            return await self._perform(lambda: self._tls.object.read(count), seconds)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    async def send(self, data: bytes, *, urgent: bool = False, more: bool = False) -> None:
        if urgent:
            raise OSError(0, "urgent data cannot be sent with TLS")
        self._tls.object.write(data)
        await self._flush()

    def shutdown(self, how: int) -> None:
        if how != socket.SHUT_RD:
            self._say_goodbye()
        self._raw.shutdown(how)

    def _say_goodbye(self) -> None:
        """Send `close_notify` if the socket is writable."""
        self._tls.notify_close()
        self._raw.send_now(self._tls.outgoing.read())

    def close(self) -> None:
        if self.fd >= 0:
            self._say_goodbye()
        self._raw.close()

    def reset(self) -> None:
        self._raw.reset()

    def set_receive_buffer(self, size: int) -> tuple[int, int]:
        return self._raw.set_receive_buffer(size)

    def tls_value(self, word: str) -> str | None:
        match word:
            case "tls.version":
                return self._tls.object.version()
            case "tls.cipher":
                cipher = self._tls.object.cipher()
                return cipher[0] if cipher else None
            case "tls.alpn":
                return self._tls.object.selected_alpn_protocol()
            case _:
                return _subject(self._tls.object.getpeercert())


def _subject(certificate: dict[str, Any] | None) -> str | None:
    """The common name of a certificate that was checked."""
    for entry in (certificate or {}).get("subject", ()):
        for name, value in entry:
            if name == "commonName":
                return str(value)
    return None
