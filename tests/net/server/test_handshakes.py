"""How many handshakes one network may have under way."""

from __future__ import annotations

import pytest

from holdfast.core.limits import ConnectionLimits
from holdfast.net.server.handshakes import Handshakes


@pytest.mark.parametrize(
    ("connections", "handshakes", "most"),
    [(100, 7, 7), (100, 50, 50), (100, 51, 50), (9, 100, 5), (1, 100, 1)],
)
def test_a_network_has_so_many_and_at_most_half_of_all_connections(
    connections: int, handshakes: int, most: int
) -> None:
    it = Handshakes(
        ConnectionLimits(connections_max=connections, handshakes_per_address_max=handshakes)
    )
    for _ in range(most):
        assert not it.full("n")
        it.began("n")
    assert it.full("n")
    assert not it.full("m")
    it.ended("n")
    assert not it.full("n")


def test_other_limits_hold_from_now_on() -> None:
    it = Handshakes(ConnectionLimits(handshakes_per_address_max=1))
    it.began("n")
    it.replace(ConnectionLimits(handshakes_per_address_max=2))
    assert not it.full("n")
    it.began("n")
    assert it.full("n")
