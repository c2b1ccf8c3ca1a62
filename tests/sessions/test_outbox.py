from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.items import LATEST_PROMPT, MUST, VOLATILE, Prompt, Text, size_of
from holdfast.core.limits import SessionLimits
from holdfast.sessions.outbox import AckError, Outbox, shared

LIMITS = SessionLimits(window_messages_max=4, window_bytes_max=1_000)


def box(count: int = 0, *, sent: int | None = None) -> Outbox:
    out = Outbox(LIMITS)
    for number in range(1, count + 1):
        out.append(Text(f"o{number}"), MUST, float(number))
    if sent is not None:
        out.rewind(sent)
    return out


def texts(items: object) -> list[str | None]:
    return [item.text if item is not None else None for item in items]  # type: ignore[attr-defined]


def test_outputs_are_numbered_from_1_and_taken_in_order_once() -> None:
    out = box(3)
    assert out.top == 3
    first, items = out.take(2)
    assert (first, texts(items)) == (1, ["o1", "o2"])
    first, items = out.take(3)
    assert (first, texts(items)) == (3, ["o3"])
    assert out.sent == 3


def test_the_entries_after_a_number_also_once_the_oldest_are_acknowledged() -> None:
    out = box(4, sent=4)
    assert [texts([entry.item for entry in out.since(number)]) for number in (0, 3)] == [
        ["o1", "o2", "o3", "o4"],
        ["o4"],
    ]
    out.skip_to(2)
    assert [texts([entry.item for entry in out.since(number)]) for number in (1, 2, 3, 4)] == [
        ["o3", "o4"],
        ["o3", "o4"],
        ["o4"],
        [],
    ]


def test_of_what_is_said_to_many_only_the_latest_of_a_key_takes_another_s_place() -> None:
    out = box()
    said = (("one", MUST), ("two", MUST), ("3:0", "latest:score"), ("3:1", "latest:score"))
    for text, delivery in said:
        entry = shared(Text(text), delivery, 1.0)
        assert entry is not None
        out.add(entry)
    assert texts(out.take(4)[1]) == ["one", "two", None, "3:1"]
    assert shared(Text("now"), VOLATILE, 1.0) is None


def test_an_ack_trims_and_is_cumulative() -> None:
    out = box(3)
    out.take(3)
    out.ack(2)
    assert (out.acked, out.base, out.top) == (2, 2, 3)
    out.ack(1)
    assert (out.acked, out.base) == (2, 2)


def test_an_ack_beyond_what_was_sent_is_an_error_and_changes_nothing() -> None:
    out = box(3)
    out.take(2)
    with pytest.raises(AckError, match="acknowledged 3; the last one sent was 2"):
        out.ack(3)
    assert (out.acked, out.base) == (0, 0)


def test_what_was_sent_leaves_a_full_window_and_what_was_not_stays() -> None:
    out = box(6, sent=1)
    assert out.crowded()
    out.shrink(out.sent)
    assert (out.base, out.top) == (1, 6)
    assert out.crowded()
    out.rewind(6)
    out.shrink(out.sent)
    assert (out.base, out.top) == (2, 6)
    assert not out.crowded()
    assert out.lost == 2


def test_the_window_is_bounded_in_bytes_too() -> None:
    out = box()
    for _ in range(3):
        out.append(Text("x" * 400), MUST, 0.0)
    out.rewind(3)
    assert out.crowded()
    out.shrink(3)
    assert out.base == 1
    assert out.size == sum(size_of(entry.item) for entry in out.entries) <= 1_000


@pytest.mark.parametrize(("text", "kept"), [(900, 1), (1_001, 0)])
def test_the_newest_output_stays_if_it_fits_alone(text: int, kept: int) -> None:
    out = box()
    for _ in range(2):
        out.append(Text("x" * text), MUST, 0.0)
    out.rewind(2)
    assert out.crowded()
    out.shrink(2)
    assert len(out.entries) == kept


def test_a_client_that_comes_back_is_sent_again_what_it_lacks() -> None:
    out = box(4)
    out.take(4)
    out.rewind(2)
    assert texts(out.take(4)[1]) == ["o3", "o4"]


def test_of_one_key_only_the_newest_is_sent_and_the_gap_is_shown() -> None:
    out = box()
    out.append(Prompt("1> "), LATEST_PROMPT, 0.0)
    out.append(Text("a"), MUST, 0.0)
    out.append(Prompt("2> "), LATEST_PROMPT, 0.0)
    assert texts(out.take(3)[1]) == [None, "a", "2> "]
    out.append(Prompt("3> "), LATEST_PROMPT, 0.0)
    out.rewind(0)
    assert texts(out.take(4)[1]) == [None, "a", None, "3> "]


def test_a_key_whose_newest_was_acknowledged_is_forgotten() -> None:
    out = box()
    out.append(Prompt("1> "), LATEST_PROMPT, 0.0)
    out.take(1)
    out.ack(1)
    out.append(Prompt("2> "), LATEST_PROMPT, 0.0)
    assert texts(out.take(2)[1]) == ["2> "]


def test_age_trims_the_oldest() -> None:
    out = box(4)
    out.trim_older(3.0)
    assert (out.base, out.top) == (2, 4)


def test_what_left_the_window_is_lost_or_may_have_been_seen() -> None:
    out = box(10, sent=8)
    out.prove(2)
    out.maybe_delivered = 5
    out.skip_to(8)
    assert (out.unsure, out.lost) == (3, 3)
    out.prove(8)
    assert (out.unsure, out.lost) == (0, 0)


def test_proof_without_an_ack_trims_like_one() -> None:
    out = box(3)
    out.take(3)
    out.prove(2)
    assert (out.acked, out.base) == (2, 2)


operations = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 500)),
        st.tuples(st.just("take"), st.integers(0, 10)),
        st.tuples(st.just("ack"), st.integers(0, 10)),
        st.tuples(st.just("rewind"), st.integers(0, 10)),
        st.tuples(st.just("shrink"), st.just(0)),
    ),
    max_size=60,
)


@given(operations)
def test_numbers_stay_contiguous_and_the_size_is_the_sum(steps: list[tuple[str, int]]) -> None:
    out = Outbox(LIMITS)
    said: list[str] = []
    for name, amount in steps:
        match name:
            case "append":
                said.append(f"{len(said) + 1:>{amount}}")
                out.append(Text(said[-1]), MUST, 0.0)
            case "take":
                limit = min(out.top, out.sent + amount)
                first, items = out.take(limit)
                assert texts(items) == said[first - 1 : limit]
            case "ack":
                out.ack(max(0, out.sent - amount))
            case "rewind":
                out.rewind(max(out.base, out.top - amount))
            case _:
                out.shrink(out.sent)
        assert out.size == sum(entry.size for entry in out.entries)
        assert out.top == len(said)
        assert out.acked <= out.base <= out.sent <= out.top or out.sent < out.base
        assert [entry.item.text for entry in out.entries] == said[out.base :]  # type: ignore[union-attr]
        assert all(a.time <= b.time for a, b in pairwise(out.entries))
