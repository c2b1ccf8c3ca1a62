"""Sessions on servers that know nothing of sessions, and bare streams: the whole way."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.clients import person, plain, v1
from tests.gateway.running import SECONDS, TCP, TELNET, WS, eventually, port, serving
from tests.gateway.servers import Mud, mud, running
from tests.ports import free_port
from tests.programs import need

from holdfast.backends import tcp
from holdfast.backends.registry import KINDS
from holdfast.backends.upstream_config import UpstreamConfig
from holdfast.core.errors import Reason
from holdfast.core.limits import KIB, Limits
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.store_config import StoreConfig
from holdfast.net.runtime import tasks
from holdfast.net.upstream.health_check import Health

LIMITS = Limits().but(
    upstream={"prompt_seconds_max": 0.05, "backoff_seconds_max": 0.01, "attempts_max": 2}
)


def bridged(
    folder: Path,
    *servers: str,
    urls: tuple[str, ...] = (WS, TELNET, TCP),
    backend: Any = "tcp",
    durability: Any = "fast",
    limits: Limits = LIMITS,
    **upstream: Any,
) -> Config:
    """A gateway in front of these servers."""
    return Config(
        listener=tuple(
            ListenerConfig(
                url=url, backend=KINDS[backend].Config(upstream="mud"), durability=durability
            )
            for url in urls
        ),
        upstream=(UpstreamConfig("mud", servers, **upstream),),
        store=StoreConfig(path=str(folder / "sessions.db")),
        limits=limits,
    )


def at(it: Mud, scheme: str = "tcp") -> str:
    return f"{scheme}://127.0.0.1:{it.port}"


async def until_detached(gateway: Gateway) -> None:
    await eventually(
        lambda: all(session.state.detached for session in gateway.manager.sessions.values())
    )


# --- sessions


@pytest.mark.parametrize("scheme", ["tcp", "telnet"])
async def test_a_person_talks_to_a_server(tmp_path: Path, scheme: str) -> None:
    async with (
        mud() as it,
        serving(bridged(tmp_path, at(it))) as gateway,
        person(gateway, scheme) as someone,
    ):
        visit = await it.visit()
        visit.says("Welcome.\r\nName: ")
        await someone.sees("Welcome.\nName: ")
        someone.types("Ada")
        await visit.hears("Ada\n")
        visit.says("\r\nHello Ada.\r\n")
        await someone.sees("Hello Ada.\n")


async def test_what_is_typed_before_the_server_is_there_waits_for_it(tmp_path: Path) -> None:
    where = free_port()
    limits = LIMITS.but(upstream={"attempts_max": 100, "failures_max": 1_000})
    config = bridged(tmp_path, f"tcp://127.0.0.1:{where}", limits=limits)
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        await someone.shown_code()
        someone.types("look")
        await eventually(lambda: gateway.upstreams["mud"].pool.targets[0].failed > 2)
        async with mud(where) as it:
            visit = await it.visit()
            await visit.hears("look\n")


REDIAL = LIMITS.but(upstream={"redial_pause_seconds_max": 0.01})


async def test_a_server_that_restarts_cuts_nobody_off(tmp_path: Path) -> None:
    where = free_port()
    server = f"telnet://127.0.0.1:{where}"
    config = bridged(tmp_path, server, limits=REDIAL, on_server_lost="redial")
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        async with mud(where) as it:
            visit = await it.visit()
            visit.says("Name: ")
            await someone.sees("Name: ")
            someone.types("Ada")
            await visit.hears("Ada\r\n")
            visit.writer.write(b"\xff\xfb\x01half a line")
        await someone.sees("half a line")
        await someone.sees("It is tried again; what you type meanwhile is not sent.")
        someone.types("my password")
        await someone.sees("There is no server yet: what you typed was not sent.")
        (session,) = gateway.manager.sessions.values()
        assert session.row.input_mode == "secret"
        async with mud(where) as it:
            visit = await it.visit()
            await someone.sees("You are connected to the server again.")
            assert session.row.input_mode == "line"
            visit.says("Name: ")
            await someone.sees("Name: ")
            someone.types("Ada")
            await visit.hears("Ada\r\n")
            await eventually(lambda: not session.inbox.entries)


async def test_a_server_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    where = free_port()
    server = f"tcp://127.0.0.1:{where}"
    config = bridged(tmp_path, server, limits=REDIAL, on_server_lost="redial")
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        await someone.sees("The server cannot be reached. It is tried again.")
        someone.types("look")
        async with mud(where) as it:
            visit = await it.visit()
            await visit.hears("look\n")


async def test_a_server_that_does_not_come_back_ends_the_session(tmp_path: Path) -> None:
    limits = REDIAL.but(upstream={"redial_seconds_max": 0.05})
    async with mud() as it:
        config = bridged(tmp_path, at(it), limits=limits, on_server_lost="redial")
        async with serving(config) as gateway, person(gateway, "tcp") as someone:
            visit = await it.visit()
            it.close()
            visit.ends()
            await someone.sees("It is tried again")
            await someone.rest()
            await eventually(lambda: not gateway.manager.sessions)


async def test_a_server_that_ends_each_connection_at_once_is_not_tried_for_ever(
    tmp_path: Path,
) -> None:
    limits = REDIAL.but(upstream={"redial_seconds_max": 0.05})
    async with mud() as it:
        it.ends_all = True
        config = bridged(tmp_path, at(it), limits=limits, on_server_lost="redial")
        async with serving(config) as gateway, person(gateway, "tcp") as someone:
            await someone.rest()
            await eventually(lambda: not gateway.manager.sessions)


@pytest.mark.parametrize("durability", ["memory", "fast", "durable"])
async def test_the_server_stays_connected_and_what_it_says_is_not_missed(
    tmp_path: Path, durability: str
) -> None:
    async with mud() as it:
        config = bridged(tmp_path, at(it), durability=durability)
        async with serving(config) as gateway:
            async with person(gateway, "tcp") as someone:
                code = await someone.shown_code()
                visit = await it.visit()
                visit.says("one\n")
                await someone.sees("one\n")
                someone.drop()
            await until_detached(gateway)
            visit.says("two\nthree\n> ")
            (session,) = gateway.manager.sessions.values()
            await eventually(lambda: session.out.top == 4)
            async with person(gateway, "telnet") as again:
                again.types(f"resume {code}")
                await again.sees("two\nthree\n> ")
                again.types("look")
                await visit.hears("look\n")
            assert len(it.visits) == 1


async def test_a_numbering_client_resumes_exactly(tmp_path: Path) -> None:
    async with mud() as it, serving(bridged(tmp_path, at(it))) as gateway:
        async with v1(gateway) as first:
            welcome = await first.expect("welcome")
            visit = await it.visit()
            visit.says("1\n2\n")
            await first.texts("2")
            await first.say("cmd", c=1, d="look")
            await visit.hears("look\n")
            first.drop()
        await until_detached(gateway)
        visit.says("3\n")
        token, epoch = welcome["token"], welcome["epoch"]
        async with v1(gateway, token=token, epoch=epoch, last=1) as second:
            assert await second.texts("3") == [(2, "2"), (3, "3")]


async def test_a_server_that_ends_ends_the_session_after_its_last_words(tmp_path: Path) -> None:
    async with mud() as it, serving(bridged(tmp_path, at(it))) as gateway:
        async with person(gateway, "tcp") as someone:
            visit = await it.visit()
            visit.says("Goodbye!\nno line end")
            visit.ends()
            assert (await someone.rest()).endswith(
                "Goodbye!\nno line end\n*** The server has closed the connection.\n"
                "*** The server has ended the connection.\n"
            )
        async with v1(gateway) as client:
            visit = await it.visit()
            visit.ends()
            assert await client.closed() == (4004, "the server has ended the connection")
        assert not gateway.manager.sessions


async def test_a_server_that_ends_while_the_client_is_away_is_read_to_its_last_word(
    tmp_path: Path,
) -> None:
    async with mud() as it, serving(bridged(tmp_path, at(it))) as gateway:
        async with person(gateway, "tcp") as someone:
            code = await someone.shown_code()
            visit = await it.visit()
            someone.drop()
        await until_detached(gateway)
        visit.says("You have died.\n")
        visit.ends()
        await eventually(lambda: gateway.upstreams["mud"].pool.targets[0].active == 0)
        assert len(gateway.manager.sessions) == 1
        async with person(gateway, "tcp") as again:
            again.types(f"resume {code}")
            seen = await again.rest()
            assert "You have died.\n*** The server has closed the connection.\n" in seen
            assert seen.endswith("*** The server has ended the connection.\n")
        assert not gateway.manager.sessions


async def test_a_server_that_is_reset(tmp_path: Path) -> None:
    async with (
        mud() as it,
        serving(bridged(tmp_path, at(it))) as gateway,
        person(gateway, "tcp") as someone,
    ):
        visit = await it.visit()
        visit.says("hello\n")
        await someone.sees("hello\n")
        visit.breaks()
        assert "*** The connection to the server was lost.\n" in await someone.rest()


async def test_a_server_that_is_down_is_a_clear_error(tmp_path: Path) -> None:
    config = bridged(tmp_path, f"tcp://127.0.0.1:{free_port()}")
    async with serving(config) as gateway:
        async with person(gateway, "telnet") as someone:
            assert (await someone.rest()).endswith("*** The server cannot be reached now.\n")
        async with v1(gateway) as client:
            assert await client.closed() == (4005, "the server cannot be reached now")
        await eventually(lambda: not gateway.manager.sessions)


async def test_a_server_that_does_not_answer_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"tls://127.0.0.1:{mute.getsockname()[1]}"
        limits = LIMITS.but(upstream={"connect_seconds_max": 0.05})
        async with (
            serving(bridged(tmp_path, url, limits=limits)) as gateway,
            person(gateway, "tcp") as someone,
        ):
            assert (await someone.rest()).endswith("*** The server cannot be reached now.\n")


async def test_the_next_server_is_taken_when_one_is_down(tmp_path: Path) -> None:
    async with mud() as it:
        config = bridged(tmp_path, f"tcp://127.0.0.1:{free_port()}", at(it))
        async with serving(config) as gateway, person(gateway, "tcp") as someone:
            (await it.visit()).says("here\n")
            await someone.sees("here\n")


async def test_a_session_that_ends_hangs_up(tmp_path: Path) -> None:
    limits = LIMITS.but(session={"detached_seconds_max": 0.01})
    async with mud() as it, serving(bridged(tmp_path, at(it), limits=limits)) as gateway:
        async with v1(gateway) as client:
            visit = await it.visit()
            await client.say("quit")
            await visit.is_left()
        async with person(gateway, "tcp") as someone:
            visit = await it.visit()
            someone.drop()
        await until_detached(gateway)
        gateway.manager.expire(gateway.context.wall() + 1)
        await visit.is_left()


async def test_after_a_restart_the_client_is_connected_anew_and_told(tmp_path: Path) -> None:
    async with mud() as it:
        config = bridged(tmp_path, at(it))
        async with serving(config) as gateway, person(gateway, "tcp") as someone:
            code = await someone.shown_code()
            visit = await it.visit()
            visit.says("before\n")
            await someone.sees("before\n")
            someone.drop()
            await until_detached(gateway)
        await visit.is_left()
        async with serving(config) as gateway, person(gateway, "tcp") as again:
            again.types(f"resume {code}")
            await again.sees("*** The connection to the server was lost. You are connected anew.\n")
            visit = await it.visit()
            visit.says("after\n")
            await again.sees("after\n")
            again.types("look")
            await visit.hears("look\n")


async def test_what_was_typed_before_a_restart_is_not_said_to_a_new_connection(
    tmp_path: Path,
) -> None:
    """It may have been a password for a prompt that is not there any more."""
    where = free_port()
    limits = LIMITS.but(upstream={"attempts_max": 1_000, "failures_max": 1_000})
    config = bridged(tmp_path, f"tcp://127.0.0.1:{where}", limits=limits)
    async with serving(config) as gateway, person(gateway, "tcp") as someone:
        code = await someone.shown_code()
        someone.types("s3cret")
        (session,) = gateway.manager.sessions.values()
        await eventually(lambda: len(session.inbox.entries) == 1)
        someone.drop()
        await until_detached(gateway)
    async with mud(where) as it, serving(config) as gateway, person(gateway, "tcp") as again:
        again.types(f"resume {code}")
        await again.sees("You are connected anew.\n")
        again.types("look")
        visit = await it.visit()
        await visit.hears("look\n")


async def test_a_slow_client_holds_the_server_back_and_misses_nothing(tmp_path: Path) -> None:
    lines = [f"{number} {'x' * 500}" for number in range(12_000)]  # the kernel takes 4 MB
    limits = LIMITS.but(upstream={"prompt_seconds_max": SECONDS})  # half a line is no prompt
    async with (
        mud() as it,
        serving(bridged(tmp_path, at(it), limits=limits)) as gateway,
        person(gateway, "tcp", small_window=True) as someone,
    ):
        visit = await it.visit()
        visit.says("".join(f"{line}\n" for line in lines))
        (session,) = gateway.manager.sessions.values()
        await eventually(lambda: session.lagging)
        assert session.out.top < len(lines)
        assert session.out.size <= LIMITS.session.window_bytes_max
        visit.ends()
        seen = await someone.rest()
        assert [line for line in seen.splitlines() if " x" in line] == lines


async def test_a_server_that_does_not_read_is_sent_no_more_than_fits(tmp_path: Path) -> None:
    """Its client is held back; what was taken arrives once and in order."""
    limits = LIMITS.but(
        session={"command_burst_max": 100_000, "commands_per_second_max": 100_000.0},
        upstream={"write_buffer_bytes_max": 64 * KIB},
        line={"bytes_per_second_max": 1e9, "bytes_burst_max": 1_000_000_000},
    )
    async with (
        mud() as it,
        serving(bridged(tmp_path, at(it), limits=limits)) as gateway,
        person(gateway, "tcp") as someone,
    ):
        await someone.shown_code()
        visit = await it.visit()
        (session,) = gateway.manager.sessions.values()
        (target,) = gateway.upstreams["mud"].pool.targets
        (connection,) = target.open
        number = 0
        async with asyncio.timeout(SECONDS):
            while "Too much is waiting" not in someone.screen:
                if not someone.writer.transport.get_write_buffer_size():
                    someone.types(*(f"{number + i} {'x' * 8_000}" for i in range(32)))
                    number += 32
                await asyncio.sleep(0.001)
                assert session.inbox.size <= LIMITS.session.queue_bytes_max + 9_000
                assert connection.unsent <= 64 * KIB + LIMITS.session.queue_bytes_max + 9_000
                if someone.reader._buffer:  # type: ignore[attr-defined]
                    await someone.reads()
        gateway.manager.close(session, Reason.KICKED)  # what is on its way goes out first
        async with asyncio.timeout(SECONDS):
            lines = (await visit.reader.read()).splitlines()
        heard = [int(line.split()[0]) for line in lines]
        assert heard == sorted(set(heard))
        assert heard[:3] == [0, 1, 2]
        assert all(len(line.split()[1]) == 8_000 for line in lines)


@pytest.mark.parametrize("durability", ["durable", "memory"])
async def test_a_quick_server_outruns_no_window(tmp_path: Path, durability: str) -> None:
    """Thousands of lines at once, to a client that keeps up: none is lost."""
    async with mud() as it:
        config = bridged(tmp_path, at(it), durability=durability)
        async with serving(config) as gateway, v1(gateway) as client:
            visit = await it.visit()
            visit.says("".join(f"{number}\n" for number in range(1, 3001)))
            found = await client.texts("3000")
            assert found == [(number, str(number)) for number in range(1, 3001)]


AWAY = {"drain": "lines could not be kept", "pause": "You missed this"}


@pytest.mark.parametrize(("away", "told"), AWAY.items(), ids=AWAY)
async def test_a_full_window_while_the_client_is_away(tmp_path: Path, away: str, told: str) -> None:
    async with mud() as it:
        config = bridged(tmp_path, at(it), away=away)
        async with serving(config) as gateway:
            async with person(gateway, "tcp") as someone:
                code = await someone.shown_code()
                visit = await it.visit()
                someone.drop()
            await until_detached(gateway)
            visit.says("".join(f"line {number}\n" for number in range(1000)))
            (session,) = gateway.manager.sessions.values()
            if away == "drain":
                await eventually(lambda: session.out.top == 1000)
            else:
                await eventually(lambda: session.lagging)
                assert session.out.base == 0
            async with person(gateway, "tcp") as again:
                again.types(f"resume {code}")
                seen = await again.sees("line 999\n")
                assert told in seen
                assert ("line 0\n" in seen) is (away == "pause")


async def test_telnet_both_ways(tmp_path: Path) -> None:
    async with (
        mud() as it,
        serving(bridged(tmp_path, at(it, "telnet"))) as gateway,
        v1(gateway) as client,
    ):
        await client.say("resize", width=100, height=30)
        visit = await it.visit()
        visit.writer.write(b"\xff\xfb\xc9\xff\xfb\x01Password: \xff\xf9")
        assert (await client.expect("prompt"))["d"] == "Password: "
        if not any(message.get("d") == "secret" for message in client.got):
            assert (await client.expect("mode"))["d"] == "secret"
        visit.writer.write(b'\xff\xfa\xc9Room.Info {"num":1}\xff\xf0')
        assert (await client.expect("data"))["p"] == "Room.Info"
        await client.say("cmd", c=1, d="s3cret")
        async with asyncio.timeout(SECONDS):
            assert (await visit.reader.readuntil(b"s3cret\r\n")).endswith(b"s3cret\r\n")


async def test_bytes_to_a_browser(tmp_path: Path) -> None:
    async with mud() as it:
        config = bridged(tmp_path, at(it), urls=(WS,), content="bytes")
        async with serving(config) as gateway, plain(gateway) as page:
            visit = await it.visit()
            visit.writer.write(b"\x00\xff\n")
            assert await page.hear() == b"\x00\xff\n"
            await page.ws.send(b"\x01\x02")
            async with asyncio.timeout(SECONDS):
                assert await visit.reader.readexactly(2) == b"\x01\x02"


async def test_a_long_line_of_a_server_is_passed_on_in_pieces(tmp_path: Path) -> None:
    async with (
        mud() as it,
        serving(bridged(tmp_path, at(it))) as gateway,
        person(gateway, "tcp") as someone,
    ):
        visit = await it.visit()
        visit.says("x" * 20_000 + "\nnext\n")
        seen = await someone.sees("next\n")
        assert seen.splitlines()[-3:] == ["x" * 16_384, "x" * 3_616, "next"]


async def test_a_server_that_says_what_cannot_be_passed_on(tmp_path: Path) -> None:
    async with (
        mud() as it,
        serving(bridged(tmp_path, at(it, "telnet"))) as gateway,
        person(gateway, "tcp") as someone,
    ):
        visit = await it.visit()
        visit.writer.write(b"\xff\xfb\x63\xff\xfc\x63" * 300)
        assert "*** The server has said what cannot be passed on.\n" in await someone.rest()


async def test_a_silent_server_is_left_after_its_limit(tmp_path: Path) -> None:
    limits = LIMITS.but(upstream={"idle_seconds_max": 0.2})
    async with (
        mud() as it,
        serving(bridged(tmp_path, at(it), limits=limits)) as gateway,
        person(gateway, "tcp") as someone,
    ):
        visit = await it.visit()
        assert "*** Nothing was said for too long.\n" in await someone.rest()
        await visit.is_left()


async def test_a_session_is_not_taken_up_at_another_s_listener(tmp_path: Path) -> None:
    async with mud() as it, mud() as other:
        config = bridged(tmp_path, at(it), urls=(TCP,))
        config = Config(
            listener=(
                *config.listener,
                ListenerConfig(url=TELNET, backend=tcp.Config("other")),
            ),
            upstream=(*config.upstream, UpstreamConfig("other", (at(other),))),
            store=config.store,
            limits=LIMITS,
        )
        async with serving(config) as gateway:
            async with person(gateway, "tcp") as someone:
                code = await someone.shown_code()
                await it.visit()
                someone.drop()
            await until_detached(gateway)
            async with person(gateway, "telnet") as stranger:
                stranger.types(f"resume {code}")
                await stranger.sees("its session is not one of those that are served here")
            async with person(gateway, "tcp") as again:  # the code is still good
                again.types(f"resume {code}")
                await again.sees("Welcome back")


# --- bare streams and real peers


async def test_a_bare_stream(tmp_path: Path) -> None:
    async with mud() as it:
        config = bridged(tmp_path, at(it), urls=(TCP,), backend="stream")
        async with serving(config) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", port(gateway, "tcp"))
            writer.write(b"\x00hello")
            writer.write_eof()
            visit = await it.visit()
            async with asyncio.timeout(SECONDS):
                assert await visit.reader.read() == b"\x00hello"
                visit.says("still here")
                visit.ends()
                assert await reader.read() == b"still here"
            writer.close()
            assert not gateway.manager.sessions


async def test_a_bare_stream_on_a_connection_that_was_ready(tmp_path: Path) -> None:
    async with mud() as it:
        config = bridged(tmp_path, at(it), urls=(TCP,), backend="stream", ready=1)
        async with serving(config) as gateway:
            visit = await it.visit()
            visit.says("220 welcome\n")
            await eventually(lambda: gateway.upstreams["mud"].pool.targets[0].received == 12)
            reader, writer = await asyncio.open_connection("127.0.0.1", port(gateway, "tcp"))
            writer.write(b"EHLO\n")
            async with asyncio.timeout(SECONDS):
                assert await reader.readline() == b"220 welcome\n"
            await visit.hears("EHLO\n")
            await it.visit()  # the next one is made ready
            writer.close()
            visit.ends()  # a drain waits for both sides


async def test_socat_echoes_through_haproxy_through_us(tmp_path: Path) -> None:
    """Three real proxies in a row, with half-closes: nc, us, HAProxy, socat's `cat`."""
    nc, haproxy, socat = need("nc"), need("haproxy"), need("socat")
    behind, between = free_port(), free_port()
    (tmp_path / "haproxy.cfg").write_text(f"""
defaults
  mode tcp
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen x
  bind 127.0.0.1:{between}
  server s 127.0.0.1:{behind}
""")
    payload = bytes(range(256)) * 4096
    config = bridged(tmp_path, f"tcp://127.0.0.1:{between}", urls=(TCP,), backend="stream")
    listen = f"TCP-LISTEN:{behind},bind=127.0.0.1,fork,reuseaddr"
    async with (
        running(socat, "-t20", listen, "EXEC:cat", port=behind),
        running(haproxy, "-db", "-q", "-f", tmp_path / "haproxy.cfg", port=between),
        serving(config) as gateway,
    ):
        process = await asyncio.create_subprocess_exec(
            *(nc, "-N", "127.0.0.1", str(port(gateway, "tcp"))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(SECONDS):
            echoed, _ = await process.communicate(payload)
        assert echoed == payload


async def test_a_session_on_socat(tmp_path: Path) -> None:
    socat, where = need("socat"), free_port()
    listen = f"TCP-LISTEN:{where},bind=127.0.0.1,fork,reuseaddr"
    async with (
        running(socat, listen, "EXEC:cat", port=where),
        serving(bridged(tmp_path, f"tcp://127.0.0.1:{where}")) as gateway,
        person(gateway, "telnet") as someone,
    ):
        code = await someone.shown_code()
        someone.types("hello")
        await someone.sees("hello\n")
        someone.drop()
        await until_detached(gateway)
        async with person(gateway, "tcp") as again:
            again.types(f"resume {code}", "still there?")
            await again.sees("still there?\n")


# --- defects


@pytest.mark.parametrize("backend", ["tcp", "stream"])
async def test_a_defect_while_a_client_is_connected_ends_that_one_alone(
    tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with mud() as it:
        config = bridged(tmp_path, at(it), urls=(TCP,), backend=backend)
        async with serving(config) as gateway, person(gateway, "tcp") as before:
            visit = await it.visit()
            pool = gateway.upstreams["mud"].pool
            choose = pool.choose
            failures = iter(range(2))

            def fail(*arguments: Any) -> Any:
                if next(failures, None) is not None:
                    raise RuntimeError("a defect")
                return choose(*arguments)

            monkeypatch.setattr(pool, "choose", fail)
            for _ in range(2):
                async with person(gateway, "tcp") as someone:
                    await someone.rest()
            visit.says("still here\n")
            await before.sees("still here\n")
            async with person(gateway, "tcp") as after:
                after.types("look")
                other = await it.visit()
                await other.hears("look\n" if backend == "tcp" else "look\r\n")
            for each in (visit, other):
                each.ends()  # a drain waits for both sides of a stream


async def test_checks_go_on_after_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_PAUSE_SECONDS", 0.001)
    checked = Health.checked
    failures = iter(range(2))

    def fail(self: Health, passed: bool) -> bool:
        if next(failures, None) is not None:
            raise RuntimeError("a defect")
        return checked(self, passed)

    monkeypatch.setattr(Health, "checked", fail)
    limits = LIMITS.but(upstream={"check_interval_seconds_max": 0.01, "checks_max": 1})
    config = bridged(
        tmp_path, f"tcp://127.0.0.1:{free_port()}", urls=(TCP,), check=True, limits=limits
    )
    async with serving(config) as gateway:
        (target,) = gateway.upstreams["mud"].pool.targets
        await eventually(lambda: not target.health.up)
