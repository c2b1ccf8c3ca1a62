from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.items import Command, Text
from holdfast.core.limits import SessionLimits
from holdfast.sessions.inbox import UNCLEAN_JUMP, Inbox, Verdict

LIMITS = SessionLimits(queue_messages_max=4, queue_bytes_max=1_000)


def box() -> Inbox:
    return Inbox(LIMITS)


def taken(inbox: Inbox) -> list[tuple[int, Command]]:
    return [(queued.cseq, queued.item) for queued in inbox.take()]


def test_a_numbered_client_s_commands_are_taken_once_and_in_order() -> None:
    inbox = box()
    verdicts = [inbox.accept_numbered(c, Text(f"c{c}")) for c in (1, 2, 2, 1, 4, 3)]
    assert verdicts == [
        Verdict.ACCEPTED,
        Verdict.ACCEPTED,
        Verdict.REPEATED,
        Verdict.REPEATED,
        Verdict.GAP,
        Verdict.ACCEPTED,
    ]
    assert taken(inbox) == [(1, Text("c1")), (2, Text("c2")), (3, Text("c3"))]
    assert taken(inbox) == []


def test_our_own_numbers_and_the_client_s_do_not_meet() -> None:
    inbox = box()
    inbox.accept_numbered(1, Text("browser"))
    inbox.accept(Text("telnet"))
    inbox.accept_numbered(2, Text("browser again"))
    assert [cseq for cseq, _ in taken(inbox)] == [1, 2, 3]
    assert (inbox.cin, inbox.offset) == (2, 1)


def test_a_full_queue_takes_nothing_and_loses_nothing() -> None:
    inbox = box()
    for c in range(1, 5):
        inbox.accept_numbered(c, Text("x"))
    assert inbox.is_full()
    assert inbox.accept_numbered(5, Text("x")) is Verdict.FULL
    assert inbox.accept(Text("x")) is Verdict.FULL
    assert (inbox.cin, inbox.top) == (4, 4)
    inbox.apply(1)
    assert inbox.accept_numbered(5, Text("x")) is Verdict.ACCEPTED


def test_the_queue_is_bounded_in_bytes_too() -> None:
    inbox = box()
    inbox.accept(Text("x" * 2_000))
    assert inbox.accept(Text("x")) is Verdict.FULL


def test_what_is_applied_leaves_the_queue_and_frees_its_bytes() -> None:
    inbox = box()
    for number in range(3):
        inbox.accept(Text("x" * number))
    size = inbox.size
    inbox.take()
    freed = inbox.apply(2)
    assert freed > 0
    assert inbox.size == size - freed
    assert inbox.apply(2) == inbox.apply(1) == 0
    assert [queued.cseq for queued in inbox.entries] == [3]


def test_a_text_of_too_many_lines_is_refused_and_its_number_used_up() -> None:
    inbox = Inbox(SessionLimits(command_lines_max=2))
    assert inbox.accept(Text("a\nb\n")) is Verdict.ACCEPTED
    assert inbox.accept(Text("a\rb\r\nc")) is Verdict.REFUSED
    assert inbox.accept_numbered(1, Text("a\nb\nc")) is Verdict.REFUSED
    assert inbox.accept_numbered(1, Text("a\nb\nc")) is Verdict.REPEATED
    assert inbox.accept_numbered(2, Text("a\nb")) is Verdict.ACCEPTED
    assert taken(inbox) == [(1, Text("a\nb\n")), (3, Text("a\nb"))]


def test_what_is_typed_hidden_is_never_stored() -> None:
    inbox = box()
    inbox.accept(Text("name"))
    inbox.accept(Text("password"))
    inbox.hide(numbered=False)
    inbox.accept(Text("look"))
    assert [queued.item for queued in inbox.since(0)] == [Text("name"), Text("look")]
    assert inbox.kept() == (0, 3), "its number is used up"
    assert [cseq for cseq, _ in taken(inbox)] == [1, 2, 3]


def test_a_client_that_numbers_keeps_a_hidden_command_until_it_is_applied() -> None:
    inbox = box()
    for c, text in enumerate(("name", "password", "look"), 1):
        inbox.accept_numbered(c, Text(text))
        if text == "password":
            inbox.hide(numbered=True)
    assert [queued.item for queued in inbox.since(0)] == [Text("name")]
    assert inbox.kept() == (1, 0)
    inbox.apply(1)
    assert inbox.kept() == (1, 0)
    inbox.apply(2)
    assert inbox.kept() == (3, 0)
    assert [queued.item for queued in inbox.since(1)] == [Text("look")]


def test_another_backend_is_given_what_was_not_applied() -> None:
    inbox = box()
    for _ in range(3):
        inbox.accept(Text("x"))
    inbox.take()
    inbox.apply(1)
    inbox.rewind()
    assert [cseq for cseq, _ in taken(inbox)] == [2, 3]


def test_a_command_that_a_backend_applied_in_our_absence_is_not_given_again() -> None:
    inbox = box()
    inbox.apply(2)
    assert inbox.accept_numbered(1, Text("a")) is Verdict.ACCEPTED
    assert inbox.accept_numbered(2, Text("b")) is Verdict.ACCEPTED
    assert inbox.accept_numbered(3, Text("c")) is Verdict.ACCEPTED
    assert taken(inbox) == [(3, Text("c"))]


def test_what_nobody_sends_again_is_given_though_the_backend_is_ahead() -> None:
    """A store that went back in time: the numbers up to the backend's are used up."""
    inbox = box()
    inbox.accept_numbered(1, Text("a"))
    inbox.apply(900)
    assert inbox.accept(Text("b")) is Verdict.ACCEPTED
    assert inbox.accept(Text("c")) is Verdict.ACCEPTED
    assert taken(inbox) == [(901, Text("b")), (902, Text("c"))]


def test_after_an_unclean_stop_our_own_numbers_are_new() -> None:
    inbox = box()
    inbox.accept(Text("a"))
    inbox.jump()
    inbox.accept(Text("b"))
    assert [queued.cseq for queued in inbox.entries] == [1, 2 + UNCLEAN_JUMP]


@pytest.mark.parametrize(
    ("bytes_max", "applied", "expected"),
    [
        (1, 0, [1]),  # the first is taken, however little may be under way
        (34, 0, [1, 2]),
        (34, 1, [2, 3]),
        (67, 0, [1, 2, 3]),
        (1_000, 0, [1, 2, 3]),  # the session's own limit
    ],
)
def test_so_much_is_under_way_and_no_more(
    bytes_max: int, applied: int, expected: list[int]
) -> None:
    inbox = Inbox(SessionLimits(forwarded_bytes_max=80))
    for _ in range(4):
        inbox.accept(Text("x"))
    inbox.apply(applied)
    assert [queued.cseq for queued in inbox.take_within(bytes_max)] == expected
    assert inbox.waiting
    assert inbox.take_within(bytes_max) == []
    assert inbox.apply(expected[0]) == 33
    assert [queued.cseq for queued in inbox.take()] == list(range(expected[-1] + 1, 5))
    assert not inbox.waiting


@given(
    st.lists(
        st.sampled_from(["own", "client", "apply", "take", "take some", "rewind"]), max_size=60
    )
)
def test_numbers_only_grow_and_nothing_is_forwarded_twice(steps: list[str]) -> None:
    inbox = box()
    forwarded: list[int] = []
    for step in steps:
        match step:
            case "own":
                inbox.accept(Text("x"))
            case "client":
                inbox.accept_numbered(inbox.cin + 1, Text("x"))
            case "apply":
                inbox.apply(inbox.applied + 1 if inbox.applied < inbox.top else inbox.applied)
            case "take":
                forwarded += [queued.cseq for queued in inbox.take()]
            case "take some":
                forwarded += [queued.cseq for queued in inbox.take_within(40)]
            case _:
                inbox.rewind()
                forwarded = [cseq for cseq in forwarded if cseq <= inbox.applied]
        numbers = [queued.cseq for queued in inbox.entries]
        assert numbers == sorted(set(numbers))
        assert all(cseq > inbox.applied for cseq in numbers)
        assert forwarded == sorted(set(forwarded))
        assert inbox.size == sum(queued.size for queued in inbox.entries)
        under_way = [queued.size for queued in inbox.entries if queued.cseq in forwarded]
        assert inbox.forwarded_bytes == sum(under_way)
        assert inbox.waiting == (len(under_way) < len(inbox.entries))


@pytest.mark.parametrize("applied", [0, 1, 5])
def test_applying_ahead_of_the_queue_is_remembered(applied: int) -> None:
    inbox = box()
    inbox.apply(applied)
    assert inbox.applied == applied


def test_commands_that_a_backend_applied_are_not_stored_again() -> None:
    inbox = box()
    for c in range(1, 5):
        inbox.accept_numbered(c, Text("x" * c))
    assert [entry.cseq for entry in inbox.since(2)] == [3, 4]
    assert [entry.cseq for entry in inbox.since(4)] == []
    whole = inbox.size
    sizes = [entry.size for entry in inbox.entries]
    inbox.apply(3)
    assert inbox.size == whole - sum(sizes[:3]) == sizes[3]


def test_an_unclean_stop_leaves_more_numbers_unused_than_a_run_takes_between_commits() -> None:
    inbox = box()
    inbox.accept(Text("x"))
    inbox.jump()
    inbox.accept(Text("y"))
    first, second = (cseq for cseq, _ in taken(inbox))
    assert second - first > 1_000_000
