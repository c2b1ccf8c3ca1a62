"""Several gateways and two instances of an application, one of which is busy or stopped."""

from __future__ import annotations

from holdfast.backends.link.backend import LinkBackend
from holdfast.link.peer import Peer
from holdfast.sessions.states import Durability
from tests.simulation import rules
from tests.simulation.application import ApplicationNode
from tests.simulation.cluster.world import REMEMBER_SECONDS, ClusterSetup, ClusterWorld


def _links(world: ClusterWorld, application: ApplicationNode) -> list[Peer]:
    """Its links, as the gateways have them."""
    backends = [each for node in world.gateways for each in node.gateway.backends.all]
    return [
        backend.assignment.linked[application.app.instance].peer
        for backend in backends
        if isinstance(backend, LinkBackend)
    ]


def test_an_instance_that_stands_still_keeps_its_links_and_gets_its_share() -> None:
    """It does not read for longer than it may take to say what it remembers."""
    world = ClusterWorld(ClusterSetup(Durability.DURABLE, instances=2))
    try:
        world.client(0).type()
        world.settle()
        holder, other = sorted(world.applications, key=lambda each: not each.app.sessions)
        links = _links(world, other)
        other.freeze()
        world.kill_application(world.applications.index(holder))
        world.notice()
        world.client(0).type()
        world.live(3 * REMEMBER_SECONDS)
        other.process.frozen = False
        world.live(1.0)
        assert _links(world, other) == links
        assert len(other.app.sessions) == 1
        rules.check_end(world)
    finally:
        world.close()
