"""A server's counters in a registry of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from tests.net.helpers import call, until

from holdfast.tcp import ConnectionLimits, Stream, metrics, serve


async def echo(stream: Stream) -> None:
    async for data in stream:
        await stream.write(data)


async def test_a_server_is_scraped() -> None:
    limits = ConnectionLimits(connections_max=1)
    async with serve(echo, "tcp://127.0.0.1:0", limits=limits) as server:
        registry = CollectorRegistry()
        registry.register(metrics(server))
        (address,) = server.addresses
        at = {"listener": str(address)}

        def value(name: str, **labels: str) -> float | None:
            return registry.get_sample_value(f"holdfast_{name}", labels or at)

        async with call(address) as caller:
            await caller.write(b"hello")
            assert await caller.read(5) == b"hello"
            assert value("listener_connections") == 1
            assert value("listener_received_bytes_total") == 5
            assert value("listener_sent_bytes_total") == 5
            async with call(address) as other:
                await other.dropped()
        await until(lambda: value("listener_connections") == 0)
        assert value("listener_accepted_total") == 1
        assert value("listener_refused_total") == 1
        assert value("connections_refused_total", reason="too_many") == 1
        assert value("listener_handshake_failures_total") == 0
        assert value("listener_received_bytes_total") == 5
