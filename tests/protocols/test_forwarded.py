"""Whom an HTTP proxy speaks for (RFC 7239)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols.forwarded import HOPS_MAX, Forwarded, forwarded_client, parse_node

CLIENT = Forwarded("203.0.113.7", 0)


def trusts(host: str) -> bool:
    return host.startswith("10.") or host == "::1"


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["203.0.113.7"], CLIENT),
        (["203.0.113.7:4711"], Forwarded("203.0.113.7", 4711)),
        (["192.0.2.66, 203.0.113.7"], CLIENT),
        (["192.0.2.66", "203.0.113.7, 10.0.0.2"], CLIENT),
        (["203.0.113.7,10.0.0.2 ,10.0.0.3"], CLIENT),
        (["10.0.0.2, 10.0.0.3"], Forwarded("10.0.0.2", 0)),
        (["2001:db8::7"], Forwarded("2001:db8::7", 0)),
        (["[2001:db8::7]:80, ::1"], Forwarded("2001:db8::7", 80)),
        (["::ffff:203.0.113.7"], CLIENT),
        (["203.0.113.7, unknown, 10.0.0.2"], Forwarded("10.0.0.2", 0)),
        (["203.0.113.7, "], None),
        (["anna"], None),
        ([""], None),
        ([], None),
    ],
)
def test_x_forwarded_for(values: list[str], client: Forwarded | None) -> None:
    assert forwarded_client(values, "x-forwarded-for", trusts) == client


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["for=203.0.113.7"], CLIENT),
        (["For=203.0.113.7;proto=https;by=10.0.0.1"], CLIENT),
        (['proto=https; for="203.0.113.7"'], CLIENT),
        (['for="[2001:db8::7]:80"'], Forwarded("2001:db8::7", 80)),
        (["for=192.0.2.66, for=203.0.113.7, for=10.0.0.2"], CLIENT),
        (["for=unknown"], None),
        (["for=_hidden, for=10.0.0.2"], Forwarded("10.0.0.2", 0)),
        (["by=203.0.113.7"], None),
        (["xfor=203.0.113.7"], None),
        (["203.0.113.7"], None),
    ],
)
def test_forwarded(values: list[str], client: Forwarded | None) -> None:
    assert forwarded_client(values, "forwarded", trusts) == client


def test_many_proxies_in_a_row_are_not_followed_for_ever() -> None:
    values = ["203.0.113.7"] + ["10.0.0.1"] * HOPS_MAX
    assert forwarded_client(values, "x-forwarded-for", trusts) == Forwarded("10.0.0.1", 0)


@pytest.mark.parametrize(
    "text",
    ["", "a", "1.2.3", "1.2.3.4:x", "1.2.3.4:123456", "[::1", "[::1]80", "fe80::1%lo", "1.2.3.4:²"],
)
def test_what_is_no_address(text: str) -> None:
    assert parse_node(text) is None


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_header_gives_an_address_or_none(values: list[str]) -> None:
    for header in ("x-forwarded-for", "forwarded"):
        found = forwarded_client(values, header, trusts)
        assert found is None or parse_node(found.host) is not None
