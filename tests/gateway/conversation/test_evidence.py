"""What proves that a client which cannot acknowledge has its output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.core.items import MUST, Text
from holdfast.core.limits import Limits
from holdfast.gateway.conversation.evidence import Evidence
from holdfast.net.transport.tcp_info import Delivery, TcpInfo, through_tls
from holdfast.sessions.outbox import Outbox

NEVER = float("inf")
LIMITS = Limits().but(session={"unproven_seconds_max": 10, "probe_interval_seconds_max": 5}).session
NOW = 1000.0


def said(count: int, sent: int, acked: int = 0) -> Outbox:
    """A log of `count` outputs, all said long ago, of which `sent` were written."""
    out = Outbox(LIMITS)
    for number in range(1, count + 1):
        out.append(Text(str(number)), MUST, 0.0)
    out.rewind(sent)
    out.prove(acked)
    return out


def mute(out: Outbox) -> Evidence:
    """Of a client without probes, that was written outputs 1 to 8, one a second up to now: they
    ended at bytes 10, 20 … 80."""
    evidence = Evidence(LIMITS, out)
    for number in range(1, 9):
        evidence.wrote(number, 10 * number, NOW - 8 + number)
    evidence.probing(NOW)
    evidence.not_probed()
    return evidence


# When the connection is lost.
LOST: dict[str, tuple[int | None, float, int, int]] = {
    # bytes acknowledged, the time → acked, seen
    "all-of-it-just-now": (80, NOW, 0, 8),
    "more-than-outputs": (95, NOW, 0, 8),
    "some": (40, NOW, 0, 4),
    "half-an-output-counts-for-nothing": (39, NOW, 0, 3),
    "nothing": (0, NOW, 0, 0),
    "nothing-of-outputs": (9, NOW, 0, 0),
    "not-known": (None, NOW, 0, 8),
    # The acknowledgement may have been on its way: the seventh was written at NOW - 1.
    "not-acknowledged-yet": (60, NOW - 0.8, 0, 7),
    "half-of-it-acknowledged": (65, NOW - 0.8, 0, 7),
    "not-acknowledged-for-long": (50, NOW - 0.8, 0, 5),
    "not-acknowledged-for-just-too-long": (60, NOW - 0.4, 0, 6),
    # What was written more than ten seconds ago has arrived, or the connection had broken before.
    "some-of-it-old": (80, NOW + 5, 2, 8),
    "all-of-it-old": (80, NOW + 20, 8, 8),
    "old-but-not-known": (None, NOW + 20, 8, 8),
    "old-but-not-acknowledged": (40, NOW + 20, 4, 4),
}


@pytest.mark.parametrize(("bytes_acked", "now", "acked", "seen"), LOST.values(), ids=LOST)
def test_a_lost_connection(bytes_acked: int | None, now: float, acked: int, seen: int) -> None:
    out = said(10, sent=8)
    evidence = mute(out)
    # 74 bytes have left this machine: 7 outputs and a piece of the next one.
    delivery = Delivery(bytes_acked, max(bytes_acked, 74)) if bytes_acked is not None else None
    evidence.close(delivery, now)
    assert (out.acked, out.maybe_delivered, out.assumed) == (acked, seen, acked)


def test_age_counts_from_the_write_not_from_when_the_output_was_said() -> None:
    """A replay that is cut off at once proves nothing, however old its lines are."""
    out = said(14, sent=14)
    evidence = Evidence(LIMITS, out)
    evidence.wrote(14, 140, NOW)
    evidence.probing(NOW)
    evidence.not_probed()
    evidence.close(Delivery(140, 140), NOW + 1)
    assert (out.acked, out.maybe_delivered) == (0, 14)


def test_of_a_client_that_has_answered_a_probe_age_proves_nothing() -> None:
    out = said(10, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.wrote(3, 30, NOW)
    evidence.probed(evidence.probing(NOW))
    assert evidence.proven(3)
    out.rewind(10)
    evidence.wrote(10, 100, NOW + 1)
    for later in range(5, 60, 5):
        number = evidence.probing(NOW + later)
        if number:
            evidence.probed(number)
        assert not evidence.age(Delivery(100, 100), NOW + later)
    evidence.close(Delivery(100, 100), NOW + 60)
    assert (out.acked, out.maybe_delivered, out.assumed) == (3, 10, 0)


def test_of_a_client_that_acknowledges_age_proves_nothing() -> None:
    for evidence in (Evidence(LIMITS, said(8, 8), exact=True), Evidence(LIMITS, said(8, 8))):
        evidence.acknowledges()
        evidence.wrote(8, 80, NOW)
        evidence.probing(NOW)
        evidence.not_probed()
        assert not evidence.age(Delivery(80, 80), NOW + 60)
        assert evidence.due == NEVER


def test_while_the_connection_lasts_what_is_old_is_let_go_of() -> None:
    out = said(10, sent=8)
    evidence = mute(out)
    assert evidence.due == NOW + 5
    assert evidence.age(Delivery(80, 80), NOW + 5)
    assert (out.acked, out.assumed) == (2, 2)
    assert not evidence.age(Delivery(80, 80), NOW + 5)
    assert evidence.age(Delivery(80, 80), NOW + 30)
    assert out.acked == 8
    assert evidence.due == NEVER


def test_what_was_proven_before_is_seen_at_least() -> None:
    out = said(10, sent=8, acked=5)
    Evidence(LIMITS, out).close(Delivery(0, 0), NOW)
    assert (out.acked, out.maybe_delivered) == (5, 5)


def test_only_as_many_places_are_kept_as_the_window_has_outputs() -> None:
    limits = Limits().but(session={"window_messages_max": 3}).session
    out = said(8, sent=8)
    evidence = Evidence(limits, out)
    for number in range(1, 9):
        evidence.wrote(number, 10 * number, NOW)
    evidence.close(Delivery(50, 50), NOW + 1)
    assert out.maybe_delivered == out.acked  # it is not known any more where the fifth ended
    evidence.close(Delivery(60, 60), NOW + 1)
    assert out.maybe_delivered == 6


# Through TLS.


@given(
    records=st.lists(st.tuples(st.integers(1, 50), st.integers(5, 60)), min_size=1),
    fraction=st.floats(0, 1),
)
def test_through_tls_no_more_is_acknowledged_than_has_arrived(
    records: list[tuple[int, int]], fraction: float
) -> None:
    """Records are of plain bytes and an overhead each; those that arrived whole are known."""
    plain = sum(size for size, _ in records)
    wire = sum(size + overhead for size, overhead in records)
    acked = int(wire * fraction)
    arrived = at = 0
    for size, overhead in records:
        at += size + overhead
        if at > acked:
            break
        arrived += size
    partial = min(plain, arrived + (records[-1][0] if acked < wire else 0) + 50)
    found = through_tls(TcpInfo(True, acked, acked, None), plain, wire)
    assert found.acked <= partial
    assert found.acked <= found.sent <= plain
    if acked == wire:
        assert found == Delivery(plain, plain)


# Probes.


def test_a_probe_is_due_when_something_was_sent() -> None:
    out = said(4, sent=0)
    evidence = Evidence(LIMITS, out)
    assert evidence.due == NEVER
    out.rewind(3)
    assert evidence.due <= 100.0
    assert evidence.probing(100.0) == 3


def test_an_answer_proves_what_was_sent_before_the_probe() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probed(evidence.probing(100.0))
    out.rewind(5)  # meanwhile more is sent
    assert evidence.proven(3)
    assert out.acked == 3
    assert not evidence.proven(3)
    assert out.acked == 3


def test_a_late_answer_proves_no_more_than_its_own_probe_asked_for() -> None:
    out = said(9, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probed(evidence.probing(100.0))
    out.rewind(9)
    evidence.probed(evidence.probing(105.0))
    assert evidence.proven(3)
    assert out.acked == 3
    assert evidence.proven(9)
    assert out.acked == 9


def test_nobody_proves_what_was_not_asked_for() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    assert not evidence.proven(6)
    evidence.probed(evidence.probing(100.0))
    out.rewind(6)
    assert evidence.proven(1 << 50)
    assert out.acked == 3


def test_an_answer_that_proves_nothing_new_says_so() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probed(evidence.probing(100.0))
    out.prove(3)
    assert not evidence.proven(3)


def test_probes_keep_their_distance() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probed(evidence.probing(100.0))
    evidence.proven(3)
    out.rewind(5)
    assert evidence.due == 105.0
    out.prove(5)
    assert evidence.due == NEVER


def test_a_client_that_has_answered_and_misses_two_probes_gets_no_more() -> None:
    out = said(9, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probed(evidence.probing(95.0))
    evidence.proven(3)
    out.rewind(6)
    evidence.probed(evidence.probing(100.0))
    assert evidence.due == 105.0
    evidence.probed(evidence.probing(105.0))
    assert not evidence.probing(110.0)
    assert evidence.due == NEVER
    # Until the answer comes after all.
    evidence.proven(6)
    out.rewind(9)
    assert evidence.probing(115.0) == 9


def test_who_never_answers_is_judged_by_age() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.wrote(3, 30, 100.0)
    evidence.probed(evidence.probing(100.0))
    assert not evidence.ages
    evidence.probed(evidence.probing(105.0))
    assert not evidence.probing(110.0)
    assert evidence.ages
    assert evidence.due == 115.0


def test_who_owes_an_answer_is_not_taken_for_one_that_has_none() -> None:
    out = said(6, sent=3)
    evidence = Evidence(LIMITS, out)
    evidence.probed(evidence.probing(100.0))
    assert evidence.probing(105.0)
    evidence.not_probed()
    assert not evidence.ages
    assert evidence.proven(3)


class Connections(RuleBasedStateMachine):
    """A client that shows whole lines, behind a relay that takes bytes for it; it answers probes.

    The rule: what the log lets go of was shown, or is told to have been let go of by its age.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.out = Outbox(LIMITS)
        self.shown = self.assumed = 0
        self.answered = False
        self.begin()

    def begin(self) -> None:
        self.out.rewind(self.out.base)
        self.evidence = Evidence(LIMITS, self.out)
        self.written = self.out.base
        self.bytes = 0
        self.wire: list[int] = []
        """On the way: outputs, and probes as their negatives."""
        self.answers: list[int] = []

    @rule(count=st.integers(1, 5))
    def say(self, count: int) -> None:
        for _ in range(count):
            self.out.append(Text("x"), MUST, self.now)

    @precondition(lambda self: self.out.top > self.out.sent)
    @rule()
    def write(self) -> None:
        first, items = self.out.take(self.out.top)
        self.bytes += 10 * len(items)
        self.wire += range(first, first + len(items))
        self.evidence.wrote(self.out.sent, self.bytes, self.now)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.evidence.due <= self.now:
            number = self.evidence.probing(self.now)
            if number:
                self.evidence.probed(number)
                self.wire.append(-number)
            self.evidence.age(Delivery(self.bytes, self.bytes), self.now)

    @rule(count=st.integers(1, 9))
    def arrive(self, count: int) -> None:
        for one in self.wire[:count]:
            if one > 0:
                self.shown = max(self.shown, one)
            else:
                self.answers.append(-one)
        del self.wire[:count]

    @rule()
    def answer(self) -> None:
        if self.answers:
            self.answered = True
            self.assumed = self.out.assumed
            self.evidence.proven(self.answers.pop(0))

    @rule()
    def cut(self) -> None:
        """The relay has acknowledged everything."""
        self.evidence.close(Delivery(self.bytes, self.bytes), self.now)
        assert self.out.maybe_delivered >= self.shown
        self.begin()
        self.answered = False

    @invariant()
    def nothing_is_let_go_of_that_was_not_shown(self) -> None:
        assert self.out.acked <= self.shown or self.out.assumed == self.out.acked
        assert not self.answered or self.out.assumed == self.assumed


TestConnections = Connections.TestCase
