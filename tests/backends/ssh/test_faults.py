"""Eleven faults that bridges between WebSocket and SSH are known for, and what happens instead."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import asyncssh
import pytest
from tests.backends.ssh.running import configured, gateway_to, target
from tests.backends.ssh.servers import PASSWORD, echo_shell, scripted
from tests.backends.terminal.client import connected, term_client
from tests.gateway.running import eventually, serving
from websockets.exceptions import ConnectionClosed, InvalidStatus

from holdfast.backends.ssh.config import SshOptions
from holdfast.backends.terminal.backend import TerminalBackend
from holdfast.core.limits import KIB, Limits
from holdfast.gateway.gateway import Gateway
from holdfast.net.security_log import SecurityEvent


def backend(gateway: Gateway) -> TerminalBackend:
    (found,) = (one for one in gateway.backends.all if isinstance(one, TerminalBackend))
    return found


def told(gateway: Gateway, event: SecurityEvent) -> int:
    """How often the security log was told this."""
    return gateway.context.security.counts[event]


# --- 1. host keys unchecked, old ciphers, no time-out of the login


async def test_an_unknown_host_key_is_shown_to_the_user(tmp_path: Path) -> None:
    async with (
        scripted(tmp_path) as server,
        gateway_to(server, known_hosts="") as gateway,
        term_client(gateway) as client,
    ):
        prompt = await client.asked("hostkey")
        assert server.fingerprint in prompt["text"]
        assert prompt["choices"] == ["yes", "no"]
        await client.answers("yes")
        await client.logs_in(PASSWORD)


@pytest.mark.parametrize("policy", ["ask", "refuse"])
async def test_an_unknown_host_key_that_is_not_accepted(tmp_path: Path, policy: str) -> None:
    async with (
        scripted(tmp_path) as server,
        gateway_to(server, known_hosts="", unknown_keys=policy) as gateway,
        term_client(gateway) as client,
    ):
        if policy == "ask":
            await client.asked("hostkey")
            await client.answers("no")
        error = await client.told("error")
        assert error["code"] == "host_key_unknown"
        assert server.fingerprint in error["text"]
        assert told(gateway, SecurityEvent.HOST_KEY_REFUSED) == 1


async def test_a_changed_host_key_is_refused(tmp_path: Path) -> None:
    async with scripted(tmp_path) as server:
        known_hosts = server.known_hosts
    other = scripted(tmp_path, port=server.port)
    async with (
        other as changed,
        gateway_to(changed, known_hosts=known_hosts) as gateway,
        term_client(gateway) as client,
    ):
        error = await client.told("error")
        assert error["code"] == "host_key_changed"
        assert told(gateway, SecurityEvent.HOST_KEY_REFUSED) == 1


async def test_old_algorithms_need_a_legacy_target(tmp_path: Path) -> None:
    async with scripted(tmp_path, mac_algs=["hmac-sha1"], encryption_algs=["aes256-ctr"]) as server:
        async with gateway_to(server) as gateway, term_client(gateway) as client:
            assert (await client.told("error"))["code"] == "protocol"
        legacy = gateway_to(server, of_target={"legacy": True})
        async with legacy as gateway, term_client(gateway) as client:
            await client.logs_in(PASSWORD)


async def test_a_login_has_a_time_limit(tmp_path: Path) -> None:
    limits = Limits().but(terminal={"login_seconds_max": 0.3})
    async with (
        scripted(tmp_path) as server,
        gateway_to(server, limits) as gateway,
        term_client(gateway) as client,
    ):
        await client.asked("password")
        assert (await client.told("error"))["text"] == "The login at 'box' took too long."


async def test_a_silent_server_has_a_time_limit(tmp_path: Path) -> None:
    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    limits = Limits().but(terminal={"login_seconds_max": 0.3})
    async with scripted(tmp_path) as server, silent:
        options = SshOptions(target=(target(server, port=port),))
        async with serving(configured(options, limits)) as gateway, term_client(gateway) as client:
            assert (await client.told("error"))["code"] == "timeout"
            assert told(gateway, SecurityEvent.TARGET_FAILED) == 1


async def test_a_wrong_password_has_a_rate(tmp_path: Path) -> None:
    limits = Limits().but(
        terminal={"login_failure_burst_max": 1, "login_failures_per_minute_max": 1.0}
    )
    async with scripted(tmp_path) as server, gateway_to(server, limits) as gateway:
        async with term_client(gateway) as client:
            for _ in range(3):
                await client.asked("password")
                await client.answers("wrong")
            error = await client.told("error")
            assert error["text"] == "'box' does not let 'ann' log in with that."
        async with term_client(gateway) as client:
            assert "Too many wrong logins" in (await client.told("error"))["text"]
        assert told(gateway, SecurityEvent.LOGIN_FAILED) == 1
        assert told(gateway, SecurityEvent.LOGIN_LIMITED) == 1


# --- 2. any target host


@pytest.mark.parametrize("wanted", ["localhost", "127.0.0.1:22", "other.example.org"])
async def test_a_host_that_nobody_has_allowed(tmp_path: Path, wanted: str) -> None:
    async with scripted(tmp_path) as server:
        options = SshOptions(target=(target(server), target(server, name="too")))
        async with serving(configured(options)) as gateway, term_client(gateway) as client:
            prompt = await client.asked("target")
            assert prompt["choices"] == ["box", "too"]
            await client.answers(wanted)
            assert (await client.told("error"))["code"] == "target_refused"
            assert told(gateway, SecurityEvent.TARGET_REFUSED) == 1


async def test_a_name_that_leads_to_a_denied_address(tmp_path: Path) -> None:
    async with scripted(tmp_path) as server:
        options = SshOptions(target=(target(server, host="localhost"),))
        async with serving(configured(options)) as gateway, term_client(gateway) as client:
            assert (await client.told("error"))["code"] == "address_denied"
            assert told(gateway, SecurityEvent.TARGET_REFUSED) == 1


async def test_a_closed_port_and_an_unknown_name(tmp_path: Path) -> None:
    async with scripted(tmp_path) as server:
        pass
    async with (
        serving(configured(SshOptions(target=(target(server),)))) as gateway,
        term_client(gateway) as client,
    ):
        assert (await client.told("error"))["code"] == "unreachable"
        assert told(gateway, SecurityEvent.TARGET_FAILED) == 1
    nowhere = SshOptions(target=(target(server, host="no-such-host.invalid"),))
    async with serving(configured(nowhere)) as gateway, term_client(gateway) as client:
        assert (await client.told("error"))["code"] == "unknown_host"
        assert told(gateway, SecurityEvent.TARGET_FAILED) == 1


# --- 3. CONNECTING only after the connection


async def test_a_terminal_is_connecting_while_it_connects(tmp_path: Path) -> None:
    async with (
        scripted(tmp_path) as server,
        gateway_to(server) as gateway,
        term_client(gateway) as client,
    ):
        await client.asked("password")
        assert [view.state for _, view in backend(gateway).views()] == ["connecting"]
        await client.answers(PASSWORD)
        await client.told("opened")
        assert [view.state for _, view in backend(gateway).views()] == ["active"]


# --- 4. limits that are checked first and taken later


async def test_a_hundred_at_once_never_exceed_a_limit(tmp_path: Path) -> None:
    limits = Limits().but(terminal={"terminals_per_network_max": 10})
    async with scripted(tmp_path) as server, gateway_to(server, limits) as gateway:

        async def opens() -> str:
            async with term_client(gateway) as client:
                while not any(it["t"] in ("prompt", "error") for it in client.messages):
                    await client.reads()
                last = client.messages[-1] if client.messages[-1]["t"] != "notify" else {}
                asked.append(any(it["t"] == "prompt" for it in client.messages))
                await over.wait()
                return str(last)

        asked: list[bool] = []
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(100):
                tasks.create_task(opens())
            await eventually(lambda: len(asked) == 100)
            over.set()
        assert asked.count(True) == 10
        assert backend(gateway).counts.failures["crowded"] == 90


# --- 5. the idle clean-up forgets the session; 11. output counts as activity


async def test_an_idle_terminal_is_closed_whatever_it_puts_out(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def ticks(process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            while True:
                process.stdout.write(b"tick\r\n")
                await process.stdout.drain()
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    limits = Limits().but(terminal={"idle_seconds_max": 0.5})
    async with (
        scripted(tmp_path, ticks) as server,
        gateway_to(server, limits) as gateway,
        term_client(gateway) as client,
    ):
        await client.logs_in(PASSWORD)
        assert "Nothing was typed for too long" in (await client.told("exit"))["error"]
        await ended.wait()
        await client.ends()
        await eventually(lambda: not list(backend(gateway).views()))


# --- 6. objects that are used after they were given back; places that are not given back


async def test_everything_is_released_wherever_a_terminal_ends(tmp_path: Path) -> None:
    async with scripted(tmp_path) as server, gateway_to(server) as gateway:
        for steps in range(3):
            async with term_client(gateway) as client:
                await client.told("ready")
                if steps >= 1:
                    await client.asked("password")
                if steps >= 2:
                    await client.answers(PASSWORD)
                    await client.told("opened")
                await client.say("close")
                await client.ends()
        terminals = backend(gateway)
        await eventually(lambda: not list(terminals.views()))
        await eventually(lambda: not terminals._tasks)
        assert not terminals._context.places.taken
        assert terminals.counts.active == 0
        assert terminals.counts.forbidden == 0


# --- 7. a client that does not read leaves a mute session


async def flood(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """`yes`, which says how much it could say."""
    while True:
        process.stdout.write(b"y\r\n" * 4_096)
        await process.stdout.drain()


async def test_a_reader_that_stalls_holds_the_server_up(tmp_path: Path) -> None:
    async with (
        scripted(tmp_path, flood) as server,
        gateway_to(server) as gateway,
        term_client(gateway) as client,
    ):
        client.acks = False
        await client.logs_in(PASSWORD)
        terminals = backend(gateway)
        await eventually(lambda: terminals.counts.pauses > 0)
        limits = Limits().terminal
        most = limits.unshown_bytes_max + 2 * limits.window_bytes_max
        for _ in range(20):
            await asyncio.sleep(0.02)
            assert terminals.counts.bytes_in <= most
        while client.offset < limits.unshown_bytes_max:
            await client.reads()
        client.acks = True
        await client.say("ack", n=client.offset)
        before = client.offset
        while client.offset < before + 4 * most:
            await client.reads()
        (session,) = gateway.manager.sessions.values()
        assert session.out.size <= limits.ring_bytes_max


async def test_a_server_that_takes_no_input_is_left(tmp_path: Path) -> None:
    async def deaf(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.channel.pause_reading()
        await asyncio.Event().wait()

    limits = Limits().but(terminal={"write_seconds_max": 0.2, "unsent_bytes_max": 16 * KIB})
    async with (
        scripted(tmp_path, deaf, window=32 * KIB) as server,
        gateway_to(server, limits) as gateway,
        term_client(gateway) as client,
    ):
        await client.logs_in(PASSWORD)
        for _ in range(20):
            await client.types(b"x" * 16 * KIB)
        assert "takes no input" in (await client.told("exit"))["error"]
        assert told(gateway, SecurityEvent.TARGET_FAILED) == 1


async def test_a_server_that_ignores_the_window_is_left(tmp_path: Path) -> None:
    async def floods(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.channel._send_window = 1 << 40
        for _ in range(64):
            process.stdout.write(b"y" * 64 * KIB)
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    async with (
        scripted(tmp_path, floods) as server,
        gateway_to(server) as gateway,
        term_client(gateway) as client,
    ):
        client.acks = False
        await client.logs_in(PASSWORD)
        await eventually(lambda: told(gateway, SecurityEvent.TARGET_FAILED) == 1)
        limits = Limits().terminal
        assert backend(gateway).counts.bytes_in <= limits.ring_bytes_max
        client.acks = True
        while client.offset < backend(gateway).counts.bytes_in:
            await client.reads()
        with contextlib.suppress(ConnectionClosed):  # all is acknowledged: it may have ended
            await client.say("ack", n=client.offset)
        assert "Window exceeded" in (await client.told("exit"))["error"]


# --- 8. the last output is dropped, errors never reach the browser


async def test_the_last_output_comes_before_the_end(tmp_path: Path) -> None:
    size = 3_000_000

    async def says_and_leaves(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"x" * size + b"THE END")
        process.exit(7)

    async with (
        scripted(tmp_path, says_and_leaves) as server,
        gateway_to(server) as gateway,
        term_client(gateway) as client,
    ):
        await client.logs_in(PASSWORD)
        assert await client.sees("THE END") == b"x" * size + b"THE END"
        assert (await client.told("exit"))["status"] == 7


async def test_a_slow_client_has_the_time_to_show_the_last_output(tmp_path: Path) -> None:
    """Its connection is not closed while it shows more: a close has a short time limit."""

    async def says_and_leaves(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"x" * 300_000)
        process.exit(7)

    async with (
        scripted(tmp_path, says_and_leaves) as server,
        gateway_to(server) as gateway,
        term_client(gateway) as client,
    ):
        token = (await client.told("ready"))["token"]
        client.acks = False
        await client.logs_in(PASSWORD)
        while client.offset < 300_000:
            await client.reads()
        assert (await client.told("exit"))["status"] == 7
        (session,) = gateway.manager.sessions.values()
        await client.say("ack", n=299_999)
        await eventually(lambda: session.out.acked == 299_999)
        assert session.attached
        async with term_client(gateway, token=token, n=299_999) as again:
            assert (await again.told("exit"))["status"] == 7, "who comes back is told, too"
            assert await again.ends() == (4004, "the server has ended the connection")
            assert again.output == b"x"


# --- 9. a lost browser leaves the shell alone, or for ever


async def test_a_browser_that_returns_has_missed_nothing(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def in_two_parts(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"first\r\n")
        await go.wait()
        process.stdout.write(b"second\r\n")
        await echo_shell(process)

    async with scripted(tmp_path, in_two_parts) as server, gateway_to(server) as gateway:
        async with term_client(gateway) as client:
            token = (await client.told("ready"))["token"]
            await client.logs_in(PASSWORD)
            await client.sees("first\r\n")
            offset = client.offset
        (session,) = gateway.manager.sessions.values()
        await eventually(lambda: not session.attached)
        go.set()
        await eventually(lambda: session.out.top > offset)
        async with term_client(gateway, token=token, n=offset) as client:
            ready = await client.told("ready")
            assert (ready["n"], ready["gap"], ready["c"]) == (offset, 0, 1)
            await client.sees("second\r\n")
            await client.types("still there\r")
            await client.sees("you said still there")
            token = ready["token"]
        async with term_client(gateway, token=token, n=0) as client:
            ready = await client.told("ready")
            assert (ready["n"], ready["gap"]) == (0, 0)
            seen = await client.sees("you said still there")
            assert seen.startswith(b"first\r\nsecond\r\n"), "a page that is loaded again has it all"


async def test_a_server_can_wait_for_a_client_that_is_away(tmp_path: Path) -> None:
    """With `away = "pause"` nothing is lost, and no more is kept than fits."""
    lines = 400_000
    leaves = asyncio.Event()

    async def counts(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"READY\r\n")
        await leaves.wait()
        for start in range(0, lines, 1_000):
            process.stdout.write(b"".join(b"%07d\n" % n for n in range(start, start + 1_000)))
            await process.stdout.drain()
        process.stdout.write(b"THE END")
        await asyncio.Event().wait()  # to read fails at a new size, and what waits would be lost

    async with (
        scripted(tmp_path, counts) as server,
        gateway_to(server, away="pause") as gateway,
    ):
        async with term_client(gateway) as client:
            token = (await client.told("ready"))["token"]
            await client.logs_in(PASSWORD)
            await client.sees("READY\r\n")
        (session,) = gateway.manager.sessions.values()
        await eventually(lambda: not session.attached)
        leaves.set()
        await eventually(lambda: backend(gateway).counts.pauses == 1)
        await asyncio.sleep(0.1)  # the window may still come
        limits = Limits().terminal
        assert session.out.size <= limits.ring_bytes_max
        assert backend(gateway).counts.bytes_in < lines * 8
        async with term_client(gateway, token=token, n=client.offset) as client:
            assert (await client.told("ready"))["gap"] == 0
            while not client.output.endswith(b"THE END"):
                await client.reads()
        assert client.output == b"".join(b"%07d\n" % n for n in range(lines)) + b"THE END"


async def test_a_session_ends_with_its_shell_when_nobody_returns(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def shell(process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            await echo_shell(process)
        finally:
            ended.set()

    limits = Limits().but(session={"detached_seconds_max": 0.2})
    async with scripted(tmp_path, shell) as server, gateway_to(server, limits) as gateway:
        async with term_client(gateway) as client:
            await client.logs_in(PASSWORD)
        await ended.wait()


# --- 10. forged origins


async def test_a_page_of_another_host_may_not_connect(tmp_path: Path) -> None:
    async with scripted(tmp_path) as server, gateway_to(server) as gateway:
        with pytest.raises(InvalidStatus) as caught:
            async with term_client(gateway, origin="https://evil.example"):
                pass
        assert caught.value.response.status_code == 403
        assert told(gateway, SecurityEvent.ORIGIN_REFUSED) == 1


@pytest.mark.parametrize("origin", ["", "null", "http://", "http://127.0.0.1.evil.example"])
async def test_an_origin_that_is_none(tmp_path: Path, origin: str) -> None:
    async with scripted(tmp_path) as server, gateway_to(server) as gateway:
        with pytest.raises(InvalidStatus) as caught:
            async with connected(gateway, headers={"Origin": origin}):
                pass
        assert caught.value.response.status_code == 403
        assert told(gateway, SecurityEvent.ORIGIN_REFUSED) == 1


async def test_an_address_that_a_client_claims_is_not_believed(tmp_path: Path) -> None:
    limits = Limits().but(terminal={"terminals_per_network_max": 1})
    async with (
        scripted(tmp_path) as server,
        gateway_to(server, limits) as gateway,
        connected(gateway, headers={"X-Forwarded-For": "192.0.2.1"}) as first,
        connected(gateway, headers={"X-Forwarded-For": "192.0.2.2"}) as second,
    ):
        await first.say("open")
        await first.asked("password")
        (session,) = gateway.manager.sessions.values()
        assert session.row.address.startswith("127.0.0.1:")
        await second.say("open")
        assert (await second.told("error"))["code"] == "crowded"


async def test_malformed_messages_and_those_that_are_too_large(tmp_path: Path) -> None:
    limits = Limits().but(websocket={"message_bytes_max": 10_000})
    async with scripted(tmp_path) as server, gateway_to(server, limits) as gateway:
        bad: list[tuple[str | bytes, int]] = [
            ('{"t":"nothing"}', 1002),
            (b"\7\0\0\0\1x", 1002),
            (b"\0" * 20_000, 1009),
        ]
        for number, (message, code) in enumerate(bad, 1):
            async with term_client(gateway) as client:
                await client.asked("password")
                await client.socket.send(message)
                assert (await client.ends())[0] == code
            assert told(gateway, SecurityEvent.MALFORMED) == number


async def test_a_token_that_was_replayed(tmp_path: Path) -> None:
    async with scripted(tmp_path) as server, gateway_to(server) as gateway:
        async with term_client(gateway) as client:
            first = (await client.told("ready"))["token"]
            await client.logs_in(PASSWORD)
            await client.sees("$ ")
        async with term_client(gateway, token=first, n=client.offset) as client:
            second = (await client.told("ready"))["token"]
            await client.types("x\r")
            await client.sees("$ ")
        async with term_client(gateway, token=second, n=0) as client:
            await client.told("ready")
            await client.sees("$ ")
        async with term_client(gateway, token=first, n=0) as client:
            assert (await client.told("refused"))["text"]
        assert told(gateway, SecurityEvent.TOKEN_REVOKED) + told(
            gateway, SecurityEvent.TOKEN_REFUSED
        )
