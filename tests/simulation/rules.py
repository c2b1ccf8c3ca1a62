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

if TYPE_CHECKING:
    from tests.simulation.world import World


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
    if isinstance(client, CountingClient):
        assert done == client.typed[: len(done)], (done, client.typed)
        return
    # What was on its way may be lost. The rest has its order within its session and connection:
    # a code may be typed on one connection and arrive after those of the next.
    assert len(done) == len(set(done)), done
    assert isinstance(client, Person)
    orders: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for sid, command in effects:
        orders[sid, client.typed_on[command]].append(client.typed.index(command))
    assert all(order == sorted(order) for order in orders.values()), (effects, client.typed)


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
    if world.gateway is None:
        return
    limits = world.config.limits.session
    for session in world.gateway.gateway.manager.sessions.values():
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


def _said(world: World, sid: str) -> set[str]:
    """What a session must have been shown, or told of."""
    return set(world.database.said.get(sid, ())) - world.database.unaccepted


def _check_counting(world: World, client: CountingClient) -> None:
    done = [effect.command for effect in world.database.effects.get(client.name, ())]
    assert done == client.typed
    # A window that was full for too long is told; beyond that only `fast` may lose a tail.
    allowed = {"trimmed"} if world.setup.durability is Durability.DURABLE else {"trimmed", "epoch"}
    assert set(client.resets) <= allowed
    assert world.gateway is not None
    sid = client.core.state.sid
    session = world.gateway.gateway.manager.sessions[sid]
    assert client.core.state.last == session.out.top
    if not client.resets:
        missing = _said(world, sid) - set(client.shown)
        assert not missing, f"silently missing: {sorted(missing)}"


def _check_person(world: World, client: Person, command: str) -> None:
    answer = f"did {command}"
    sids = [sid for sid in client.shown if any(text.endswith(answer) for text in client.has(sid))]
    assert len(sids) == 1, f"not answered: {command}"
    missing = _said(world, sids[0]) - client.has(sids[0])
    recent = [text for text in missing if world.database.said_at[text] > client.told_before]
    assert len(recent) <= client.told, f"silently missing: {sorted(recent)}, told {client.told}"
