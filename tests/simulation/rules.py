"""What must hold at every moment, and once everything has come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.sessions.states import Durability
from tests.simulation.clients.counting import CountingClient

if TYPE_CHECKING:
    from tests.simulation.world import World


def check(world: World) -> None:
    """The rules of safety."""
    assert not world.faults, world.faults
    for client in world.clients:
        effects = world.database.effects.get(client.name, [])
        # S2: each command is applied once, and in order.
        assert effects == client.typed[: len(effects)], (effects, client.typed)
        # S3: an older connection is not written to after a newer one attached.
        for written in client.sealed:
            assert b" did " not in written, "an older connection was written to"
            assert b" o " not in written, "an older connection was written to"
        if isinstance(client, CountingClient):
            _check_order(client.shown)
    _check_caps(world)


def _check_order(shown: list[str]) -> None:
    """S1, beside what the client's core checks of the numbers: no repeat, and what one
    instance says in one order is shown in that order."""
    newest: dict[tuple[str, str], int] = {}
    assert len(shown) == len(set(shown)), shown
    for text in shown:
        _, speaker, *words = text.split()
        if words[:1] == ["o"]:
            number = int(words[1])
            key = (speaker, "o")
            assert number > newest.get(key, 0), shown
            newest[key] = number


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
    """Once the network holds, everything typed is applied and nothing is missing."""
    check(world)
    for client in world.clients:
        assert isinstance(client, CountingClient)
        assert world.database.effects.get(client.name, []) == client.typed
        _check_counting(world, client)


def _check_counting(world: World, client: CountingClient) -> None:
    # A window that was full for too long is told; beyond that only `fast` may lose a tail.
    allowed = {"trimmed"} if world.setup.durability is Durability.DURABLE else {"trimmed", "epoch"}
    assert set(client.resets) <= allowed
    assert world.gateway is not None
    sid = client.core.state.sid
    session = world.gateway.gateway.manager.sessions[sid]
    assert client.core.state.last == session.out.top
    if not client.resets:
        said = set(world.database.said.get(sid, ())) - world.database.unaccepted
        assert said <= set(client.shown), said - set(client.shown)
