"""`holdfast.telnet`: servers and clients of a program's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.net.certificates import contexts
from tests.net.helpers import patience, until

from holdfast.core.errors import BusyError, ConfigurationError, LimitExceededError
from holdfast.core.limits import Limits
from holdfast.net.addresses import InvalidAddressError
from holdfast.protocols.telnet.server import Offers
from holdfast.telnet import (
    CapabilitiesChanged,
    ClientTelnet,
    Gmcp,
    InputHidden,
    Interrupt,
    LinemodeChanged,
    Msdp,
    OptionChanged,
    Prompt,
    Server,
    ServerTelnet,
    Side,
    StartTlsRefusedError,
    TelnetClosed,
    Terminal,
    Violation,
    WindowSize,
    codes,
    connect,
    serve,
)

pytestmark = pytest.mark.usefixtures("nothing_unhandled")

SERVER, CLIENT = contexts()
QUICK = Limits().but(telnet={"negotiation_seconds_max": 0.05})


async def echo(telnet: ServerTelnet) -> None:
    async for line in telnet:
        await telnet.send(f"{line}\n")


class Events(list[Any]):
    """What `on_event` was called with, and a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Event()

    def __call__(self, telnet: object, event: object) -> None:
        self.append(event)
        self._changed.set()

    async def until(self, event: object) -> None:
        async with patience():
            while event not in self:
                self._changed.clear()
                await self._changed.wait()


def url(server: Server, scheme: str = "telnet") -> str:
    return f"{scheme}://localhost:{server.port}"


@contextlib.asynccontextmanager
async def pair(
    handler: Any = echo, *, server: dict[str, Any] | None = None, **client: Any
) -> AsyncIterator[tuple[Server, ClientTelnet]]:
    """A server, and a client of it."""
    async with (
        serve(handler, "localhost", **(server or {})) as made,
        patience(),
        connect(url(made), **client) as telnet,
    ):
        yield made, telnet


async def test_lines_both_ways() -> None:
    async with pair() as (server, telnet):
        for line in ("hello", "Grüße 😀", ""):
            await telnet.send(f"{line}\n")
            assert await telnet.readline() == line
        assert len(server.connections) == 1
        assert telnet.tls is None


async def test_a_handler_knows_its_client() -> None:
    seen: list[Any] = []

    async def look(telnet: ServerTelnet) -> None:
        seen.append(telnet.capabilities)
        await telnet.send("seen\n")

    terminal = Terminal("Probe", "2", "XTERM-256COLOR", 100, 30)
    async with pair(look, terminal=terminal) as (_, telnet):
        assert [line async for line in telnet] == ["seen"]
    (known,) = seen
    assert (known.client_name, known.terminal_type, known.width) == ("Probe", "XTERM-256COLOR", 100)
    assert known.utf8


async def test_questions() -> None:
    answers: list[str] = []

    async def login(telnet: ServerTelnet) -> None:
        answers.append(await telnet.ask("Name: "))
        answers.append(await telnet.ask("Password: ", hidden=True))
        await telnet.send("Welcome.\n")

    events = Events()
    async with pair(login, on_event=events) as (_, telnet):
        assert (await telnet.read_until("Name: ")).endswith("Name: ")
        await telnet.send("ada\n")
        await telnet.read_until("Password: ")
        await events.until(InputHidden(True))
        await telnet.send("secret\n")
        assert "Welcome." in await telnet.read_until("Welcome.")
        await events.until(InputHidden(False))
    assert answers == ["ada", "secret"]
    assert [event for event in events if isinstance(event, Prompt)] == [
        Prompt("Name: "),
        Prompt("Password: "),
    ]


async def test_data_both_ways() -> None:
    at_server, at_client = Events(), Events()

    async def talk(telnet: ServerTelnet) -> None:
        assert telnet.send_gmcp("Char.Vitals", {"hp": 7})
        assert telnet.send_msdp("ROOM", {"EXITS": ["n", "s"]})
        assert not telnet.send_gmcp("no name", 1)
        assert not telnet.send_msdp("A", "\x01")
        await telnet.readline()

    async with pair(
        talk,
        server={"offers": Offers(msdp=True), "on_event": at_server},
        also=[codes.MSDP],
        on_event=at_client,
    ) as (_, telnet):
        await at_client.until(Gmcp("Char.Vitals", '{"hp":7}'))
        await at_client.until(Msdp("ROOM", '{"EXITS":["n","s"]}'))
        assert telnet.send_gmcp("Core.Ping")
        assert telnet.send_msdp("LIST", "COMMANDS")
        telnet.interrupt()
        telnet.resize(90, 20)
        await at_server.until(Gmcp("Core.Ping", ""))
        await at_server.until(Msdp("LIST", '"COMMANDS"'))
        await at_server.until(Interrupt())
        await at_server.until(WindowSize(90, 20))


async def test_options_on_request() -> None:
    at_server = Events()

    async def ask(telnet: ServerTelnet) -> None:
        assert telnet.request(codes.LINEMODE, Side.HIM)
        assert not telnet.request(99, Side.HIM)
        await at_server.until(LinemodeChanged(True, True))
        assert telnet.is_on(codes.LINEMODE, Side.HIM)
        telnet.set_linemode(edit=True, trapsig=False)
        await at_server.until(LinemodeChanged(True, False))

    async with pair(ask, server={"on_event": at_server}, also=[codes.LINEMODE]) as (_, telnet):
        assert [line async for line in telnet] == []
    assert OptionChanged(codes.LINEMODE, Side.HIM, True) in at_server


async def test_compression() -> None:
    async with pair(
        server={"offers": Offers(mccp2=True, mccp3=True)}, also=[codes.MCCP2, codes.MCCP3]
    ) as (server, telnet):
        for _ in range(3):
            await telnet.send("x" * 3000 + "\n")
            assert await telnet.readline() == "x" * 3000
        (served,) = server.connections
        assert telnet.is_on(codes.MCCP2, Side.HIM)
        assert telnet.is_on(codes.MCCP3, Side.HIM)
        assert served._connection.bytes_out < 1000


@pytest.mark.parametrize("also", [[], [codes.MXP]])
async def test_mxp(also: list[int]) -> None:
    async def show(telnet: ServerTelnet) -> None:
        if not await telnet.send_mxp("<send>north</send>"):
            await telnet.send("north\n")
        await telnet.send("\x1b[1z<b>\n")
        await telnet.send_prompt("\x1b[1z<i>\n")

    async with pair(show, server={"offers": Offers(mxp=True)}, also=also) as (_, telnet):
        lines = [line async for line in telnet]
    if also:
        assert lines == ["\x1b[7z\x1b[1z<send>north</send>", "␛[1z<b>", "␛[1z<i>"]
    else:
        assert lines == ["north", "\x1b[1z<b>", "\x1b[1z<i>"]


async def test_a_character_set() -> None:
    async with pair(server={"charset": "KOI8-R"}, charset="KOI8-R") as (server, telnet):
        await telnet.send("Привет\n")
        assert await telnet.readline() == "Привет"
        (served,) = server.connections
        assert served.charset == "KOI8-R"


async def test_tls() -> None:
    async with (
        serve(echo, "localhost", ssl=SERVER) as server,
        patience(),
        connect(url(server, "telnets"), tls=CLIENT) as telnet,
    ):
        assert telnet.tls is not None
        await telnet.send("hello\n")
        assert await telnet.readline() == "hello"


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("starttls", ["offered", "required"])
async def test_start_tls(required: bool, starttls: Any) -> None:
    async with pair(
        server={"starttls": SERVER, "starttls_required": required}, starttls=starttls, tls=CLIENT
    ) as (server, telnet):
        await telnet.send("hello\n")
        assert await telnet.readline() == "hello"
        assert telnet.tls is not None
        (served,) = server.connections
        assert served.tls is not None


@pytest.mark.parametrize("server", [{}, {"starttls": SERVER}])
async def test_start_tls_at_one_end_only(server: dict[str, Any]) -> None:
    starttls = "" if server else "offered"
    async with pair(server=server, starttls=starttls) as (_, telnet):
        await telnet.send("hello\n")
        assert await telnet.readline() == "hello"
        assert telnet.tls is None


async def test_start_tls_refused() -> None:
    async with serve(echo, "localhost") as server, patience():
        with pytest.raises(StartTlsRefusedError, match="refused, and required"):
            await connect(url(server), starttls="required", tls=CLIENT)


async def test_start_tls_with_a_server_that_is_not_known() -> None:
    async with serve(echo, "localhost", starttls=SERVER) as server, patience():
        with pytest.raises(OSError, match="certificate verify failed"):
            await connect(url(server), starttls="required")


async def test_a_line_is_not_lost_by_a_time_out() -> None:
    async with pair() as (_, telnet):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await telnet.readline()
        await telnet.send("hello\n")
        assert await telnet.readline() == "hello"


async def test_one_reader() -> None:
    async with pair() as (_, telnet):
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(telnet.readline())
            await asyncio.sleep(0)
            with pytest.raises(BusyError):
                await telnet.readline()
            await telnet.send("hello\n")
        assert first.result() == "hello"


async def test_a_program_that_does_not_read_is_not_sent_more() -> None:
    go_on = asyncio.Event()
    read: list[str] = []

    async def idle(telnet: ServerTelnet) -> None:
        await go_on.wait()
        read.extend([line async for line in telnet])

    # At a rate of bytes that does not matter here.
    limits = Limits().but(telnet={"bytes_per_second_max": 1e9, "bytes_burst_max": 10**9})
    async with pair(idle, server={"limits": limits}) as (server, telnet):
        await until(lambda: server._running)
        (served,) = server.connections

        async def fill() -> None:
            for number in range(20_000):
                await telnet.send(f"{number:050}\n")
            await telnet.close()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fill())
            await until(lambda: served._paused)
            assert len(served._lines) < 5_000
            go_on.set()
        await until(lambda: read)
        assert [int(line) for line in read] == list(range(20_000))


async def test_a_peer_that_does_not_read_is_waited_for() -> None:
    async def flood(telnet: ServerTelnet) -> None:
        for number in range(100_000):
            await telnet.send(f"{number:070}\n")

    limits = Limits().but(connection={"stalled_seconds_max": 0.3})
    async with serve(flood, "localhost", limits=limits) as server, patience():
        reader, writer = await asyncio.open_connection("localhost", server.port, limit=1000)
        writer.write(b"\xff\xfc\x18")
        await until(lambda: not server.connections)  # dropped, as it reads nothing
        writer.close()
        del reader


async def test_the_end_of_a_handler_closes_its_client() -> None:
    async def short(telnet: ServerTelnet) -> None:
        await telnet.send("bye\n")

    async with pair(short) as (server, telnet):
        assert [line async for line in telnet] == ["bye"]
        with pytest.raises(TelnetClosed):
            await telnet.readline()
        await telnet.close()
        with pytest.raises(TelnetClosed):
            await telnet.send("too late\n")
        await until(lambda: not server.connections)


async def test_a_handler_that_fails_ends_its_client_only() -> None:
    async def fail(telnet: ServerTelnet) -> None:
        async for line in telnet:
            if line == "fail":
                raise ValueError("as asked")
            await telnet.send(f"{line}\n")

    with capture_logs() as logs:
        async with pair(fail) as (server, telnet), connect(url(server)) as other:
            await telnet.send("fail\n")
            assert [line async for line in telnet] == []
            await other.send("hello\n")
            assert await other.readline() == "hello"
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["a handler failed"]


async def test_a_server_that_stops_closes_its_clients() -> None:
    async with serve(echo, "localhost") as server:
        telnet = await connect(url(server))
        server.close()
        await server.serve_forever()
    async with patience():
        assert [line async for line in telnet] == []
        await telnet.close()


async def test_a_flood_of_negotiations() -> None:
    events = Events()
    async with serve(echo, "localhost", on_event=events) as server, patience():
        reader, writer = await asyncio.open_connection("localhost", server.port)
        writer.write(b"\xff\xfd\x63" * 400)
        await reader.read()
        writer.close()
    assert [event.reason.value for event in events if isinstance(event, Violation)] == [
        "too many commands and negotiations"
    ]


async def test_a_client_without_telnet_is_served() -> None:
    async with serve(echo, "localhost", limits=QUICK) as server, patience():
        reader, writer = await asyncio.open_connection("localhost", server.port)
        writer.write(b"hello\n")
        assert (await reader.readuntil(b"hello\r\n")).endswith(b"hello\r\n")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()


async def test_too_much_before_what_is_expected() -> None:
    async def chatter(telnet: ServerTelnet) -> None:
        for _ in range(2_000):
            await telnet.send("x" * 100 + "\n")
        await telnet.readline()

    async with pair(chatter) as (_, telnet):
        with pytest.raises(LimitExceededError):
            await telnet.read_until("Name:")


async def test_an_end_before_what_is_expected() -> None:
    async def short(telnet: ServerTelnet) -> None:
        await telnet.send("no\n")

    async with pair(short) as (_, telnet):
        with pytest.raises(TelnetClosed):
            await telnet.read_until("Name:")


async def test_what_is_told_while_nothing_is_read() -> None:
    events = Events()
    async with pair(on_event=events) as (_, telnet):
        await telnet.send("hello\n")
        await telnet.readline()
    assert any(isinstance(event, CapabilitiesChanged) for event in events)


async def test_wrong_arguments() -> None:
    with pytest.raises(ConfigurationError, match="charset: expected 'auto' or a character set"):
        connect("telnet://localhost:1", charset="UTF-16")
    with pytest.raises(InvalidAddressError, match="expected one of telnet before"):
        connect("telnets://localhost:1", starttls="required")
    with pytest.raises(ConfigurationError, match="expected ssl or starttls, found both"):
        async with serve(echo, ssl=SERVER, starttls=SERVER):
            pass
