"""The security log: one bounded line for each event, and no flood of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from holdfast.core.text import TEXT_CHARS_MAX
from holdfast.net.security_log import (
    LINES_BURST_MAX,
    LINES_PER_MINUTE_MAX,
    NETWORK_LINES_BURST_MAX,
    NETWORK_LINES_PER_MINUTE_MAX,
    SecurityEvent,
    SecurityLog,
)

PEER = "192.0.2.1:4000"


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


def test_a_line_says_what_from_where_and_of_which_session(lines: list[Any]) -> None:
    SecurityLog().tell(
        SecurityEvent.TOKEN_REVOKED, peer=PEER, sid="s1", listener="ws://[::]:80/", user="anna"
    )
    assert lines == [
        {
            "event": "token_revoked",
            "log": "security",
            "log_level": "warning",
            "address": PEER,
            "sid": "s1",
            "listener": "ws://[::]:80/",
            "user": "anna",
        }
    ]


@pytest.mark.parametrize("event", SecurityEvent, ids=lambda event: event.value)
def test_what_is_not_known_is_left_out(event: SecurityEvent, lines: list[Any]) -> None:
    SecurityLog().tell(event)
    assert {"event", "log", "log_level"} == lines[0].keys()


def test_what_a_client_says_is_cut(lines: list[Any]) -> None:
    SecurityLog().tell(SecurityEvent.ORIGIN_REFUSED, peer=PEER, origin="x" * 10_000)
    assert len(lines[0]["origin"]) < TEXT_CHARS_MAX + 50


def test_one_network_fills_nothing_and_hides_nobody(lines: list[Any]) -> None:
    log = SecurityLog(clock=lambda: 100.0)
    for n in range(1000):
        log.tell(SecurityEvent.CODE_REFUSED, peer=f"[2001:db8::{n}]:1")
    assert len(lines) == NETWORK_LINES_BURST_MAX
    log.tell(SecurityEvent.CODE_REFUSED, peer=PEER)
    assert lines[-1]["address"] == PEER
    assert lines[-1]["left_out"] == 1000 - NETWORK_LINES_BURST_MAX
    assert log.counts[SecurityEvent.CODE_REFUSED] == 1001


def test_the_limits_are_those_of_the_documentation() -> None:
    page = Path(__file__).parents[2] / "docs" / "security.md"
    assert (
        f"{NETWORK_LINES_BURST_MAX} lines from one address (IPv6: /64 network) are logged, then"
        f" {NETWORK_LINES_PER_MINUTE_MAX:g} a minute; {LINES_BURST_MAX:,} in all, then"
        f" {LINES_PER_MINUTE_MAX:g} a minute."
    ) in " ".join(page.read_text().split())


def test_many_networks_fill_nothing_and_hide_no_other_kind(lines: list[Any]) -> None:
    log = SecurityLog(clock=lambda: 100.0)
    for n in range(2 * LINES_BURST_MAX):
        log.tell(SecurityEvent.CODE_REFUSED, peer=f"10.0.{n >> 8}.{n & 255}:1")
    assert len(lines) == LINES_BURST_MAX
    log.tell(SecurityEvent.OPERATOR_ACTED, sid="s1", what="kick")
    assert lines[-1]["event"] == "operator_acted"
