"""What must hold at every moment, and once everything has come to rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from holdfast.sessions.states import Durability
from tests.simulation.application import Effect
from tests.simulation.clients.base import ClientNode
from tests.simulation.clients.counting import CountingClient
from tests.simulation.clients.person import Person
from tests.simulation.limits import LIMITS

if TYPE_CHECKING:
    from tests.simulation.world import Setup, World


def check(world: World) -> None:
    """The rules of safety."""
    assert not world.faults, world.faults
    for client in world.clients:
        _check_effects(client, world.database.effects.get(client.name, ()))
        # S3: an older connection is not written to after a newer one attached.
        for written in client.sealed:
            for word in (b" did ", b" o "):
                assert word not in written, "an older connection was written to"
        if isinstance(client, CountingClient):
            _check_order(client.shown)
        elif isinstance(client, Person):
            for shown in client.shown.values():
                _check_order(shown)
    _check_caps(world)


def _check_effects(client: ClientNode, effects: Sequence[Effect]) -> None:
    """S2: each command is applied once, and in order."""
    done = [effect.command for effect in effects]
    assert len(done) == len(set(done)), done
    # Of a person, the rest has its order within its session and connection: a code may be
    # typed on one connection and arrive after those of the next.
    orders: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for sid, command in effects:
        connection = client.typed_on[command] if isinstance(client, Person) else 0
        orders[sid, connection].append(client.typed.index(command))
    assert all(order == sorted(order) for order in orders.values()), (effects, client.typed)
    if isinstance(client, CountingClient) and done:
        # What is missing before the newest is lost, and told.
        newest = max(map(client.typed.index, done))
        lost = [text for text in client.typed[client.told_upto : newest] if text not in done]
        assert not lost, f"silently lost: {lost} of {client.typed}, done: {done}"


def _check_order(shown: Sequence[str]) -> None:
    """S1, beside what a counting client checks of the numbers: nothing is shown twice, and what
    one instance says in one order is shown in that order."""
    assert len(shown) == len(set(shown)), shown
    newest: dict[str, int] = {}
    for text in shown:
        _, speaker, *words = text.split()
        if words[:1] == ["o"]:
            assert int(words[1]) > newest.get(speaker, 0), shown
            newest[speaker] = int(words[1])


def _check_caps(world: World) -> None:
    """S6: memory stays under its caps."""
    limits = LIMITS.session
    for session in world.sessions:
        assert len(session.inbox.entries) <= limits.queue_messages_max
        if session.consumer is None:
            assert len(session.out.entries) <= limits.window_messages_max


def check_end(world: World) -> None:
    """Once the network holds, everybody is served, and knows of everything that is missing."""
    check(world)
    commands = {client.name: client.type() for client in world.clients}
    world.settle()
    check(world)
    for client in world.clients:
        command = commands[client.name]
        effects = world.database.effects.get(client.name, [])
        assert [effect.command for effect in effects[-1:]] == [command], "not served"
        if isinstance(client, CountingClient):
            _check_counting(world, client)
        elif isinstance(client, Person):
            _check_person(world, client, command)


def _check_counting(world: World, client: CountingClient) -> None:
    done = [effect.command for effect in world.database.effects.get(client.name, ())]
    assert set(client.typed[client.told_upto :]) <= set(done), "silently lost"
    assert set(client.resets) <= _resets(world.setup), client.resets
    if not _can_forget(world.setup):
        assert not client.told_upto, "commands are lost"
    sid = client.core.state.sid
    (session,) = [session for session in world.sessions if session.sid == sid]
    assert client.core.state.last == session.out.top
    if not (client.resets or world.unpromised):
        missing = world.database.due(sid) - set(client.shown)
        assert not missing, f"silently missing: {sorted(missing)}"


def _can_forget(setup: Setup) -> bool:
    """Whether there are sessions that end with the gateway."""
    return not setup.stored or setup.on_failure == "memory" or setup.goes_back


def _resets(setup: Setup) -> set[str]:
    """Why a client may have to begin afresh."""
    if _can_forget(setup):
        return {"trimmed", "epoch", "ahead", "expired"}
    # A window that was full for too long is told; beyond that only `fast` may lose a tail.
    return {"trimmed"} if setup.durability is Durability.DURABLE else {"trimmed", "epoch"}


def _check_person(world: World, client: Person, command: str) -> None:
    answer = f"did {command}"
    sids = [sid for sid in client.shown if any(text.endswith(answer) for text in client.has(sid))]
    assert len(sids) == 1, f"not answered: {command}"
    missing = world.database.due(sids[0]) - client.has(sids[0])
    recent = [text for text in missing if world.database.said_at[text] > client.told_before]
    enough = world.unpromised or len(recent) <= client.told
    assert enough, f"silently missing: {sorted(recent)}, told {client.told}"
