from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
import structlog
from tests.net.certificates import write_pems
from tests.net.fakes import Bench, FakeTransport, Recorder
from tests.net.helpers import Stand, call, has_ipv6, patience, serving, unix, until

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits
from holdfast.core.states import UndefinedTransitionError
from holdfast.net.addresses import parse_address
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import Phase
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.acceptor import Acceptor
from holdfast.net.server.bind import AddressInUseError
from holdfast.net.server.forwarded import ForwardedOptions
from holdfast.net.server.lifecycle import TABLE, ServerInput, ServerState
from holdfast.net.server.server import ListenOptions, Server
from holdfast.net.tls.contexts import client_context, server_context

ANYWHERE = "tcp://127.0.0.1:0"

# --- its life

_S, _I = ServerState, ServerInput

LIFE = {
    (_S.CREATED, _I.START): _S.RUNNING,
    (_S.CREATED, _I.DRAIN): _S.STOPPED,
    (_S.CREATED, _I.STOP): _S.STOPPED,
    (_S.RUNNING, _I.START): None,
    (_S.RUNNING, _I.DRAIN): _S.DRAINING,
    (_S.RUNNING, _I.STOP): _S.STOPPED,
    (_S.DRAINING, _I.START): None,
    (_S.DRAINING, _I.DRAIN): _S.DRAINING,
    (_S.DRAINING, _I.STOP): _S.STOPPED,
    (_S.STOPPED, _I.START): None,
    (_S.STOPPED, _I.DRAIN): _S.STOPPED,
    (_S.STOPPED, _I.STOP): _S.STOPPED,
}


@pytest.mark.parametrize(
    ("state", "given"),
    list(itertools.product(ServerState, ServerInput)),
    ids=lambda value: value.name,
)
def test_a_server_s_life_is_a_total_table(state: ServerState, given: ServerInput) -> None:
    expected = LIFE[state, given]
    assert TABLE.allows(state, given) is (expected is not None)
    if expected is not None:
        assert TABLE.step(state, given).state is expected


async def test_a_server_goes_through_its_life_once() -> None:
    server = Server(ConnectionLimits(), Runtime(asyncio.get_running_loop()))
    assert server.state.name == "CREATED"
    server.start()
    assert server.state.name == "RUNNING"
    await server.drain(1)
    assert server.state.name == "STOPPED"
    await server.drain(1)
    await server.close()
    with pytest.raises(UndefinedTransitionError, match="START is not allowed in state STOPPED"):
        server.start()


# --- admission


class Gate:
    """A server, and connections on fakes that come to it from where we say."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.bench = Bench()
        self.server = Server(limits, self.bench.runtime)
        self.server.start()

    def come(self, peer: object) -> Connection:
        connection = Connection(self.bench.runtime, self.server.limits, self.server)
        connection.attach(Recorder())
        connection.connection_made(FakeTransport(connection, peername=peer))
        return connection

    @property
    def open(self) -> int:
        return len(self.server.connections)


ONE_NETWORK = [
    pytest.param([("192.0.2.1", 1), ("192.0.2.1", 2)], id="ipv4-address"),
    pytest.param(
        [("2001:db8::1", 1, 0, 0), ("2001:db8::ffff:ffff:ffff:ffff", 2, 0, 0)], id="ipv6-64"
    ),
    pytest.param([("fe80::1%eth0", 1, 0, 2), ("fe80::2%eth1", 2, 0, 3)], id="ipv6-with-zones"),
    pytest.param(["", ""], id="unix"),
    pytest.param([("192.0.2.1", 1), ("::ffff:192.0.2.1", 1, 0, 0)], id="ipv4-through-ipv6"),
]
TWO_NETWORKS = [
    pytest.param([("192.0.2.1", 1), ("192.0.2.2", 1)], id="ipv4"),
    pytest.param([("2001:db8::1", 1, 0, 0), ("2001:db8:0:1::1", 1, 0, 0)], id="ipv6"),
    pytest.param([("192.0.2.1", 1), ""], id="ipv4-and-unix"),
]


@pytest.mark.parametrize("peers", ONE_NETWORK)
async def test_one_network_may_have_so_many_connections(peers: list[object]) -> None:
    gate = Gate(ConnectionLimits(connections_per_address_max=1))
    first, second = map(gate.come, peers)
    assert first.phase is Phase.HANDSHAKE
    assert second.phase is Phase.LOST
    assert (gate.server.accepted, gate.server.refused) == (1, 1)
    first.connection_lost(None)
    second.connection_lost(None)
    assert gate.open == 0
    assert gate.come(peers[1]).phase is Phase.HANDSHAKE
    assert (gate.server.accepted, gate.server.refused) == (2, 1)


@pytest.mark.parametrize("peers", TWO_NETWORKS)
async def test_networks_are_counted_apart(peers: list[object]) -> None:
    gate = Gate(ConnectionLimits(connections_per_address_max=1))
    assert [gate.come(peer).phase for peer in peers] == [Phase.HANDSHAKE] * 2


async def test_a_server_may_have_so_many_connections() -> None:
    gate = Gate(ConnectionLimits(connections_max=2))
    phases = [gate.come((f"192.0.2.{n}", 1)).phase for n in range(3)]
    assert phases == [Phase.HANDSHAKE, Phase.HANDSHAKE, Phase.LOST]
    assert gate.open == 2


async def test_a_refused_connection_s_handler_hears_nothing() -> None:
    gate = Gate(ConnectionLimits(connections_max=1))
    gate.come(("192.0.2.1", 1))
    refused = gate.come(("192.0.2.2", 1))
    handler = refused.handler
    assert isinstance(handler, Recorder)
    refused.connection_lost(None)
    assert handler.calls == []
    assert gate.open == 1


async def test_a_server_that_does_not_run_admits_nobody() -> None:
    gate = Gate(ConnectionLimits())
    await gate.server.close()
    assert gate.come(("192.0.2.1", 1)).phase is Phase.LOST


async def test_what_is_counted_is_forgotten_with_the_last_connection() -> None:
    gate = Gate(ConnectionLimits())
    for n in range(20):
        gate.come((f"192.0.2.{n}", 1)).connection_lost(None)
    assert gate.server._admission.networks == 0


async def test_other_proxies_are_trusted_for_new_connections(tmp_path: Path) -> None:
    """A connection is counted out as what it was counted in as, and an address that is listened at
    again without proxies trusts none."""
    trusting = ListenOptions(forwarded=ForwardedOptions(("unix",)), replaces=True)
    async with serving() as stands:
        server = stands.server
        at = parse_address(unix(tmp_path))
        address = await server.listen(at, Stand)
        for options in (trusting, ListenOptions(replaces=True)):
            async with call(address):
                await until(lambda: len(server.connections) == 1)
                await server.listen(address, Stand, None, options)
            await until(lambda: not server.connections)
            assert server._admission.networks == 0
            assert not server._networks._of_proxies
        await server.listen(address, Stand, None, trusting)
        server.unlisten(address)
        await server.listen(at, Stand)
        async with call(address):
            await until(lambda: len(server.connections) == 1)
            (connection,) = server.connections
            assert server.forward(connection, ["203.0.113.7"])
            assert connection.peer == "unix", "what it says of its client is not believed"


async def test_new_limits_are_those_of_every_part_of_a_server() -> None:
    gate = Gate(ConnectionLimits(connections_max=2))
    acceptor = Acceptor(gate.server, lambda connection: Recorder(), None, None)
    gate.server.limits = new = ConnectionLimits(
        connections_max=100, connections_per_address_max=1, linger_seconds_max=0.5
    )
    assert acceptor.limits is new
    assert gate.server.answered._seconds == 0.5
    gate.server.handshakes.began("192.0.2.1")
    assert not gate.server.handshakes.full("192.0.2.1")
    phases = [gate.come(("192.0.2.1", 1)).phase for _ in range(2)]
    assert phases == [Phase.HANDSHAKE, Phase.LOST]


# --- on real sockets


async def test_several_listeners_share_one_registry(tmp_path: Path) -> None:
    async with serving() as server:
        urls = ["tcp://127.0.0.1:0", unix(tmp_path)]
        if has_ipv6():
            urls.append("tcp://[::1]:0")
        addresses = [await server.listen(url) for url in urls]
        for number, address in enumerate(addresses):
            async with call(address) as caller:
                stand = await server.stand(number)
                assert server.server.connections == {stand.connection}
                await caller.write(b"hello")
                await stand.until(lambda stand: stand.data == b"hello")
            await stand.until_lost()
        assert server.server.connections == set()
        assert server.server.accepted == len(addresses)


async def test_a_refused_client_is_dropped_and_the_others_go_on() -> None:
    async with serving(ConnectionLimits(connections_max=1)) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as first:
            stand = await server.stand()
            async with call(address) as second:
                await second.dropped()
            await first.write(b"still here")
            await stand.until(lambda stand: stand.data == b"still here")
        assert server.server.refused == 1


async def test_drain_tells_every_handler_and_waits_until_they_are_gone(tmp_path: Path) -> None:
    class Polite(Stand):
        def drain(self) -> None:
            self._heard("drain")
            self.connection.write(b"goodbye")  # and closes when the client does

    async with serving(make=Polite) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as first, call(address) as second:
            stands = [await server.stand(0), await server.stand(1)]
            async with asyncio.TaskGroup() as tasks:
                draining = tasks.create_task(server.server.drain(60))
                for caller in (first, second):
                    assert await caller.read(7) == b"goodbye"
                assert server.server.state.name == "DRAINING"
                with pytest.raises(ConnectionRefusedError):
                    async with call(address):
                        pass
                first.writer.close()
                await stands[0].until_lost()
                assert not draining.done()
                second.writer.close()
                async with patience():
                    await draining
            assert server.server.state.name == "STOPPED"
            for stand in stands:
                assert stand.calls[-1] == "lost"
                assert stand.calls.count("drain") == 1


async def test_a_connection_that_outstays_the_drain_is_dropped() -> None:
    class Stubborn(Stand):
        def drain(self) -> None:
            self._heard("drain")

    async with serving(make=Stubborn) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address), call(address) as leaver:
            stand = await server.stand(0)
            await server.stand(1)
            with structlog.testing.capture_logs() as logs:
                async with patience(), asyncio.TaskGroup() as tasks:
                    tasks.create_task(server.server.drain(0.05))
                    leaver.writer.close()
            assert stand.calls == ["connected", "drain", "lost"]
            assert server.server.connections == set()
    (told,) = [entry for entry in logs if entry["event"] == "drain timed out"]
    assert told == {
        "event": "drain timed out",
        "log_level": "warning",
        "dropped": 1,
        "left": 1,
        "seconds": 0.05,
        "at": str(address),
    }


async def test_a_drain_tells_how_many_were_dropped() -> None:
    class Staying(Stand):
        def drain(self) -> None:
            self.calls.append("drain")

    for seconds in (0, 0.05):
        async with serving(make=Staying) as server, call(await server.listen(ANYWHERE)) as caller:
            await server.stand()
            assert await server.server.drain(seconds) == 1
            await caller.dropped()
    async with serving() as server, call(await server.listen(ANYWHERE)) as caller:
        await server.stand()
        assert await server.server.drain(60) == 0


async def test_a_listener_ends_and_its_connections_stay(tmp_path: Path) -> None:
    async with serving() as server:
        address, other = await server.listen(ANYWHERE), await server.listen(unix(tmp_path))
        async with call(address) as caller:
            stand = await server.stand()
            assert server.server.unlisten(address)
            assert not server.server.unlisten(address)
            assert server.server.addresses == [other]
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(address.host, address.port)
            await caller.write(b"still here")
            await stand.until(lambda stand: stand.data == b"still here")
            again = await server.listen(f"tcp://127.0.0.1:{address.port}")
            assert again == address
            async with call(again):
                await server.stand(1)
                assert server.server.tallies[address].open == 2
        await stand.until_lost()
        assert server.server.unlisten(other)
        assert not (tmp_path / "s").exists()


async def test_close_drops_every_connection_without_a_word() -> None:
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as caller:
            stand = await server.stand()
            async with patience():
                await server.server.close()
            assert stand.calls == ["connected", "lost"]
            await caller.dropped()


async def test_a_drain_that_is_closed_ends_at_once() -> None:
    class Stubborn(Stand):
        def drain(self) -> None:
            self._heard("drain")

    async with serving(make=Stubborn) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address):
            stand = await server.stand()
            async with patience(), asyncio.TaskGroup() as tasks:
                tasks.create_task(server.server.drain(3_600))
                await stand.until(lambda stand: "drain" in stand.calls)
                await server.server.close()


async def test_a_stopped_server_can_be_followed_by_another_at_the_same_address() -> None:
    async with serving() as first:
        address = await first.listen("tcp://127.0.0.1:0")
        async with serving() as second:
            with pytest.raises(AddressInUseError):
                await second.listen(str(address))
            await first.server.close()
            await second.listen(str(address))
            async with call(address):
                await second.stand()


async def test_tls_is_over_before_a_handler_hears_anything(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    async with serving() as server:
        address = await server.listen("tls://localhost:0", server_context(pems.certificate))
        async with call(address, ssl=client_context(pems.authority)) as caller:
            stand = await server.stand()
            assert stand.connection.secure
            stand.connection.write(b"secret")
            assert await caller.read(6) == b"secret"


async def test_a_client_that_never_ends_its_tls_handshake_is_dropped(tmp_path: Path) -> None:
    """Otherwise each of them would hold a socket for as long as it likes."""
    pems = write_pems(tmp_path)
    limits = ConnectionLimits(handshake_seconds_max=0.05)
    async with serving(limits) as server:
        address = await server.listen("tls://127.0.0.1:0", server_context(pems.certificate))
        async with call(address) as caller:
            await caller.dropped()
        assert server.server.accepted == 0


async def test_a_client_that_never_ends_its_handshake_is_told_and_dropped() -> None:
    async with serving(ConnectionLimits(handshake_seconds_max=0.05)) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as caller:
            stand = await server.stand()
            assert await caller.read_all() == b""
            await stand.until_lost()
            assert stand.reasons == [Reason.TIMEOUT]


async def test_a_handler_that_cannot_be_made_costs_its_own_connection_only() -> None:
    failing = [True]

    def make(connection: Connection) -> Stand:
        if failing.pop() if failing else False:
            raise ValueError("a defect")
        return Stand(connection)

    async with serving(make=make) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        with structlog.testing.capture_logs() as logs:
            async with call(address) as first:
                await first.dropped()
        assert "a defect" in logs[0]["traceback"]
        async with call(address) as second:
            stand = await server.stand()
            await second.write(b"x")
            await stand.until(lambda stand: stand.data == b"x")
