from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from msgspec import Struct
from tests.link.pair import Methods, Raw, Side, pair, raw, served
from tests.link.test_codec import MALFORMED
from tests.net.helpers import call, patience

from holdfast.core.errors import Reason, Source
from holdfast.core.limits import LinkLimits
from holdfast.link.codec import encode_notification, encode_request, encode_response
from holdfast.link.messages import HEARTBEAT, Heartbeat, LinkFault, Notification, Request, Response
from holdfast.link.peer import (
    Dispatch,
    LinkClosedError,
    Peer,
    RequestError,
    connection_limits,
)

LIMITS = LinkLimits()
QUICK = LinkLimits(request_seconds_max=0.05)
NOTHING = msgspec.Raw(b"\xc0")


class Sum(Struct):
    """Params of the method that these tests call."""

    a: int
    b: int


def add(params: Sum) -> int:
    return params.a + params.b


async def add_later(params: Sum) -> int:
    await asyncio.sleep(0)
    return params.a + params.b


def refuse(params: Sum) -> int:
    raise RequestError("too_much", "that is too much", 2.5)


async def refuse_later(params: Sum) -> int:
    await asyncio.sleep(0)
    return refuse(params)


async def fail_later(params: Sum) -> int:
    raise ValueError("a defect")


class Never:
    """A method whose answer does not come until it is let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, params: Sum) -> int:
        self.asked.set()
        await self.let_go.wait()
        return add(params)


def methods(handler: Any) -> Methods:
    return {"sum": (Sum, handler)}


# --- requests


@pytest.mark.parametrize("handler", [add, add_later])
async def test_a_request_gets_its_answer(handler: Any, tmp_path: Path) -> None:
    async with pair(tmp_path, theirs=methods(handler)) as (our, _), patience():
        assert await our.peer.request("sum", Sum(2, 3), int) == 5


async def test_either_side_may_ask_and_answers_find_their_requests(tmp_path: Path) -> None:
    never = Never()
    both: Methods = {"slow": (Sum, never), "sum": (Sum, add)}
    async with pair(tmp_path, theirs=both, ours=both) as (our, their), asyncio.TaskGroup() as tasks:
        slow = [
            tasks.create_task(side.peer.request("slow", Sum(1, number), int))
            for number, side in enumerate((our, their))
        ]
        async with patience():
            await never.asked.wait()
            for number in range(5):
                assert await our.peer.request("sum", Sum(number, 1), int) == number + 1
                assert await their.peer.request("sum", Sum(number, 2), int) == number + 2
            never.let_go.set()
            assert [await task for task in slow] == [1, 2]


@pytest.mark.parametrize("handler", [refuse, refuse_later])
async def test_an_error_comes_back_whole(handler: Any, tmp_path: Path) -> None:
    async with pair(tmp_path, theirs=methods(handler)) as (our, _):
        with pytest.raises(RequestError, match="that is too much") as caught:
            async with patience():
                await our.peer.request("sum", Sum(2, 3), int)
        assert caught.value.fault == LinkFault("too_much", "that is too much", 2.5)
        assert caught.value.source is Source.REMOTE


FAULTS = [
    pytest.param("add", Sum(1, 2), "unknown_method", "add: not a method of this end", id="method"),
    pytest.param("sum", {"a": 1}, "bad_params", "sum: .*missing required field `b`", id="field"),
    pytest.param("sum", {"a": 1, "b": "x"}, "bad_params", "sum: Expected `int`", id="type"),
    pytest.param("sum", None, "bad_params", "sum: Expected `object`", id="none"),
    pytest.param("sum", [1, 2], "bad_params", "sum: Expected `object`, got `array`", id="array"),
]


@pytest.mark.parametrize(("method", "params", "code", "text"), FAULTS)
async def test_a_request_that_is_not_understood_is_answered_and_the_link_goes_on(
    method: str, params: object, code: str, text: str, tmp_path: Path
) -> None:
    async with pair(tmp_path, theirs=methods(add)) as (our, _), patience():
        with pytest.raises(RequestError, match=text) as caught:
            await our.peer.request(method, params, int)
        assert caught.value.code == code
        assert await our.peer.request("sum", Sum(1, 1), int) == 2


async def test_params_that_no_decoder_can_read_are_bad_params(tmp_path: Path) -> None:
    deep = b"\x82\xa1a\x01\xa1b" + 50_000 * b"\x91" + b"\xc0"
    for params in (b"\xa1\xff", b"\x82\xa1a\x01\xa1\xff\x02", deep):
        with pytest.raises(RequestError, match=r"sum: .+") as caught:
            Dispatch(methods(add)).call("sum", msgspec.Raw(params))
        assert caught.value.code == "bad_params"


async def test_a_defect_in_an_answer_is_told_as_such_and_the_link_goes_on(tmp_path: Path) -> None:
    both: Methods = {"sum": (Sum, add), "fail": (Sum, fail_later)}
    async with pair(tmp_path, theirs=both) as (our, _), patience():
        with structlog.testing.capture_logs() as logs, pytest.raises(RequestError) as caught:
            await our.peer.request("fail", Sum(1, 2), int)
        assert caught.value.code == "internal_error"
        assert "a defect" not in str(caught.value)
        assert "a defect" in logs[0]["traceback"]
        assert await our.peer.request("sum", Sum(1, 1), int) == 2


async def test_an_answer_of_another_type_is_an_error_of_the_request(tmp_path: Path) -> None:
    async with pair(tmp_path, theirs=methods(add)) as (our, _), patience():
        with pytest.raises(RequestError, match="the answer to sum: Expected `str`") as caught:
            await our.peer.request("sum", Sum(1, 2), str)
        assert caught.value.code == "bad_result"
        assert await our.peer.request("sum", Sum(1, 1), int) == 2


async def test_a_request_that_is_not_answered_times_out_and_a_late_answer_is_nobody_s(
    tmp_path: Path,
) -> None:
    never = Never()
    both: Methods = {"slow": (Sum, never), "sum": (Sum, add)}
    async with pair(tmp_path, QUICK, theirs=both) as (our, _):
        async with patience():
            with pytest.raises(TimeoutError):
                await our.peer.request("slow", Sum(1, 2), int)
            never.let_go.set()
            assert await our.peer.request("sum", Sum(1, 1), int) == 2
        assert our.peer._asked == {}


async def _asked_slow(link: Raw) -> list[int]:
    """The numbers of the request `slow` and of the one behind it, which tells that it is read."""
    asked = [await link.hear(), await link.hear()]
    methods = [(call.id, call.method) for call in asked if isinstance(call, Request)]
    assert [method for _, method in methods] == ["slow", HEARTBEAT]
    return [number for number, _ in methods]


async def test_the_time_for_an_answer_can_begin_when_the_request_is_read(tmp_path: Path) -> None:
    """A busy program is no silent one."""
    async with raw(tmp_path, LinkLimits(heartbeat_seconds_max=3_600.0)) as (link, side):

        async def times_out() -> None:
            with pytest.raises(TimeoutError):
                await side.peer.request("slow", Sum(1, 2), int, seconds_max=0.01, from_reading=True)

        async with patience(), asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(times_out())
            _, heartbeat = await _asked_slow(link)
            await asyncio.sleep(0.03)  # longer than it may take once the request is read
            assert not asking.done()
            await link.say(encode_response(heartbeat, None, Heartbeat()))


async def test_a_request_may_be_answered_before_it_is_told_that_it_is_read(tmp_path: Path) -> None:
    async with raw(tmp_path, LinkLimits(heartbeat_seconds_max=3_600.0)) as (link, side):
        waits = side.peer.request("slow", Sum(1, 2), int, seconds_max=0.01, from_reading=True)
        async with patience(), asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(waits)
            slow, heartbeat = await _asked_slow(link)
            await link.say(encode_response(slow, None, 3))
            assert await asking == 3
            await link.say(encode_response(heartbeat, None, Heartbeat()))
            await link.say(encode_request(9, HEARTBEAT, Heartbeat()))
            assert await link.hear() == Response(9, None, msgspec.Raw(b"\x80"))
        assert side.reasons == []


async def test_a_cancelled_request_leaves_nothing_behind(tmp_path: Path) -> None:
    never = Never()
    async with pair(tmp_path, theirs=methods(never)) as (our, _):
        async with patience(), asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(our.peer.request("sum", Sum(1, 2), int))
            await never.asked.wait()
            asking.cancel()
        assert our.peer._asked == {}
        never.let_go.set()


@pytest.mark.parametrize(
    "response",
    [
        encode_response(7, None, 1),
        encode_response(7, LinkFault("x", "y"), None),
        encode_response(0, None, None),
    ],
)
async def test_an_answer_that_nobody_asked_for_is_ignored(response: bytes, tmp_path: Path) -> None:
    async with raw(tmp_path, methods=methods(add)) as (link, _):
        await link.say(response + encode_request(1, "sum", Sum(1, 1)))
        assert await link.hear() == Response(1, None, msgspec.Raw(b"\x02"))


# --- notifications


async def test_notifications_come_in_order_with_everything_of_a_tick_in_one_piece(
    tmp_path: Path,
) -> None:
    heard: list[int] = []
    done = asyncio.Event()

    def note(number: int) -> None:
        heard.append(number)
        if number == 99:
            done.set()

    async with pair(tmp_path, theirs={"note": (int, note)}) as (our, _):
        for number in range(100):
            our.peer.notify("note", number)
        assert our.peer._connection.unsent > 0
        async with patience():
            await done.wait()
        assert heard == list(range(100))


BAD_NOTIFICATIONS = [
    pytest.param(encode_notification("other", 1), "other: not a method of this end", id="method"),
    pytest.param(encode_notification("sum", 1), "sum: Expected `object`, got `int`", id="params"),
    pytest.param(encode_notification("goodbye", 1), "goodbye: Expected `object`", id="goodbye"),
    pytest.param(encode_notification("goodbye", {}), "goodbye: .*`reason`", id="no-reason"),
]


@pytest.mark.parametrize(("frame", "reason"), BAD_NOTIFICATIONS)
async def test_a_notification_that_is_not_understood_ends_the_link_with_a_reason(
    frame: bytes, reason: str, tmp_path: Path
) -> None:
    """It cannot be answered, so it is a message lost."""
    async with raw(tmp_path, methods=methods(add)) as (link, side):
        await link.say(frame)
        told = await link.hear_goodbye()
        assert await side.until_unlinked() == told
    with pytest.raises(ValueError, match=reason):
        raise ValueError(told)


# --- the end


@pytest.mark.parametrize("body", MALFORMED)
async def test_a_malformed_frame_ends_the_link_with_a_reason(body: bytes, tmp_path: Path) -> None:
    async with raw(tmp_path) as (link, side):
        await link.say(len(body).to_bytes(4, "big") + body)
        reason = await link.hear_goodbye()
        assert reason.startswith("a malformed message: ")
        assert await side.until_unlinked() == reason


async def test_a_frame_that_is_too_large_ends_the_link_with_a_reason(tmp_path: Path) -> None:
    async with raw(tmp_path, LinkLimits(frame_bytes_max=100)) as (link, side):
        await link.say(b"\x00\x00\x00\x65")
        assert await link.hear_goodbye() == "expected a frame of at most 100 bytes, found 101"
        await side.until_unlinked()


async def test_what_came_before_a_malformed_frame_has_been_handled(tmp_path: Path) -> None:
    async with raw(tmp_path, methods=methods(add)) as (link, _):
        await link.say(encode_request(1, "sum", Sum(1, 1)))
        assert await link.hear() == Response(1, None, msgspec.Raw(b"\x02"))
        await link.say(b"\x00\x00\x00\x01\xc0")
        assert await link.hear_goodbye()


async def test_a_side_that_closes_tells_the_other_why(tmp_path: Path) -> None:
    async with pair(tmp_path) as (our, their):
        their.peer.close("enough for today")
        assert await our.until_unlinked() == "enough for today"
        assert await their.until_unlinked() == "enough for today"


async def test_a_link_that_is_cut_has_a_reason_too(tmp_path: Path) -> None:
    async with pair(tmp_path) as (our, their):
        our.peer._connection.abort()
        assert await their.until_unlinked() == "the connection was lost"


async def test_requests_that_wait_are_told_of_the_end_and_its_reason(tmp_path: Path) -> None:
    never = Never()
    async with pair(tmp_path, theirs=methods(never)) as (our, their):
        async with patience(), asyncio.TaskGroup() as tasks:
            asking = [tasks.create_task(ask(our.peer)) for _ in range(3)]
            await never.asked.wait()
            their.peer.close("enough for today")
            for task in asking:
                assert await task == "enough for today"
        never.let_go.set()


async def ask(peer: Peer) -> str:
    with pytest.raises(LinkClosedError) as caught:
        await peer.request("sum", Sum(1, 2), int)
    assert caught.value.retryable
    return str(caught.value)


async def test_a_request_after_the_end_fails_at_once(tmp_path: Path) -> None:
    async with pair(tmp_path, theirs=methods(add)) as (our, their):
        their.peer.close("enough for today")
        await our.until_unlinked()
        async with patience():
            assert await ask(our.peer) == "enough for today"


async def test_a_link_that_is_half_closed_is_closed(tmp_path: Path) -> None:
    async with raw(tmp_path) as (link, side):
        link.caller.writer.write_eof()
        assert await link.caller.read_all() == b""
        await side.until_unlinked()


async def test_a_server_that_drains_tells_its_links(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        side = Side(tasks, LIMITS)
        async with served(tmp_path, side) as (server, address), call(address) as caller:
            await side.until(lambda side: hasattr(side, "peer"))
            async with patience():
                await server.drain(5)
            assert await Raw(caller).hear_goodbye() == "the gateway is stopping"


# --- heartbeats


async def test_a_heartbeat_is_answered_whatever_the_methods_are(tmp_path: Path) -> None:
    async with raw(tmp_path) as (link, _):
        await link.say(encode_request(9, HEARTBEAT, Heartbeat()))
        assert await link.hear() == Response(9, None, msgspec.Raw(b"\x80"))


async def test_both_sides_ask_for_signs_of_life_and_live_by_them(tmp_path: Path) -> None:
    limits = LinkLimits(heartbeat_seconds_max=0.4)
    async with pair(tmp_path, limits) as (our, their):
        for side in (our, their):
            side.peer.round_trip_s = -1.0
        for side in (our, their):  # three of them last longer than the silence that is allowed
            await side.until(lambda side: side.spawned > 3)
            assert side.reasons == []
            assert side.peer.round_trip_s >= 0


async def test_a_side_that_stays_silent_is_given_up(tmp_path: Path) -> None:
    limits = LinkLimits(heartbeat_seconds_max=0.4)
    async with raw(tmp_path, limits) as (link, side):
        heard = await link.hear()
        assert isinstance(heard, Request)
        assert heard.method == HEARTBEAT
        reason = await side.until_unlinked()
        assert reason == "timeout: the other end has been silent for too long"
        assert b"goodbye" in await link.caller.read_all()


async def test_a_heartbeat_with_a_strange_answer_does_no_harm(tmp_path: Path) -> None:
    limits = LinkLimits(heartbeat_seconds_max=0.4)
    async with raw(tmp_path, limits, methods(add)) as (link, side):
        for result, error in (("what?", None), (None, LinkFault("unknown_method", "?"))):
            heard = await link.hear()
            assert isinstance(heard, Request)
            await link.say(encode_response(heard.id, error, result))
        assert isinstance(await link.hear(), Request)
        assert side.reasons == []


async def test_who_never_says_hello_is_given_up_after_the_handshake_s_limit(
    tmp_path: Path,
) -> None:
    limits = LinkLimits(handshake_seconds_max=0.05)
    async with asyncio.TaskGroup() as tasks:
        side = Side(tasks, limits)
        side.established = False
        async with served(tmp_path, side) as (_, address), call(address) as caller:
            goodbye = await Raw(caller).hear_goodbye()
            assert goodbye == "timeout: the other end has been silent for too long"


async def test_a_side_that_reads_too_slowly_is_given_up_as_such(tmp_path: Path) -> None:
    limits = LinkLimits(frame_bytes_max=1_000)
    async with pair(tmp_path, limits) as (our, _):
        our.peer.overdue(Reason.SLOW_CONSUMER)
        assert await our.until_unlinked() == "slow_consumer: the other end reads too slowly"


# --- limits


def test_a_link_s_limits_are_those_of_its_connection() -> None:
    limits = connection_limits(
        LinkLimits(
            links_max=3,
            strangers_max=4,
            handshake_seconds_max=4,
            heartbeat_seconds_max=5,
            frame_bytes_max=6,
        )
    )
    assert limits.connections_max == limits.connections_per_address_max == 7
    assert limits.handshake_seconds_max == 4
    assert limits.idle_seconds_max == 15
    assert limits.write_buffer_bytes_max == 6


async def test_notify_is_a_notification_and_request_a_request(tmp_path: Path) -> None:
    async with raw(tmp_path) as (link, side), asyncio.TaskGroup() as tasks:
        side.peer.notify("note", 1)
        asking = tasks.create_task(side.peer.request("ask", None, int))
        assert await link.hear() == Notification("note", msgspec.Raw(b"\x01"))
        assert await link.hear() == Request(1, "ask", NOTHING)
        await link.say(encode_response(1, None, 42))
        async with patience():
            assert await asking == 42
