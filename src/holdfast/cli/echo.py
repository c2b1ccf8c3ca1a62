"""`holdfast echo`: an echo server on the bare engines, without sessions."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.output import reported
from holdfast.core.errors import ConfigurationError, Reason
from holdfast.core.limits import Limits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.clockwork import Clockwork
from holdfast.net.connection import Connection
from holdfast.net.loop import calm_collector, run
from holdfast.net.server import Server
from holdfast.net.tls import Certificate, server_context
from holdfast.protocols import telnet
from holdfast.protocols import websocket as ws


def echo(
    urls: Annotated[list[str], typer.Argument(help="Where to listen.", metavar="URL...")],
    cert: Annotated[Path | None, typer.Option("--cert", help="A certificate, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Its key.")] = None,
    deflate: Annotated[
        bool, typer.Option("--deflate", help="Compress WebSocket messages where it is offered.")
    ] = False,
) -> None:
    """Say back what is said: for benchmarks, conformance suites and trying out.

    WebSocket messages come back as messages, Telnet lines as lines, and bytes
    on tcp, tls and unix as they are.

    Examples:

        holdfast echo ws://127.0.0.1:9001/

        holdfast echo tcp://127.0.0.1:9002 tls://127.0.0.1:9003 --cert cert.pem --key key.pem
    """
    with reported():
        if (cert is None) is not (key is None):
            raise ConfigurationError("--cert and --key: expected both or neither, found one")
        certificate = Certificate(str(cert), str(key)) if cert is not None else None
        compression = ws.Deflate() if deflate else None
        run(_serve([parse_address(url) for url in urls], certificate, compression))


async def _serve(
    addresses: list[Address], certificate: Certificate | None, deflate: ws.Deflate | None
) -> None:
    limits = Limits().but(
        connection={"connections_per_address_max": 20_000},
        websocket={"fragments_max": 1_000_000},  # conformance suites send that many
    )
    loop = asyncio.get_running_loop()
    server = Server(limits.connection, Clockwork(loop))
    server.start()
    server.clockwork.wheel.start()
    for address in addresses:
        tls = None
        if address.secure:
            if certificate is None:
                raise ConfigurationError(f"{address}: expected --cert and --key, found neither")
            tls = server_context(certificate)
        bound = await server.listen(address, _echo_for(address, limits, deflate), tls)
        typer.echo(f"listening at {bound}")
    calm_collector()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    await server.drain(limits.drain.drain_seconds_max)


def _echo_for(
    address: Address, limits: Limits, deflate: ws.Deflate | None
) -> Callable[[Connection], _Echo]:
    match address.scheme:
        case "ws" | "wss":
            return lambda connection: _WebSocketEcho(connection, limits, deflate)
        case "telnet" | "telnets":
            return lambda connection: _TelnetEcho(connection, limits)
        case _:
            return _Echo


class _Echo:
    """Bytes as they are."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connected(self) -> None:
        self._connection.established()

    def received(self, data: bytes) -> None:
        self._connection.write(data)
        if self._connection.full:
            self._connection.pause_reading()

    def ended(self) -> None:
        self._connection.close()

    def writable(self) -> None:
        self._connection.resume_reading()

    def expired(self, now: float) -> None:
        pass

    def overdue(self, reason: Reason) -> None:
        self._connection.close()

    def drain(self) -> None:
        self._connection.close()

    def lost(self, cause: Exception | None) -> None:
        pass


class _WebSocketEcho(_Echo):
    """Messages as they are."""

    def __init__(self, connection: Connection, limits: Limits, deflate: ws.Deflate | None) -> None:
        super().__init__(connection)
        self._core = ws.ServerConnection(limits.websocket, deflate)

    def connected(self) -> None:
        pass

    def received(self, data: bytes) -> None:
        core = self._core
        connection = self._connection
        out: list[bytes] = []
        plain = True
        for event in core.receive_data(data):
            if type(event) is bytes:
                if len(event) < ws.UNCOPIED_BYTES_MIN:
                    out.append(core.encode_binary(event))
                else:
                    self._write(out)
                    for part in core.encode_parts(event):
                        connection.write(part)
            elif type(event) is str:
                out.append(core.encode_text(event.encode()))
            else:
                plain = False
                self._react(event)
        self._write(out)
        if not plain:
            connection.write(core.data_to_send())  # what stands before a Close frame is said back
            if core.state is ws.State.CLOSED:
                connection.close()
        if connection.full:
            connection.pause_reading()

    def _write(self, out: list[bytes]) -> None:
        if out:
            self._connection.write_now(out[0] if len(out) == 1 else b"".join(out))
            out.clear()

    def _react(self, event: ws.Event) -> None:
        match event:
            case ws.Request():
                self._accept()
            case ws.PlainRequest():
                self._core.refuse(426, "this is a WebSocket", [("Upgrade", "websocket")])
            case ws.Ping() if self._core.state is ws.State.OPEN:
                self._connection.write(self._core.data_to_send())
            case _:
                pass

    def _accept(self) -> None:
        self._core.accept()
        self._connection.established()
        self._connection.write(self._core.data_to_send())
        self.received(b"")  # what came ahead of the answer

    def drain(self) -> None:
        self._core.close(ws.CloseCode.GOING_AWAY)
        self._connection.write(self._core.data_to_send())
        self._connection.close()


class _TelnetEcho(_Echo):
    """Lines as they are."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        super().__init__(connection)
        self._limits = limits
        self._core: telnet.TelnetServer

    def connected(self) -> None:
        super().connected()
        self._core = telnet.TelnetServer(self._limits.telnet, self._now())
        self._connection.write(self._core.data_to_send())

    def received(self, data: bytes) -> None:
        for event in self._core.receive_data(data, self._now()):
            if type(event) is str:
                self._core.send_text(event + "\n")
        super().received(self._core.data_to_send())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
