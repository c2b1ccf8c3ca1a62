"""The pure parts of the backend `http`: signatures, outcomes, notes, and the order of events."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sessions.test_port import Setting

from holdfast.backends.http import signature
from holdfast.backends.http.bodies import _events, read_answer, read_error
from holdfast.backends.http.delivery import Delivery, Request
from holdfast.backends.http.notes import (
    CLOSED,
    DETACHED,
    OPENED,
    RESUMED,
    RESYNC,
    Notes,
    StateEvent,
    read_notes,
    write_notes,
)
from holdfast.backends.http.outcome import Outcome, outcome_of, retry_seconds
from holdfast.backends.http.requester import Reply
from holdfast.backends.http.signature import sign, verify
from holdfast.core.items import Text
from holdfast.core.limits import HttpLimits, SessionLimits
from holdfast.core.validation import UnsendableError
from holdfast.sessions.inbox import Queued

OLD, NEW, OTHER = b"an old secret of 24 bytes", b"a new secret of 24 bytes", b"x" * 24


def test_a_signature_is_verified_with_one_of_the_secrets_and_in_its_time() -> None:
    header = sign([NEW, OLD], 1_000, b"body")
    assert header.startswith("t=1000,v1=")
    for secrets in ([NEW], [OLD], [OTHER, OLD]):
        assert verify(secrets, header, b"body", 1_299.0)
    assert not verify([OTHER], header, b"body", 1_000.0)
    assert not verify([NEW], header, b"bodY", 1_000.0)
    assert not verify([NEW], header, b"body", 1_301.0)
    assert not verify([NEW], header, b"body", 699.0)
    assert not verify([NEW], header.replace("t=1000", "t=1001"), b"body", 1_000.0)
    for bad in (
        "",
        "t=1000",
        "v1=00",
        "t=,v1=",
        "t=-1,v1=00",
        "t=1000,t=1000,v1=00",
        "t=1000,v1=é",
    ):
        assert not verify([NEW], bad, b"body", 1_000.0)


def test_a_header_of_many_signatures_costs_no_more_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: list[int] = []
    whole = signature._hex

    def counts(secret: bytes, time: int, body: bytes) -> str:
        counted.append(1)
        return whole(secret, time, body)

    monkeypatch.setattr(signature, "_hex", counts)
    assert not verify([NEW, OLD], "t=1000" + ",v1=00" * 1_000, b"body", 1_000.0)
    assert len(counted) == 2


def test_the_signature_that_the_page_shows() -> None:
    assert sign([b"0123456789abcdef"], 1_700_000_000, b"{}") == (
        "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e"
    )


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((200, 201, 202, 204, 299), Outcome.APPLIED),
        ((400, 401, 403, 404, 409, 410, 413, 422, 451), Outcome.REFUSED),
        ((408, 425, 429, 500, 502, 503, 504, 599, 301, 302, 307, 308, 304, 100), Outcome.LATER),
    ],
)
def test_what_a_status_means(statuses: tuple[int, ...], outcome: Outcome) -> None:
    assert [outcome_of(Reply(status, b"")) for status in statuses] == [outcome] * len(statuses)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", 0.0),
        ("120", 120.0),
        ("9" * 50, 999_999_999.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_how_long_an_application_asks_to_wait(value: str, seconds: float) -> None:
    assert retry_seconds(value, 1_000.0) == seconds


BAD_ANSWERS = {
    b"[]": "Expected `object`",
    b"{": "truncated",
    b"<html>": "malformed",
    b'{"itmes": []}': "itmes",
    b'{"items": [1]}': "Expected `str \\| object`|Expected",
    b'{"items": ["a", {"text": "b", "notice": "c"}]}': "expected no notice beside text",
    b'{"items": [{"text": "b", "delivery": "soon"}]}': "delivery: expected must",
    b'{"items": ["a", "b", "c", "d"]}': "items: expected at most 3, found 4",
    b'{"identify": "%s"}' % (b"x" * 300): "identify: expected at most 256 bytes",
    b'{"join": ["%s"]}' % (b"x" * 300): "group: expected at most 256 bytes",
    b'{"store": "%s"}' % (b"x" * 9000): "store: expected at most 8192 bytes",
    b'{"input_mode": "loud"}': "input_mode: expected one of",
    b'{"close": "because"}': "close: expected one of",
    b"[" * 10_000: "object|recursion",
    b"\xff\xfe": "malformed|invalid",
}


@pytest.mark.parametrize("body", BAD_ANSWERS, ids=lambda body: body[:20].decode("latin-1"))
def test_an_answer_that_cannot_be_carried_out_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(UnsendableError, match=BAD_ANSWERS[body]):
        read_answer(body, SessionLimits(), HttpLimits(items_max=3))


def test_an_answer_is_read() -> None:
    assert read_answer(b" \n", SessionLimits(), HttpLimits()).outputs == ()
    found = read_answer(
        b'{"items": ["a", {"prompt": ">"}, {"text": "b", "delivery": "latest:x"}], "store": [1]}',
        SessionLimits(),
        HttpLimits(),
    )
    assert [delivery for _, delivery in found.outputs] == ["must", "latest:prompt", "latest:x"]
    assert bytes(found.answer.store) == b"[1]"
    assert read_error(b'{"error": "no such room"}') == "no such room"
    assert read_error(b'{"error": 1}') == read_error(b"<html>") == read_error(b"[]") == ""
    assert len(read_error(b'{"error": "%s"}' % (b"x" * 9000))) == 500


def test_a_client_that_comes_and_goes_while_nothing_is_sent_is_told_of_once() -> None:
    notes = Notes().add(OPENED, 0)
    for _ in range(100):
        notes = notes.add(DETACHED, 0, "timeout").add(RESUMED, 0)
    assert len(notes.pending) <= 16
    kinds = [event.kind for event in notes.pending]
    assert kinds[0] == OPENED
    assert all(one != other for one, other in itertools.pairwise(kinds))
    assert notes.attached
    numbers = [event.number for event in notes.pending]
    assert numbers == sorted(set(numbers))
    assert notes.number == 201


def test_what_may_have_been_missed_is_told_of_all_the_same() -> None:
    notes = Notes().add(OPENED, 0)
    while len(notes.pending) < 15:
        notes = notes.add(DETACHED, 0).add(RESUMED, 0)
    notes = notes.add(DETACHED, 0)
    assert len(notes.pending) == 16
    notes = notes.confirm(notes.pending[:2]).add(RESYNC, 0, "trimmed").add(DETACHED, 0)
    notes = notes.add(RESUMED, 0)
    assert (notes.pending[-1].kind, notes.pending[-1].reason) == (RESYNC, "trimmed")
    assert read_notes(write_notes(notes)) == notes
    assert not notes.add(CLOSED, 0).attached


def test_what_was_missed_is_told_of_when_the_client_is_back_although_it_went_again() -> None:
    notes = Notes().add(OPENED, 0)
    for _ in range(7):
        notes = notes.add(DETACHED, 0).add(RESUMED, 0)
    notes = notes.confirm(notes.pending[:1]).add(DETACHED, 0).add(RESYNC, 0, "epoch")
    assert len(notes.pending) == 16
    notes = notes.add(DETACHED, 0)
    notes = read_notes(write_notes(notes)).add(RESUMED, 0)
    assert (notes.pending[-1].kind, notes.pending[-1].reason) == (RESYNC, "epoch")
    notes = notes.confirm(notes.pending).add(DETACHED, 0).add(RESUMED, 0)
    assert notes.pending[-1].kind == RESUMED  # it is told of once


CHANGES = st.lists(
    st.one_of(
        st.just((DETACHED, "timeout")),
        st.just((RESUMED, "")),
        st.tuples(st.just(RESYNC), st.sampled_from(["epoch", "trimmed", "ahead"])),
        st.integers(1, 3),  # so many of the oldest are confirmed
    ),
    max_size=40,
)


@given(st.integers(0, 15), CHANGES)
def test_an_application_knows_where_a_client_stands_whatever_is_left_out(
    before: int, changes: list[tuple[str, str] | int]
) -> None:
    """Whether the client is there, and the newest output that it may have missed and why."""
    notes = Notes().add(OPENED, 0)
    for number in range(before):
        notes = notes.add(RESUMED if number % 2 else DETACHED, 0)
    happened, told = list(notes.pending), list[StateEvent]()
    for change in (*changes, (RESUMED, "")):
        if isinstance(change, int):
            told += notes.pending[:change]
            notes = read_notes(write_notes(notes.confirm(notes.pending[:change])))
        else:
            notes = notes.add(change[0], 0, change[1])
            happened.append(StateEvent(notes.number, 0, *change))
        known = [*told, *notes.pending]
        assert len(notes.pending) <= 16
        assert known[0].kind == OPENED
        assert known[-1].number == notes.number == len(happened)
        here = happened[-1].kind != DETACHED
        assert here is notes.attached is (known[-1].kind != DETACHED)
        if here:
            assert newest_missed(known) == newest_missed(happened)
        resyncs = [event for event in known if event.kind == RESYNC]
        assert len(resyncs) <= sum(event.kind == RESYNC for event in happened)


def newest_missed(events: list[StateEvent]) -> str:
    """Why the client was shown everything anew, the last time."""
    return next((event.reason for event in reversed(events) if event.kind == RESYNC), "")


STEPS = st.lists(st.sampled_from(["type", "leave", "come", "send", "fail", "refuse"]), max_size=60)


@given(STEPS, st.integers(1, 5))
def test_events_are_sent_once_and_in_the_order_in_which_they_came(
    steps: list[str], events_max: int
) -> None:
    """Requests fail, are refused and split; the application sees each event once, in order."""
    delivery = Delivery(Setting().session(), Notes().add(OPENED, 0))
    cseq, came, seen, number = 0, ["e1"], list[str](), 1
    attached = True

    def send(result: str) -> None:
        if not delivery.due:
            return
        request = delivery.next(events_max, 1_000_000)
        assert 0 < request.length <= events_max
        again = delivery.next(events_max, 1_000_000)
        assert again is request  # what failed is sent again as it was
        if result == "fail" or (result == "refuse" and delivery.split()):
            return
        seen.extend(in_order(request))
        delivery.confirm()

    for step in steps:
        if step == "type":
            cseq += 1
            delivery.take([Queued(cseq, Text("x"), 33)])
            came.append(f"n{cseq}")
        elif step in ("leave", "come") and attached is (step == "leave"):
            attached = not attached
            if len(delivery.notes.pending) < 16:  # beyond, some are left out
                number += 1
                kind = RESUMED if attached else DETACHED
                delivery.notes = delivery.notes.add(kind, cseq)
                came.append(f"e{number}")
        elif step in ("send", "fail", "refuse"):
            send(step)
    while delivery.due:
        send("send")
    assert seen == came


def test_an_event_that_is_sent_alone_has_another_key_than_the_request_that_was_refused() -> None:
    delivery = Delivery(Setting().session(), Notes())
    delivery.take([Queued(1, Text("x"), 33), Queued(2, Text("y"), 33)])
    keys = [delivery.next(9, 9_000).key("sid", 0)]
    assert delivery.split()
    delivery.notes = delivery.notes.add(DETACHED, 2)
    while delivery.due:
        keys.append(delivery.next(9, 9_000).key("sid", 2))
        delivery.confirm()
    assert keys == ["sid:2", "sid:1:alone", "sid:2:alone", "sid:2.1"]


def in_order(request: Request) -> list[str]:
    """The events of a request as its body has them."""
    events = _events(request.states, request.commands)
    return [f"n{event['n']}" if "n" in event else f"e{event['e']}" for event in events]
