"""Several gateways on one PostgreSQL database: a client comes back at any of them."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import pytest
from msgspec import structs
from tests.cli.process import run
from tests.gateway.admin.asking import administered, ask, told
from tests.gateway.clients import person, v1
from tests.gateway.running import SECONDS, TCP, eventually, serving
from tests.gateway.test_postgresql import LIMITS, Place, acknowledged, goes_on, said_one

from holdfast.core.clock import monotonic
from holdfast.core.ids import new_resume_code, show_resume_code
from holdfast.gateway.environment import Environment
from holdfast.gateway.gateway import Gateway
from holdfast.sessions.fetching import Fetched
from holdfast.sessions.records import Found, Stored
from holdfast.sessions.session import Session
from holdfast.sessions.stores.base import OtherRun, StoreError, Whereabouts
from holdfast.sessions.stores.postgres.store import PostgresStore
from holdfast.sessions.tokens import split_token

Durability = Literal["fast", "durable"]


@pytest.mark.parametrize("durability", ["fast", "durable"])
async def test_a_client_comes_back_at_another_gateway(place: Place, durability: Durability) -> None:
    async with (
        serving(place.config(durability, "a")) as first,
        serving(place.config(durability, "b")) as second,
    ):
        hello = await said_one(first)
        await goes_on(second, hello)
        assert (first.manager.total, second.manager.total) == (0, 1)
        assert (first.manager.counts.moved_out, second.manager.counts.moved_in) == (1, 1)


async def test_a_session_moves_there_and_back(place: Place) -> None:
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        for number in range(2, 8):
            gateway = second if number % 2 == 0 else first
            async with v1(gateway, **hello) as client:
                resumed = await client.expect("resumed")
                assert resumed["cin"] == number - 1
                assert resumed["epoch"] == hello["epoch"]  # a move ends no epoch
                await client.say("cmd", c=number, d=f"{number}")
                await client.texts(f"{number}")
                await acknowledged(client)
                hello |= {"token": resumed["token"], "last": number}


async def test_the_newer_of_two_connections_of_a_client_has_the_session(place: Place) -> None:
    async with (
        serving(place.config(node="a")) as first,
        serving(place.config(node="b")) as second,
        v1(first) as client,
    ):
        welcome = await client.expect("welcome")
        hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
        async with v1(second, **hello) as newer:
            await newer.expect("resumed")
            assert (await client.closed())[0] == 4001
            await newer.say("cmd", c=1, d="one")
            assert await newer.texts("one") == [(1, "one")]


async def test_a_token_without_a_session_is_refused_at_once(place: Place) -> None:
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        wrong = hello["token"][:-2] + ("AA" if hello["token"][-2:] != "AA" else "BB")
        async with v1(second, **hello | {"token": wrong}) as client:
            await client.expect("refused")
        assert first.manager.total == 1


async def test_a_code_is_good_at_another_gateway(place: Place) -> None:
    configs = [place.config(node=node, urls=[TCP]) for node in "ab"]
    async with (
        serving(configs[0]) as first,
        serving(configs[1]) as second,
        person(first, "tcp") as owner,
        person(second, "tcp") as someone,
    ):
        owner.types("here")
        code = await owner.shown_code()
        await owner.sees("here")
        await someone.shown_code()
        someone.types(f"resume {show_resume_code(new_resume_code())}")
        await someone.sees("That does not resume a session")
        async with person(second, "tcp") as other:
            await other.shown_code()
            other.types(f"resume {code}")
            assert await other.shown_code() != code
            other.types("there")
            await other.sees("there")
        await owner.sees("taken over by a newer connection")


async def test_a_client_that_has_come_back_here_is_not_disconnected_for_an_earlier_wish(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asked for its session at another gateway before, which may have been killed since."""
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        neighbours, wanted, comes = first._store.neighbours, asyncio.Event(), asyncio.Event()
        assert neighbours is not None
        asked = neighbours.asked

        async def hears_late(count: int) -> dict[int, dict[str, int]]:
            found = await asked(count)
            if found:
                wanted.set()
                await comes.wait()
            return found

        monkeypatch.setattr(neighbours, "asked", hears_late)
        async with v1(second, **hello) as earlier:
            await wanted.wait()
            async with v1(first, **hello) as client:
                await client.expect("resumed")
                comes.set()
                assert (await earlier.closed())[0] == 4506
                await client.say("cmd", c=2, d="two")
                await client.texts("two")
        assert await place.run("SELECT * FROM holdfast.move_request") == []


async def test_a_client_that_has_come_here_is_not_disconnected_for_an_earlier_offer(
    place: Place,
) -> None:
    """A gateway that has gone had offered the session to another one, which wants it still."""
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        neighbours = second._store.neighbours
        assert neighbours is not None
        sid = next(iter(first.manager.sessions))
        async with v1(first, **hello) as client:
            await client.expect("resumed")
            await neighbours.ask({sid: 0})
            asked = "SELECT * FROM holdfast.move_request WHERE NOT refused"
            async with asyncio.timeout(SECONDS):
                while await place.run(asked):
                    pass
            await client.say("cmd", c=2, d="two")
            await client.texts("two")
        assert first.manager.counts.moved_out == 0


async def test_a_session_that_cannot_move_keeps_its_token(place: Place) -> None:
    """Its connection to a server is one gateway's: the client is told to come again."""
    first_config, second_config = (place.config(node=node) for node in "ab")
    async with serving(first_config) as first, serving(second_config) as second:
        hello = await said_one(first)
        moves = first.backends.named("echo").moves
        moves.stays = True  # type: ignore[misc]
        async with v1(second, **hello) as client:
            assert (await client.closed())[0] == 4506
        await goes_on(first, hello)


async def test_a_session_that_is_busy_is_waited_for(place: Place) -> None:
    patient = LIMITS.but(store={"claim_seconds_max": SECONDS})
    async with (
        serving(place.config(node="a")) as first,
        serving(place.config(node="b", limits=patient)) as second,
    ):
        hello = await said_one(first)
        asked = asyncio.Event()

        def busy(session: Session) -> bool:
            asked.set()
            return False

        moves = first.backends.named("echo").moves
        moves.may_move = busy  # type: ignore[method-assign]
        async with v1(second, **hello) as client:
            await asked.wait()
            moves.may_move = lambda session: True  # type: ignore[method-assign]
            await client.expect("resumed")


async def test_a_client_that_waits_for_too_long_is_told_to_come_again(place: Place) -> None:
    hasty = LIMITS.but(store={"claim_seconds_max": 0.2})
    async with (
        serving(place.config(node="a")) as first,
        serving(place.config(node="b", limits=hasty)) as second,
    ):
        hello = await said_one(first)
        moves = first.backends.named("echo").moves
        moves.may_move = lambda session: False  # type: ignore[method-assign]
        async with v1(second, **hello) as client:
            assert (await client.closed())[0] == 4506
        assert await place.run("SELECT * FROM holdfast.move_request") == []
        await goes_on(first, hello)


async def test_a_session_that_could_not_be_given_stays(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        neighbours, calls = first._store.neighbours, 0
        assert neighbours is not None
        give = neighbours.give

        async def fails(sids: Sequence[str], run: int) -> list[str]:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise StoreError("the connection is gone")
            return await give(sids, run)

        monkeypatch.setattr(neighbours, "give", fails)
        await goes_on(second, hello)
        assert calls == 2


async def test_a_client_comes_back_at_a_gateway_that_gives_its_session_away_just_now(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is given, the session is that gateway's in the store; it must not load it again."""
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        neighbours = first._store.neighbours
        assert neighbours is not None
        give, ask = neighbours.give, neighbours.ask
        gives, asked, goes_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def gives_late(sids: Sequence[str], run: int) -> list[str]:
            gives.set()
            await goes_on.wait()
            return await give(sids, run)

        async def asks(wanted: Mapping[str, int]) -> dict[str, Whereabouts]:
            if asked.is_set():
                goes_on.set()  # it has handled the first answer
            found = await ask(wanted)
            asked.set()
            return found

        monkeypatch.setattr(neighbours, "give", gives_late)
        monkeypatch.setattr(neighbours, "ask", asks)
        async with v1(second, **hello):
            await gives.wait()
            async with v1(first, **hello) as client:
                async with asyncio.timeout(5.0 * SECONDS):
                    await client.expect("resumed")
                assert (first.manager.total, second.manager.total) == (1, 0)


async def test_a_session_that_moves_while_it_is_loaded_for_its_client_is_fetched_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(place.config(node="a")) as first:
        hello = await said_one(first)
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        loader, loaded, moved = first.manager.loader, asyncio.Event(), asyncio.Event()
        load = loader.load

        async def loads_late(sids: Iterable[str], now: float) -> None:
            await load(sids, now)
            if not loaded.is_set():
                loaded.set()
                await moved.wait()

        monkeypatch.setattr(loader, "load", loads_late)
        async with v1(first, **hello) as client:
            await loaded.wait()
            async with v1(second, **hello) as other:
                hello["token"] = (await other.expect("resumed"))["token"]
            moved.set()
            await client.expect("resumed")
            assert (first.manager.total, second.manager.total) == (1, 0)


async def test_a_session_that_moves_on_when_it_has_been_fetched_is_fetched_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        fetching, fetched, moved = second.context.fetching, asyncio.Event(), asyncio.Event()
        assert fetching is not None
        fetch = fetching.fetch

        async def hears_late(sid: str, secret: bytes | None) -> Fetched:
            found = await fetch(sid, secret)
            if not fetched.is_set():
                fetched.set()
                await moved.wait()
            return found

        monkeypatch.setattr(fetching, "fetch", hears_late)
        async with v1(second, **hello) as client:
            await fetched.wait()
            async with v1(first, **hello) as other:
                await other.expect("resumed")
            moved.set()
            await client.expect("resumed")
            assert (first.manager.total, second.manager.total) == (0, 1)


async def test_a_client_whose_session_moves_again_and_again_is_told_to_come_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time that it is here, it has moved on before its client is attached."""
    hasty = LIMITS.but(store={"claim_seconds_max": 0.2})
    async with (
        serving(place.config(node="a")) as first,
        serving(place.config(node="b", limits=hasty)) as second,
    ):
        hello, fetched = await said_one(first), 0

        async def moves_on(sid: str, secret: bytes | None) -> Fetched:
            nonlocal fetched
            fetched += 1
            await asyncio.sleep(0.001)
            return Fetched.HERE

        fetching = second.context.fetching
        assert fetching is not None
        monkeypatch.setattr(fetching, "fetch", moves_on)
        async with v1(second, **hello) as client:
            assert (await client.closed())[0] == 4506
        assert fetched > 1
        await goes_on(first, hello)


async def test_a_session_that_its_gateway_does_not_know_is_given_nevertheless(place: Place) -> None:
    """It came there when nobody wanted it any more."""
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        neighbours = second._store.neighbours
        assert neighbours is not None
        await neighbours.ask({split_token(hello["token"])[0]: 1})  # type: ignore[index]
        await eventually(lambda: first.manager.counts.moved_out == 1)
        assert second.manager.total == 0
        await goes_on(first, hello)
        assert (first.manager.total, second.manager.total) == (1, 0)


async def test_a_client_comes_back_while_its_session_is_adopted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is this gateway's in the store, and it does not know yet what is in it."""
    hurried = LIMITS.but(drain={"moves_seconds_max": 0.1})
    async with serving(place.config(node="b")) as second:
        neighbours = second._store.neighbours
        assert neighbours is not None
        adopt, ask, arrived = neighbours.adopt, neighbours.ask, neighbours.arrived
        asked, goes_on_now = [], asyncio.Event()

        async def adopts_late() -> Stored | None:
            stored = await adopt()
            if stored is not None:
                await goes_on_now.wait()
            return stored

        async def asks(wanted: Mapping[str, int]) -> dict[str, Whereabouts]:
            found = await ask(wanted)
            if Whereabouts.HERE in found.values():
                asked.append(found)
            if len(asked) > 1:
                goes_on_now.set()  # it has handled the first answer
            return found

        async def arrives(sids: Sequence[str]) -> Found:
            found = await arrived(sids)
            goes_on_now.set()
            return found

        monkeypatch.setattr(neighbours, "adopt", adopts_late)
        monkeypatch.setattr(neighbours, "ask", asks)
        monkeypatch.setattr(neighbours, "arrived", arrives)
        async with serving(place.config(node="a", limits=hurried)) as first:
            hello = await said_one(first)
            moves = first.backends.named("echo").moves
            moves.may_move = lambda session: False  # type: ignore[method-assign]
        await goes_on(second, hello)
        assert (second.manager.total, second.manager.counts.adopted) == (1, 1)


async def test_nothing_of_a_session_is_stored_after_the_snapshot_that_the_other_gateway_reads(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(place.config(node="a")) as first, serving(place.config(node="b")) as second:
        hello = await said_one(first)
        (session,) = first.manager.sessions.values()
        neighbours = first._store.neighbours
        assert neighbours is not None
        give, stored = neighbours.give, []

        async def gives(sids: Sequence[str], run: int) -> list[str]:
            stored.append(session.persistent)
            return await give(sids, run)

        monkeypatch.setattr(neighbours, "give", gives)
        assert session.persistent
        await goes_on(second, hello)
        assert stored == [False]


async def test_a_gateway_that_ends_leaves_its_sessions_to_the_others(place: Place) -> None:
    """Those that could not move before."""
    hurried = LIMITS.but(drain={"moves_seconds_max": 0.1})
    async with serving(place.config(node="b")) as second:
        async with serving(place.config(node="a", limits=hurried)) as first:
            hello = await said_one(first)
            moves = first.backends.named("echo").moves
            moves.may_move = lambda session: False  # type: ignore[method-assign]
        await goes_on(second, hello)
        assert second.manager.counts.adopted == 1


async def test_a_gateway_that_stops_moves_its_sessions_to_the_others_first(place: Place) -> None:
    """In parts, before it lets go of any. Clients that are connected are told to come back."""
    slow = LIMITS.but(drain={"moves_per_second_max": 40.0, "moves_seconds_max": SECONDS})
    async with serving(place.config(node="b")) as second, serving(place.config(node="c")) as third:
        async with serving(place.config(node="a", limits=slow)) as first:
            assert first._cluster is not None
            waiting = [await said_one(first) for _ in range(9)]
            async with v1(first) as client:
                welcome = await client.expect("welcome")
                await client.say("cmd", c=1, d="one")
                await client.expect("text")
                await acknowledged(client)
                await eventually(lambda: sum(run.accepts for run in others_of(first)) == 2)
                first.stop()
                assert (await client.closed())[0] == 1012
            waiting.append({"token": welcome["token"], "epoch": welcome["epoch"], "last": 0})
            assert first._running, "it still serves, until all have moved"
            await eventually(lambda: not first.manager.total)
        others = [second, third]
        assert first.manager.counts.moved_out == 10
        await eventually(lambda: [each.manager.counts.moved_in for each in others] == [5, 5])
        assert [each.manager.counts.adopted for each in others] == [0, 0]
        for number, hello in enumerate(waiting):
            await goes_on(others[number % 2], hello)


def others_of(gateway: Gateway) -> Sequence[OtherRun]:
    assert gateway._cluster is not None
    return gateway._cluster.runs


async def test_a_gateway_that_stops_waits_for_a_session_that_is_busy(place: Place) -> None:
    patient = LIMITS.but(drain={"moves_seconds_max": SECONDS})
    async with serving(place.config(node="b")) as second:
        async with serving(place.config(node="a", limits=patient)) as first:
            hello = await said_one(first)
            await eventually(lambda: any(run.accepts for run in others_of(first)))
            moves, asked = first.backends.named("echo").moves, asyncio.Event()

            def busy(session: Session) -> bool:
                asked.set()
                return False

            moves.may_move = busy  # type: ignore[method-assign]
            first.stop()
            await asked.wait()
            moves.may_move = lambda session: True  # type: ignore[method-assign]
        await eventually(lambda: second.manager.counts.moved_in == 1)
        await goes_on(second, hello)


async def test_a_second_signal_ends_the_moves(place: Place) -> None:
    patient = LIMITS.but(drain={"moves_seconds_max": SECONDS})
    async with serving(place.config(node="b")) as second:
        async with serving(place.config(node="a", limits=patient)) as first:
            hello = await said_one(first)
            await eventually(lambda: any(run.accepts for run in others_of(first)))
            moves, asked = first.backends.named("echo").moves, asyncio.Event()

            def busy(session: Session) -> bool:
                asked.set()
                return False

            moves.may_move = busy  # type: ignore[method-assign]
            first.stop()
            await asked.wait()
            first.stop()
        await goes_on(second, hello)
        assert second.manager.counts.adopted == 1


async def test_clients_go_on_at_others_while_their_gateway_is_restarted(place: Place) -> None:
    async with serving(place.config(node="b")) as second:
        async with serving(place.config(node="a")) as first, v1(first) as client:
            welcome = await client.expect("welcome")
            await client.say("cmd", c=1, d="one")
            await client.expect("text")
            await acknowledged(client)
            first.stop()
            assert (await client.closed())[0] == 1012
            hello = {"token": welcome["token"], "epoch": welcome["epoch"], "last": 0}
            await goes_on(
                second, hello
            )  # at once: it moves during the stop, or is adopted after it
        async with serving(place.config(node="a")) as first, v1(first, **hello) as client:
            assert (await client.expect("resumed"))["to"] == 2
    assert first.manager.counts.moved_in == 1


async def test_a_gateway_stops_while_a_client_waits_for_its_session(place: Place) -> None:
    async with serving(place.config(node="a")) as first:
        hello = await said_one(first)
        moves, asked = first.backends.named("echo").moves, asyncio.Event()

        def busy(session: Session) -> bool:
            asked.set()
            return False

        moves.may_move = busy  # type: ignore[method-assign]
        async with (
            serving(place.config(node="b", limits=PATIENT)) as second,
            v1(second, **hello) as client,
        ):
            await asked.wait()
            second.stop()
            await client.closed()


PATIENT = LIMITS.but(store={"lease_seconds_max": 3600.0, "claim_seconds_max": SECONDS})


def hurry(gateway: Gateway) -> None:
    """From now on, a gateway fences others after a second. Before, a slow machine does no harm."""
    assert isinstance(gateway._store, PostgresStore)
    gateway._store.neighbours._watch._limits = structs.replace(PATIENT.store, lease_seconds_max=1.0)


async def test_nobody_is_fenced_while_the_database_is_away(place: Place) -> None:
    """It is away for two leases, by the clocks of the gateways: nobody waits for so long."""
    ahead = 0.0
    environment = Environment(monotonic=lambda: monotonic() + ahead)
    async with (
        serving(place.config("durable", "a", PATIENT), environment) as first,
        serving(place.config("durable", "b", PATIENT), environment) as second,
        v1(first) as one,
        v1(second) as two,
    ):
        for client in (one, two):
            await client.expect("welcome")
        await eventually(lambda: len(first._cluster.runs) == len(second._cluster.runs) == 1)  # type: ignore[union-attr]
        place.cluster.stop(signal.SIGQUIT)
        for client in (one, two):
            await client.say("cmd", c=1, d="one")
        ahead = 2.0 * PATIENT.store.lease_seconds_max
        assert not lasts(first)
        assert not lasts(second)
        await asyncio.to_thread(place.cluster.start)
        for client in (one, two):
            assert await client.texts("one") == [(1, "one")]
        for client in (one, two):
            await client.say("cmd", c=2, d="two")
            assert await client.texts("two") == [(2, "two")]
        assert first.manager.counts.adopted == second.manager.counts.adopted == 0


def lasts(gateway: Gateway) -> bool:
    assert gateway._cluster is not None
    return gateway._cluster.membership.lasts()


async def test_each_node_counts_the_sessions_of_a_user_that_it_has(place: Place) -> None:
    """A session that comes from another node is counted here, and not refused."""
    one_each = LIMITS.but(session={"sessions_per_user_max": 1})
    async with (
        serving(place.config(node="a", limits=one_each)) as first,
        serving(place.config(node="b", limits=one_each)) as second,
    ):
        hellos = [await said_one(first), await said_one(second)]
        for gateway in (first, second):
            (session,) = gateway.manager.sessions.values()
            gateway.manager.set_user(session, "Ada")
        await goes_on(second, hellos[0])
        assert (first.manager.total, second.manager.total) == (0, 2)
        await said_one(second)
        newest = max(second.manager.sessions)
        second.manager.set_user(second.manager.sessions[newest], "Ada")
        assert second.manager.total == 2  # the one that had waited longest has made room
        async with v1(second, **hellos[1]) as client:
            await client.expect("refused")


async def test_the_nodes_are_listed(place: Place) -> None:
    first, second = (administered(place.config(node=node)) for node in "ab")
    async with serving(first) as gateway:
        async with serving(second) as other:
            for asked, here in ((gateway, "a"), (other, "b")):
                items = (await told(asked, "/api/nodes"))["items"]
                assert [(one["name"], one["here"]) for one in items] == [
                    ("a", here == "a"),
                    ("b", here == "b"),
                ]
                assert [one["host"] for one in items] == [socket.gethostname()] * 2
                assert all(one["since"] > 0 for one in items)
        (item,) = (await told(gateway, "/api/nodes"))["items"]
        assert item["name"] == "a"


async def test_the_sessions_of_all_nodes_are_listed_and_ended_at_any_of_them(place: Place) -> None:
    first, second = (administered(place.config(node=node)) for node in "ab")
    async with serving(first) as one, serving(second) as other, v1(other) as remote:
        await said_one(one)
        welcome = await remote.expect("welcome")
        away = await said_one(other)
        sids = [split_token(hello["token"])[0] for hello in (welcome, away)]  # type: ignore[index]
        await eventually(lambda: other.manager.sessions[sids[1]].row.detached > 0.0)
        await eventually(lambda: one.journal.idle and other.journal.idle)
        everywhere = await told(one, "/api/sessions?nodes=all")
        items = everywhere["items"]
        assert {item["sid"] for item in items if item["node"] == "b"} == set(sids)
        assert [item["sid"] for item in items] == sorted(item["sid"] for item in items)
        assert (len(items), everywhere["total"], everywhere["next"]) == (3, 3, None)
        page = await told(one, "/api/sessions?nodes=all&limit=2")
        assert (page["items"], page["next"]) == (items[:2], items[1]["sid"])
        page = await told(one, f"/api/sessions?nodes=all&limit=2&after={page['next']}")
        assert (page["items"], page["next"]) == (items[2:], None)
        waiting = await told(one, "/api/sessions?nodes=all&state=detached_active")
        assert {item["sid"] for item in waiting["items"] if item["node"] == "b"} == {sids[1]}
        assert (await ask(one, "/api/sessions?nodes=b")).status == 400
        for path in (f"/api/sessions/{sids[0]}", f"/api/sessions/{sids[0]}/explain"):
            missing = await ask(one, path)
            assert missing.status == 404
            assert b"node 'b' has it" in missing.body

        code, out, err = await run("sessions", "--all-nodes", "--admin", str(one.admin_address))
        assert (code, err) == (0, "")
        assert sorted(json.loads(line)["node"] for line in out.splitlines()) == ["a", "b", "b"]
        code, out, err = await run("kick", *sids, "--admin", str(one.admin_address))
        assert (code, out.splitlines()) == (0, [f"{sid}: kicked" for sid in sids])
        assert (await remote.closed())[0] == 4002
        assert other.manager.total == 0
        assert await place.run("SELECT * FROM holdfast.end_request") == []
        assert (await ask(one, f"/api/sessions/{sids[0]}", "DELETE")).status == 404


async def test_a_session_of_a_node_that_does_not_answer_is_not_ended(place: Place) -> None:
    """The operator is told which node that is."""
    hasty = LIMITS.but(store={"claim_seconds_max": 0.2})
    first = administered(place.config(node="a", limits=hasty))
    async with serving(first) as one, serving(place.config(node="b", limits=PATIENT)) as other:
        hello = await said_one(other)
        sid = split_token(hello["token"])[0]  # type: ignore[index]

        async def deaf() -> list[str]:
            return []

        assert other._cluster is not None
        other._cluster._neighbours.ends = deaf  # type: ignore[method-assign]
        refused = await ask(one, f"/api/sessions/{sid}", "DELETE")
        assert refused.status == 504
        assert b"node 'b' has the session, and has not ended it in 0.2 seconds" in refused.body
        assert await place.run("SELECT * FROM holdfast.end_request") == []
        await goes_on(other, hello)
