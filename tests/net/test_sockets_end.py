"""What every transport is held to: writing, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.net.helpers import patience, until
from tests.net.transports import (
    FILLING,
    Adopt,
    Heard,
    adopted,
    every_family,
    every_transport,
    fill,
    read_all,
    reset,
    send_all,
    spare_asyncio,
    standing,
    until_lost,
)

pytestmark = pytest.mark.usefixtures("nothing_unhandled")

# --- writing and the end


@every_family
@every_transport
async def test_who_hears_no_more_may_still_be_told(adopt: Adopt, family: str) -> None:
    heard = Heard(half_open=True)
    async with standing(adopt, family, heard) as peer:
        peer.shutdown(socket.SHUT_WR)
        await until(lambda: "eof" in heard.calls)
        data = fill(heard)
        heard.transport.write(b"the end")
        heard.transport.close()
        assert await read_all(peer) == data + b"the end"
        await until_lost(heard)
        assert heard.cause is None


@every_family
@every_transport
async def test_the_half_closed_is_still_read_from(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        data = fill(heard)
        assert heard.transport.can_write_eof()
        heard.transport.write_eof()
        heard.transport.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            heard.transport.write(b"too late")
        with pytest.raises(RuntimeError, match="write_eof"):
            heard.transport.writelines([b"too late"])
        assert await read_all(peer) == data
        await send_all(peer, b"thanks")
        await until(lambda: heard.data)
        assert heard.data == b"thanks"
        assert not heard.lost
        peer.close()
        await until_lost(heard)


@every_family
@every_transport
async def test_after_close_all_is_still_said(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        data = fill(heard)
        heard.transport.close()
        heard.transport.close()
        assert heard.transport.is_closing()
        assert await read_all(peer) == data
        await until_lost(heard)
        assert heard.cause is None
        heard.transport.close()
        heard.transport.resume_reading()
        heard.transport.pause_reading()


@every_family
@every_transport
async def test_after_close_nothing_is_heard(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        fill(heard)
        heard.transport.close()
        heard.transport.resume_reading()
        await send_all(peer, b"not heard")
        await asyncio.sleep(0.01)
        assert heard.calls == ["made", "pause"]
        with contextlib.suppress(ConnectionResetError):  # it is unread
            await read_all(peer)
        await until_lost(heard)
        assert heard.data == b""


@every_family
@every_transport
async def test_abort_drops_what_is_queued(adopt: Adopt, family: str) -> None:
    heard = Heard()
    async with standing(adopt, family, heard) as peer:
        data = fill(heard)
        heard.transport.close()
        heard.transport.abort()
        heard.transport.abort()
        assert heard.calls == ["made", "pause"], "it is lost later, by the loop"
        with contextlib.suppress(ConnectionResetError):
            assert len(await read_all(peer)) < len(data)
        await until_lost(heard)
        assert heard.cause is None


@every_transport
@pytest.mark.parametrize("queued", [False, True], ids=["idle", "with-a-queue"])
async def test_a_reset_is_told_as_one(adopt: Adopt, queued: bool) -> None:
    heard = Heard()
    async with standing(adopt, "tcp", heard) as peer:
        if queued:
            fill(heard)
        reset(peer)
        await until_lost(heard)
        assert isinstance(heard.cause, ConnectionResetError)
        assert "eof" not in heard.calls


@every_family
@every_transport
async def test_writing_to_who_is_gone_is_an_end_and_no_signal(adopt: Adopt, family: str) -> None:
    heard = Heard(half_open=True)
    async with standing(adopt, family, heard) as peer:
        peer.close()
        await until(lambda: "eof" in heard.calls)
        async with patience():
            while not heard.lost:
                heard.transport.write(b"hello?")
                await asyncio.sleep(0)
        assert isinstance(heard.cause, BrokenPipeError | ConnectionResetError)


CALLS: dict[str, Callable[[asyncio.Transport], None]] = {
    "close": lambda transport: transport.close(),
    "abort": lambda transport: transport.abort(),
    "write": lambda transport: transport.write(b"x" * FILLING),
    "resume_reading": lambda transport: transport.resume_reading(),
    "set_write_buffer_limits": lambda transport: transport.set_write_buffer_limits(high=1 << 30),
}
PLACES = ["connection_made", "data_received", "eof_received", "pause_writing", "resume_writing"]


@every_transport
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("place", PLACES)
async def test_whatever_is_called_from_wherever(
    adopt: Adopt, place: str, call: Callable[[asyncio.Transport], None]
) -> None:
    """Nothing is told out of turn, and there is one end."""
    if place == "resume_writing":
        loop = asyncio.get_running_loop()
        spare_asyncio(adopt, on_asyncio=type(loop) is asyncio.SelectorEventLoop)
    inside = False

    class Calling(Heard):
        times = 0

        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name == "connection_lost":
                assert not inside, "connection_lost inside of a call"
            return found

    def calling(heard: Calling, *arguments: Any) -> Any:
        nonlocal inside
        result = getattr(Heard, place)(heard, *arguments)
        if heard.times < 3:
            heard.times += 1
            inside = True
            call(heard.transport)
            inside = False
        return result

    heard = type("Called", (Calling,), {place: calling})()
    with await adopted(adopt, "unix", heard) as peer:
        await until(lambda: heard.calls)
        if not heard.transport.is_closing():
            heard.transport.write(b"x" * FILLING)
        with contextlib.suppress(BrokenPipeError):
            peer.send(b"hello")
            await asyncio.sleep(0)
            peer.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            await read_all(peer)
        await until_lost(heard)
    assert heard.calls.count("lost") == 1
    assert heard.times
    flow = [word for word in heard.calls if word in ("pause", "resume")]
    assert all(word == ("pause", "resume")[number % 2] for number, word in enumerate(flow))
