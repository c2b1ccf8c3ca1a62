"""`holdfast echo`: an echo server on the bare engines, without sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from holdfast.cli.output import reported
from holdfast.core.errors import ConfigurationError, Reason
from holdfast.core.limits import MIB, Limits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.log import configure_logs
from holdfast.net.runtime.loop import calm_collector, run
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.bind import BindOptions
from holdfast.net.server.handshake import ProxyOptions
from holdfast.net.server.inherited import Inherited
from holdfast.net.server.server import ListenOptions, Server
from holdfast.net.server.service import serve_until_stopped
from holdfast.net.server.workers import run_workers
from holdfast.net.tls.certificates import ServerTls
from holdfast.net.tls.options import Certificate, TlsOptions
from holdfast.protocols import telnet
from holdfast.protocols import websocket as ws


def echo(
    urls: Annotated[list[str], typer.Argument(help="Where to listen.", metavar="URL...")],
    cert: Annotated[Path | None, typer.Option("--cert", help="A certificate, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Its key.")] = None,
    client_ca: Annotated[
        Path | None,
        typer.Option("--client-ca", help="Demand client certificates of these authorities."),
    ] = None,
    trust_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trust-proxy",
            help="A network of proxies that send a PROXY header.",
            metavar="NETWORK",
        ),
    ] = None,
    deflate: Annotated[
        bool, typer.Option("--deflate", help="Compress WebSocket messages where it is offered.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", help="Processes that share the ports.")] = 1,
) -> None:
    """Echo input: for benchmarks, conformance suites and trials.

    WebSocket messages return as messages, Telnet lines as lines, and bytes on tcp, tls and unix
    unchanged.

    Examples:

        holdfast echo ws://127.0.0.1:9001/

        holdfast echo tcp://127.0.0.1:9002 tls://127.0.0.1:9003 --cert cert.pem --key key.pem

        holdfast echo tcp://127.0.0.1:9002 --workers 2
    """
    configure_logs("info")
    with reported():
        if (cert is None) is not (key is None):
            raise ConfigurationError("--cert and --key: expected both or neither, found one")
        tls = None
        if cert is not None:
            tls = TlsOptions(
                certificates=(Certificate(str(cert), str(key)),),
                client_certificates="required" if client_ca is not None else "none",
                client_ca=str(client_ca or ""),
            )
        addresses = [parse_address(url) for url in urls]
        for address in addresses:
            if address.secure and tls is None:
                raise ConfigurationError(f"{address}: expected --cert and --key, found neither")
        proxy = ProxyOptions(trust=tuple(trust_proxy)) if trust_proxy else None
        if workers == 1:
            alone = ListenOptions(proxy=proxy)
            run(_serve(addresses, tls, alone, _say_where, deflate=deflate))
            return
        shared = ListenOptions(BindOptions(reuse_port=True), proxy)

        def work(taken: Sequence[Address], ready: Callable[[], None]) -> Coroutine[Any, Any, None]:
            return _serve(taken, tls, shared, lambda _: ready(), deflate=deflate)

        code = run_workers(workers, addresses, work, _say_where)
    raise typer.Exit(code)


async def _serve(
    addresses: Sequence[Address],
    tls: TlsOptions | None,
    options: ListenOptions,
    started: Callable[[Sequence[Address]], None],
    *,
    deflate: bool,
) -> None:
    limits = Limits().but(
        connection={"connections_per_address_max": 20_000},
        # Conformance suites send as many, and as large ones.
        websocket={
            "fragments_max": 1_000_000,
            "frame_bytes_max": 16 * MIB,
            "message_bytes_max": 16 * MIB,
        },
    )
    compression = ws.Deflate() if deflate else None
    inherited = Inherited()
    runtime = Runtime(asyncio.get_running_loop())
    server = Server(limits.connection, runtime, inherited=inherited)
    contexts = ServerTls(tls) if tls is not None else None
    server.start()
    runtime.timers.start()
    bound = [
        await server.listen(
            address,
            _echo_for(address, limits, compression),
            contexts if address.secure else None,
            options,
        )
        for address in addresses
    ]
    inherited.finish()
    calm_collector()
    drain_seconds = limits.drain.drain_seconds_max
    await serve_until_stopped(server, drain_seconds, lambda: started(bound))


def _say_where(addresses: Sequence[Address]) -> None:
    for address in addresses:
        typer.echo(f"listening at {address}")


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
    """Echoes bytes."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        connection.answers = True
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
        self._connection.close_on()  # the peer may be sending still: the echo must reach it

    def lost(self, cause: Exception | None) -> None:
        pass


class _WebSocketEcho(_Echo):
    """Echoes messages."""

    __slots__ = ("_core",)

    def __init__(self, connection: Connection, limits: Limits, deflate: ws.Deflate | None) -> None:
        super().__init__(connection)
        self._core = ws.ServerConnection(limits.websocket, deflate)

    def connected(self) -> None:
        pass

    def received(self, data: bytes) -> None:
        core, connection = self._core, self._connection
        events = core.receive_data(data)
        if core.eventful or len(data) >= ws.UNCOPIED_BYTES_MIN:
            self._answer(events)
        else:
            connection.send(core.encode_all(events))  # type: ignore[arg-type]
        if connection.full:
            connection.pause_reading()

    def _answer(self, events: Sequence[ws.Event]) -> None:
        core, connection = self._core, self._connection
        for event in events:
            if isinstance(event, str | bytes):
                for part in core.encode_parts(event):
                    connection.write(part)
            else:
                self._react(event)
        connection.write(core.data_to_send())  # messages before a Close frame are echoed
        if core.state is ws.State.CLOSED:
            connection.close()

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
        self.received(b"")  # input before the answer

    def drain(self) -> None:
        self._core.close(ws.CloseCode.GOING_AWAY)
        self._connection.write(self._core.data_to_send())
        self._connection.close()


class _TelnetEcho(_Echo):
    """Echoes lines."""

    __slots__ = ("_core", "_limits")

    def __init__(self, connection: Connection, limits: Limits) -> None:
        super().__init__(connection)
        self._limits = limits
        self._core: telnet.TelnetServer

    def connected(self) -> None:
        super().connected()
        self._core = telnet.TelnetServer(self._limits.telnet, self._connection.time())
        self._connection.write(self._core.data_to_send())

    def received(self, data: bytes) -> None:
        for event in self._core.receive_data(data, self._connection.time()):
            if type(event) is str:
                self._core.send_text(event + "\n")
        super().received(self._core.data_to_send())
