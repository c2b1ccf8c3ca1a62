"""What proves that a client which cannot acknowledge has its output."""

from __future__ import annotations

import pytest

from holdfast.core.items import MUST, Text
from holdfast.core.limits import Limits
from holdfast.gateway.evidence import Evidence
from holdfast.net.tcp_info import Delivery
from holdfast.sessions.outbox import Outbox

NEVER = float("inf")
LIMITS = Limits().but(session={"unproven_seconds_max": 10, "probe_interval_seconds_max": 5}).session
NOW = 1000.0
"""By the wall clock: outputs are said one a second, the last one now."""


def said(count: int, sent: int, acked: int = 0) -> Outbox:
    """A log of `count` outputs, one a second up to now, of which `sent` were written."""
    out = Outbox(LIMITS)
    for number in range(1, count + 1):
        out.append(Text(str(number)), MUST, NOW - count + number)
    out.rewind(sent)
    out.prove(acked)
    return out


# When the connection is lost. Outputs 1 to 8 ended at bytes 10, 20 … 80; the log has 10.
LOST: dict[str, tuple[int | None, float, int, int]] = {
    # bytes acknowledged, the wall clock → acked, seen
    "all-of-it-just-now": (80, NOW, 0, 8),
    "more-than-outputs": (95, NOW, 0, 8),
    "some": (40, NOW, 0, 4),
    "half-an-output-counts-for-nothing": (39, NOW, 0, 3),
    "nothing": (0, NOW, 0, 0),
    "nothing-of-outputs": (9, NOW, 0, 0),
    "not-known": (None, NOW, 0, 8),
    # The acknowledgement may have been on its way: the seventh was said at NOW - 3.
    "not-acknowledged-yet": (60, NOW - 2.8, 0, 7),
    "half-of-it-acknowledged": (65, NOW - 2.8, 0, 7),
    "not-acknowledged-for-long": (50, NOW - 2.8, 0, 5),
    "not-acknowledged-for-just-too-long": (60, NOW - 2.4, 0, 6),
    # Output that is older than ten seconds has arrived, or the connection had broken before.
    "some-of-it-old": (80, NOW + 5, 4, 8),
    "all-of-it-old": (80, NOW + 20, 8, 8),
    "old-but-not-known": (None, NOW + 20, 8, 8),
    "old-but-not-acknowledged": (40, NOW + 20, 4, 4),
}


@pytest.mark.parametrize(("bytes_acked", "wall", "acked", "seen"), LOST.values(), ids=LOST)
def test_a_lost_connection(bytes_acked: int | None, wall: float, acked: int, seen: int) -> None:
    out = said(10, sent=8)
    evidence = Evidence(LIMITS, out)
    for number in range(1, 9):
        evidence.wrote(number, 10 * number)
    # 74 bytes have left this machine: 7 outputs and a piece of the next one.
    delivery = Delivery(bytes_acked, max(bytes_acked, 74)) if bytes_acked is not None else None
    evidence.close(delivery, wall)
    assert (out.acked, out.seen) == (acked, seen)


def test_what_was_proven_before_is_seen_at_least() -> None:
    out = said(10, sent=8, acked=5)
    Evidence(LIMITS, out).close(Delivery(0, 0), NOW)
    assert (out.acked, out.seen) == (5, 5)


def test_only_as_many_places_are_kept_as_the_window_has_outputs() -> None:
    limits = Limits().but(session={"window_messages_max": 3}).session
    out = said(8, sent=8)
    evidence = Evidence(limits, out)
    for number in range(1, 9):
        evidence.wrote(number, 10 * number)
    evidence.close(Delivery(60, 60), NOW)
    assert out.seen == 6
    evidence.close(Delivery(50, 50), NOW)
    assert out.seen == out.acked  # it is not known any more where the fifth ended


# Probes.


def test_a_probe_is_due_when_something_was_sent() -> None:
    out = said(4, sent=0)
    evidence = Evidence(LIMITS, out)
    assert evidence.due == NEVER
    out.rewind(3)
    assert evidence.due <= 100.0
    assert evidence.probing(100.0)


def test_an_answer_proves_what_was_sent_before_the_probe() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probing(100.0)
    out.rewind(5)  # meanwhile more is sent
    assert evidence.proven()
    assert out.acked == 3
    assert not evidence.proven()
    assert out.acked == 3


def test_an_answer_that_proves_nothing_new_says_so() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probing(100.0)
    out.prove(3)
    assert not evidence.proven()


def test_probes_keep_their_distance() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probing(100.0)
    evidence.proven()
    out.rewind(5)
    assert evidence.due == 105.0
    out.prove(5)
    assert evidence.due == NEVER


def test_a_client_that_misses_two_probes_gets_no_more() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    assert evidence.probing(100.0)
    assert evidence.due == 105.0
    assert evidence.probing(105.0)
    assert not evidence.probing(110.0)
    assert evidence.due == NEVER


def test_an_answer_makes_up_for_a_missed_probe() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probing(100.0)
    evidence.probing(105.0)
    evidence.proven()
    out.rewind(5)
    assert evidence.probing(110.0)
    assert evidence.probing(115.0)


def test_who_cannot_answer_is_never_asked() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probing(100.0)
    evidence.give_up()
    assert evidence.due == NEVER
    assert not evidence.probing(105.0)
