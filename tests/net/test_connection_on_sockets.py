"""Connections on real sockets and both event loops: what a fake transport cannot show."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from pathlib import Path

import pytest
from tests.net.certificates import write_pems
from tests.net.helpers import Caller, Stand, call, has_ipv6, patience, serving, unix

from holdfast.core.errors import Reason
from holdfast.core.limits import ConnectionLimits
from holdfast.net.tls.contexts import client_context, server_context
from holdfast.net.transport.tls import TruncatedError

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
TCP = [pytest.param("127.0.0.1", id="ipv4"), pytest.param("[::1]", id="ipv6", marks=needs_ipv6)]


# --- writing


async def test_a_large_output_is_sent_whole_before_the_end() -> None:
    data = bytes(range(256)) * 20_000
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as caller:
            stand = await server.stand()
            stand.connection.write(data)
            stand.connection.close()
            assert await caller.read_all() == data
            await stand.until_lost()
            assert stand.cause is None


async def test_a_peer_that_does_not_read_fills_the_buffer_and_is_resumed_when_it_does() -> None:
    limits = ConnectionLimits(write_buffer_bytes_max=1_000)
    async with serving(limits) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address, limit=1_000) as caller:
            stand = await server.stand()
            connection = stand.connection
            sent = 0
            async with patience():
                while not connection.full:
                    connection.write(bytes(100_000))
                    sent += 100_000
                    await asyncio.sleep(0)
            assert connection.unsent > 1_000
            assert "writable" not in stand.calls
            await caller.read(sent)
            await stand.until(lambda stand: "writable" in stand.calls)
            assert not connection.full


async def test_a_peer_that_never_reads_is_a_slow_consumer() -> None:
    limits = ConnectionLimits(write_buffer_bytes_max=1_000, stalled_seconds_max=0.05)
    async with serving(limits) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address, limit=1_000):
            stand = await server.stand()
            async with patience():
                while not stand.connection.full:
                    stand.connection.write(bytes(1_000_000))
                    await asyncio.sleep(0)
            await stand.until(lambda stand: stand.reasons == [Reason.SLOW_CONSUMER])
            stand.connection.abort()
            await stand.until_lost()


# --- reading


async def test_paused_reading_takes_nothing_until_it_is_resumed() -> None:
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as caller:
            stand = await server.stand()
            stand.connection.pause_reading()
            stand.connection.pause_reading()
            await caller.write(b"waits")
            # The round trip of another connection shows that the loop has looked.
            async with call(address) as other:
                await other.write(b"x")
                second = await server.stand(1)
                await second.until(lambda stand: stand.data == b"x")
            assert stand.data == b""
            stand.connection.resume_reading()
            stand.connection.resume_reading()
            await stand.until(lambda stand: stand.data == b"waits")


class Answering(Stand):
    """Answers when the client has said all, as half a close allows."""

    def ended(self) -> None:
        self._heard("ended")
        self.connection.wake_at(0)

    def expired(self, now: float) -> None:
        self.connection.write(b"you said " + self.data)
        self.connection.close()


async def test_a_client_that_has_ended_its_side_still_gets_its_answer(tmp_path: Path) -> None:
    async with serving(make=Answering) as server:
        for number, url in enumerate(("tcp://127.0.0.1:0", unix(tmp_path))):
            async with call(await server.listen(url)) as caller:
                await caller.write(b"hello")
                caller.writer.write_eof()
                assert await caller.read_all() == b"you said hello"
            stand = await server.stand(number)
            await stand.until_lost()
            assert stand.calls == ["connected", "received", "ended", "lost"]
            assert stand.cause is None


async def test_the_end_of_a_tls_client_is_told(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    async with serving() as server:
        address = await server.listen("tls://localhost:0", server_context(pems.certificate))
        async with call(address, ssl=client_context(pems.authority)) as caller:
            await caller.write(b"hello")
            stand = await server.stand()
            await stand.until(lambda stand: stand.data == b"hello")
        await stand.until_lost()
        assert stand.calls.count("lost") == 1


async def test_a_reset_is_told_with_its_cause() -> None:
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as caller:
            stand = await server.stand()
            caller.reset()
            await stand.until_lost()
            assert isinstance(stand.cause, ConnectionResetError)
            assert stand.calls == ["connected", "lost"]


async def test_a_handler_that_raises_ends_its_own_connection_and_no_other() -> None:
    class Fragile(Stand):
        def received(self, data: bytes) -> None:
            super().received(data)
            if data == b"bad":
                raise ValueError("a defect")

    async with serving(make=Fragile) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as good, call(address) as bad:
            stands = [await server.stand(0), await server.stand(1)]
            await bad.write(b"bad")
            await bad.dropped()
            await stands[1].until_lost()
            await good.write(b"good")
            await stands[0].until(lambda stand: stand.data == b"good")
            assert server.server.connections == {stands[0].connection}


# --- what the peer's kernel has acknowledged


async def acknowledged(caller: Caller, stand: Stand, data: bytes) -> None:
    """Say `data` and wait until the peer has read it, so its kernel has acknowledged it."""
    stand.connection.write(data)
    await caller.read(len(data))


@needs_linux
@pytest.mark.parametrize("host", TCP)
async def test_after_a_reset_the_bytes_acked_are_exact(host: str) -> None:
    async with serving() as server:
        address = await server.listen(f"tcp://{host}:0")
        async with call(address) as caller:
            stand = await server.stand()
            assert stand.connection.delivery() == (0, 0)
            await acknowledged(caller, stand, bytes(12_345))
            caller.reset()
            await stand.until_lost()
            assert stand.connection.bytes_out == 12_345
            assert stand.delivery == (12_345, 12_345)


@needs_linux
@pytest.mark.parametrize("host", TCP)
async def test_what_the_peer_had_no_room_for_is_not_among_the_bytes_acked(host: str) -> None:
    """The kernels between us hold some; what is beyond was never acknowledged."""
    async with serving() as server:
        address = await server.listen(f"tcp://{host}:0")
        async with call(address, limit=1_000) as caller:
            stand = await server.stand()
            while not stand.connection.full:
                stand.connection.write(bytes(1_000_000))
                await asyncio.sleep(0)
            caller.reset()
            await stand.until_lost()
            assert stand.delivery is not None
            assert 0 < stand.delivery.acked < stand.connection.bytes_out
            assert stand.delivery.acked <= stand.delivery.sent < stand.connection.bytes_out


@needs_linux
@pytest.mark.parametrize("host", TCP)
@pytest.mark.parametrize("half", [False, True], ids=["close", "half-close"])
async def test_after_the_peer_s_end_the_bytes_acked_are_exact(host: str, half: bool) -> None:
    async with serving() as server:
        address = await server.listen(f"tcp://{host}:0")
        async with call(address) as caller:
            stand = await server.stand()
            await acknowledged(caller, stand, bytes(999))
            if half:
                caller.writer.write_eof()
            else:
                caller.writer.close()
            await stand.until_lost()
            assert stand.delivery == (999, 999)


@needs_linux
async def test_after_our_own_end_the_bytes_acked_are_exact() -> None:
    async with serving() as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as caller:
            stand = await server.stand()
            await acknowledged(caller, stand, bytes(999))
            stand.connection.abort()
            await stand.until_lost()
            assert stand.delivery == (999, 999)


async def test_the_bytes_acked_of_a_unix_socket_are_unknown(tmp_path: Path) -> None:
    async with serving() as server:
        async with call(await server.listen(unix(tmp_path))) as caller:
            stand = await server.stand()
            await acknowledged(caller, stand, b"x")
            assert stand.connection.delivery() is None
        await stand.until_lost()
        assert stand.delivery is None


@needs_linux
async def test_through_tls_the_bytes_acked_are_known_once_all_are(tmp_path: Path) -> None:
    pems = write_pems(tmp_path)
    async with serving() as server:
        address = await server.listen("tls://localhost:0", server_context(pems.certificate))
        async with call(address, ssl=client_context(pems.authority)) as caller:
            stand = await server.stand()
            await acknowledged(caller, stand, bytes(54_321))
            async with patience():
                while stand.connection.delivery() != (54_321, 54_321):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # kernels acknowledge late


@needs_linux
async def test_through_tls_what_the_peer_had_no_room_for_is_not_among_the_bytes_acked(
    tmp_path: Path,
) -> None:
    pems = write_pems(tmp_path)
    async with serving() as server:
        address = await server.listen("tls://localhost:0", server_context(pems.certificate))
        async with call(address, ssl=client_context(pems.authority), limit=1_000) as caller:
            stand = await server.stand()
            while not stand.connection.full:
                stand.connection.write(bytes(1_000_000))
                await asyncio.sleep(0)
            stand.connection.write(b"unsent")
            found = stand.connection.delivery()
            assert found is not None
            assert found.acked <= found.sent < stand.connection.bytes_out - len(b"unsent")
            caller.reset()
            await stand.until_lost()


@needs_linux
@pytest.mark.parametrize("family", ["tcp", "unix"])
async def test_who_takes_what_is_written_gives_a_sign_of_life(tmp_path: Path, family: str) -> None:
    address = unix(tmp_path) if family == "unix" else "tcp://127.0.0.1:0"
    async with serving() as server, call(await server.listen(address)) as caller:
        stand = await server.stand()
        connection = stand.connection
        connection.heard = before = connection.now - 1
        connection.look_for_reading()
        assert connection.heard == before
        await acknowledged(caller, stand, b"x")
        async with patience():
            while connection.heard == before:  # kernels acknowledge late
                connection.look_for_reading()
                await asyncio.sleep(0.01)
        connection.heard = before = connection.now - 1
        connection.look_for_reading()
        assert connection.heard == before  # the same bytes again are no news


async def test_elsewhere_than_on_linux_the_bytes_acked_are_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    async with serving() as server, call(await server.listen("tcp://127.0.0.1:0")) as caller:
        stand = await server.stand()
        await acknowledged(caller, stand, b"x")
        assert stand.connection.delivery() is None


@needs_linux
async def test_a_kernel_that_says_less_leaves_the_bytes_acked_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as server, call(await server.listen("tcp://127.0.0.1:0")):
        stand = await server.stand()
        monkeypatch.setattr(socket.socket, "getsockopt", lambda *_: bytes(192))
        assert stand.connection.delivery() is None

        def refuse(*_: object) -> bytes:
            raise OSError("no such option")

        monkeypatch.setattr(socket.socket, "getsockopt", refuse)
        assert stand.connection.delivery() is None
        monkeypatch.undo()


# --- HTTP by aiohttp on an accepted connection


async def test_who_has_ended_already_is_not_waited_for() -> None:
    """`close_on` waits for the peer's end, which comes only once."""

    class Late(Stand):
        def ended(self) -> None:
            self._heard("ended")
            self.connection.write(b"goodbye")
            self.connection.close_on()

    async with serving(ConnectionLimits(close_seconds_max=3_600), make=Late) as server:
        address = await server.listen("tcp://127.0.0.1:0")
        async with call(address) as caller:
            caller.writer.write_eof()
            stand = await server.stand()
            assert await caller.read_all() == b"goodbye"
            await stand.until_lost()


@pytest.mark.parametrize("goodbye", [True, False], ids=["close-notify", "ragged"])
async def test_what_a_tls_client_said_before_its_end_is_heard_after_a_pause(
    tmp_path: Path, goodbye: bool
) -> None:
    pems = write_pems(tmp_path)
    size = 200_000
    async with serving() as server:
        address = await server.listen("tls://localhost:0", server_context(pems.certificate))
        context = client_context(pems.authority)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        async with call(address) as caller:
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    client.do_handshake()
                    break
                await caller.write(outgoing.read())
                incoming.write(await caller.reader.read(65536))
            await caller.write(outgoing.read())
            stand = await server.stand()
            stand.connection.established()
            stand.connection.pause_reading()
            client.write(bytes(size))
            if goodbye:
                with contextlib.suppress(ssl.SSLWantReadError):
                    client.unwrap()
            caller.writer.write(outgoing.read())
            caller.writer.write_eof()
            await asyncio.sleep(0.05)
            assert stand.data == b""
            stand.connection.resume_reading()
            await stand.until_lost()
            assert len(stand.data) == size
            assert stand.calls.count("ended") == int(goodbye)
            assert isinstance(stand.cause, TruncatedError) is not goodbye
