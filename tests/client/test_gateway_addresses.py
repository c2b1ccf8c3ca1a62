"""The addresses of a client, and their order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from holdfast.client.gateway_addresses import GatewayAddresses, better_elsewhere, gateway_addresses
from holdfast.core.errors import ConfigurationError
from holdfast.net.addresses import parse_address

_NAMES = [f"ws://{name}.example:80/" for name in "abcd"]


def taken(them: GatewayAddresses, count: int) -> list[str]:
    found = []
    for _ in range(count):
        found.append(str(them.current))
        them.move_on()
    return found


def test_the_order_is_random_and_kept() -> None:
    orders = set()
    for _ in range(50):
        them = gateway_addresses(_NAMES)
        first = taken(them, 4)
        assert sorted(first) == _NAMES
        assert taken(them, 4) == first
        orders.add(tuple(first))
    assert len(orders) > 1


def test_what_stands_twice_is_tried_once() -> None:
    assert len(set(taken(gateway_addresses([*_NAMES[:2], *_NAMES[:2]]), 2))) == 2


def test_one_address_is_always_the_next() -> None:
    assert taken(gateway_addresses(_NAMES[0]), 2) == [_NAMES[0]] * 2


@pytest.mark.parametrize(
    ("urls", "fault"),
    [
        ([], "expected at least one address of a gateway, found none"),
        (
            ["ws://a/", "telnet://a:23"],
            "telnet://a:23: expected an address for WebSocket, as ws://a:80/; found one for Telnet",
        ),
        (
            ["telnets://a:23", "unix:/s"],
            "unix:/s: expected an address for Telnet, as telnets://a:23; found one for lines",
        ),
    ],
)
def test_addresses_that_no_client_can_use(urls: Sequence[str], fault: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        gateway_addresses(urls)
    assert str(caught.value) == fault


def test_tls_may_stand_beside_plain_addresses() -> None:
    them = GatewayAddresses([parse_address("ws://a/"), parse_address("wss://b/")], lambda _: None)
    assert them.secure
    assert not them.current.secure
    assert not gateway_addresses("tcp://a:1").secure


@pytest.mark.parametrize(
    ("reason", "elsewhere"),
    [
        ("shutdown", True),
        ("crowded", True),
        ("internal_error", True),
        ("elsewhere", True),
        ("flood", False),
        ("", False),
    ],
)
def test_reasons_of_one_gateway(reason: str, elsewhere: bool) -> None:
    assert better_elsewhere(reason) is elsewhere


def test_after_an_address_comes_the_one_behind_it() -> None:
    addresses = [parse_address(name) for name in _NAMES]
    assert taken(GatewayAddresses(addresses, lambda _: None), 5) == [*_NAMES, _NAMES[0]]
