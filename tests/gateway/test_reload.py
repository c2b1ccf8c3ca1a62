"""A gateway that is given another configuration while it serves."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from msgspec import structs
from tests.backends.test_upstreams import at, bridged
from tests.gateway.admin.asking import administered, ask, told
from tests.gateway.certificates import certificate
from tests.gateway.clients import Person, person, person_at
from tests.gateway.running import SECONDS, TCP, TELNET, WS, configured, eventually, serving
from tests.gateway.servers import mud
from tests.gateway.streams import hello, post, requests
from tests.ports import free_port

from holdfast.backends import echo, ssh
from holdfast.backends.base import Backend
from holdfast.backends.upstream_config import UpstreamConfig
from holdfast.core.errors import ConfigurationError, HoldfastError
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig


def echoing(folder: Path, *urls: str) -> Config:
    return configured(folder, urls, backend="echo", durability="memory")


def changed(config: Config, number: int, **keys: object) -> Config:
    """With other keys of a listener."""
    listeners = list(config.listener)
    listeners[number] = structs.replace(listeners[number], **keys)
    return structs.replace(config, listener=tuple(listeners))


async def talks(someone: Person, text: str) -> None:
    someone.types(text)
    await someone.sees(text)


def effects(found: object) -> list[str]:
    return [change.effect for change in found]  # type: ignore[attr-defined]


async def test_listeners_come_and_go_and_clients_stay(tmp_path: Path) -> None:
    port = free_port()
    config = echoing(tmp_path, TCP, TELNET)
    async with serving(config) as gateway, person(gateway, "tcp") as first:
        await first.shown_code()
        tcp, telnet = (address.port for address in gateway.addresses)
        added = ListenerConfig(
            url=f"tcp://127.0.0.1:{port}", backend=echo.Config(), durability="memory"
        )
        new = structs.replace(config, listener=(config.listener[1], added))
        assert set(effects(await gateway.take_up(new))) == {"now"}
        assert [address.port for address in gateway.addresses] == [telnet, port]
        await talks(first, "still here")
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", tcp)
        async with (
            person_at(port, telnet=False) as second,
            person_at(telnet, telnet=True) as third,
        ):
            await second.shown_code()
            await talks(second, "new")
            await third.shown_code()
            await talks(third, "as before")
        assert await gateway.take_up(new) == []


async def test_a_listener_that_stays_takes_new_clients_in_otherwise(tmp_path: Path) -> None:
    config = echoing(tmp_path, WS, TCP)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("A page.")
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        await someone.shown_code()
        port = gateway.addresses[0].port
        assert "A page." not in await fetched(port)
        new = changed(config, 0, pages=str(tmp_path / "page"))
        await gateway.take_up(new)
        assert gateway.addresses[0].port == port
        assert "A page." in await fetched(port)
        counted = gateway.listeners.clients.tallies[gateway.addresses[0]].accepted
        assert counted == 2, "its counters go on"
        await talks(someone, "undisturbed")


async def test_an_event_stream_that_is_open_takes_messages_as_before(tmp_path: Path) -> None:
    config = echoing(tmp_path, WS)
    async with serving(config) as gateway, hello(gateway) as client:
        await client.expect("welcome")
        new = changed(config, 0, origins=("https://example.org",))
        assert effects(await gateway.take_up(new)) == ["now"]
        async with hello(gateway) as other, requests(gateway) as at:
            await other.expect("welcome")
            for one, said in (client, "old"), (other, "new"):
                assert (await post(at, one, {"t": "cmd", "c": 1, "d": said})).status == 200
                assert (await one.expect("text"))["d"] == said


async def fetched(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(45):
        answer = await reader.read()
    writer.close()
    return answer.decode()


async def test_limits_are_those_of_new_clients(tmp_path: Path) -> None:
    config = echoing(tmp_path, TCP)
    limits = Limits().but(session={"sessions_max": 1}, connection={"connections_max": 2})
    async with serving(config) as gateway, person(gateway, "tcp") as first:
        await first.shown_code()
        found = await gateway.take_up(structs.replace(config, limits=limits))
        assert effects(found) == ["now", "now"]
        async with person(gateway, "tcp") as second, person(gateway, "tcp") as third:
            await second.sees("no room for another session")
            assert await third.rest() == ""
        await talks(first, "undisturbed")


async def test_an_upstream_has_other_servers_for_new_sessions(tmp_path: Path) -> None:
    async with mud() as old, mud() as new:
        config = bridged(tmp_path, at(old), urls=(TCP,))
        async with serving(config) as gateway, person(gateway, "tcp") as first:
            await first.shown_code()
            before = await old.visit()
            servers = UpstreamConfig(
                name=config.upstream[0].name, servers=(at(new),), content=config.upstream[0].content
            )
            await gateway.take_up(structs.replace(config, upstream=(servers,)))
            async with person(gateway, "tcp") as second:
                await second.shown_code()
                after = await new.visit()
                after.says("Welcome to the new one.\r\n")
                await second.sees("Welcome to the new one.")
                before.says("The old one goes on.\r\n")
                await first.sees("The old one goes on.")


async def test_a_replaced_upstream_is_checked_no_more(tmp_path: Path) -> None:
    async with mud() as old, mud() as new:
        config = bridged(tmp_path, at(old), urls=(TCP,), check=True)
        async with serving(config) as gateway:
            (replaced,) = gateway.upstreams.values()
            beside = list(replaced._beside)
            assert beside
            servers = structs.replace(config.upstream[0], servers=(at(new),))
            await gateway.take_up(structs.replace(config, upstream=(servers,)))
            await eventually(lambda: all(task.cancelled() for task in beside))
            (serves,) = gateway.upstreams.values()
            assert not any(task.done() for task in serves._beside)


async def test_upstreams_of_a_failed_reload_are_not_used(tmp_path: Path) -> None:
    async with mud() as old, mud() as new:
        config = bridged(tmp_path, at(old), urls=(TCP,))
        async with serving(config) as gateway:
            upstreams = dict(gateway.upstreams)
            servers = structs.replace(config.upstream[0], servers=(at(new),))
            added = UpstreamConfig(name="added", servers=(at(new),))
            taken = structs.replace(
                config.listener[0], url=f"tcp://127.0.0.1:{gateway.addresses[0].port}"
            )
            with pytest.raises(HoldfastError):
                await gateway.take_up(
                    structs.replace(config, upstream=(servers, added), listener=(taken,))
                )
            assert gateway.upstreams == upstreams
            async with person(gateway, "tcp") as someone:
                await someone.shown_code()
                visit = await old.visit()
                visit.says("The old one.\r\n")
                await someone.sees("The old one.")


async def test_what_is_wrong_changes_nothing(tmp_path: Path) -> None:
    config = echoing(tmp_path, TCP)
    pair = certificate(tmp_path)
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        await someone.shown_code()
        before = list(gateway.addresses)
        other = structs.replace(config.listener[0], url=f"tcp://127.0.0.1:{free_port()}")
        taken = structs.replace(other, url=f"tcp://127.0.0.1:{before[0].port}")
        broken = structs.replace(
            other, url="tls://127.0.0.1:0", certificate=structs.replace(pair, key=pair.cert)
        )
        for wrong in (taken, broken):
            with pytest.raises(HoldfastError):
                await gateway.take_up(structs.replace(config, listener=(other, wrong)))
            assert gateway.addresses == before
            assert gateway.config is config
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", other.address.port)
        await talks(someone, "undisturbed")


def not_to_be_opened(config: object, services: object) -> Backend:
    raise ConfigurationError("listener[2].backend: cannot be opened")


async def test_a_backend_of_a_failed_reload_serves_after_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mud() as server:
        config = bridged(tmp_path, at(server), urls=(TCP,))
        behind = config.listener[0].backend
        config = structs.replace(config, listener=echoing(tmp_path, TCP).listener)
        added = ListenerConfig(
            url=f"tcp://127.0.0.1:{free_port()}", backend=behind, durability="memory"
        )
        without = ListenerConfig(
            url=f"ws://127.0.0.1:{free_port()}",
            backend=ssh.Config(),
        )
        monkeypatch.setattr(ssh, "open", not_to_be_opened)
        async with serving(config) as gateway:
            wrong = structs.replace(config, listener=(*config.listener, added, without))
            with pytest.raises(ConfigurationError, match="cannot be opened"):
                await gateway.take_up(wrong)
            await gateway.take_up(structs.replace(config, listener=(*config.listener, added)))
            async with person_at(gateway.addresses[1].port, telnet=False) as someone:
                visit = await server.visit()
                visit.says("Welcome.\r\n")
                await someone.sees("Welcome.")


async def test_a_gateway_that_stops_takes_up_nothing(tmp_path: Path) -> None:
    before, added = (
        UpstreamConfig(name=name, servers=("tcp://127.0.0.1:1",)) for name in ("before", "added")
    )
    config = structs.replace(echoing(tmp_path, TCP), upstream=(before,))
    may_go_on = threading.Event()

    def source() -> Config:
        may_go_on.wait(SECONDS)
        return structs.replace(config, upstream=(before, added))

    async with serving(config) as gateway:
        gateway._source = source
        gateway.reload()
        gateway.stop()
        await eventually(lambda: all(task.done() for task in gateway._running))
        may_go_on.set()
    assert list(gateway.upstreams) == ["before"]


async def test_an_operator_asks_for_it(tmp_path: Path) -> None:
    async with serving(administered(echoing(tmp_path, TCP))) as gateway:
        answer = await ask(gateway, "/api/reload", "POST")
        assert answer.status == 400
        assert b"without a configuration file" in answer.body
        gateway._source = lambda: changed(gateway.config, 0, wrap=False)
        assert await told(gateway, "/api/reload", method="POST") == {"changes": []}
