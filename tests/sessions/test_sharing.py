"""What several records of one commit hold is stored once."""

from __future__ import annotations

from holdfast.core.items import Text
from holdfast.sessions.inbox import Queued
from holdfast.sessions.outbox import OutputEntry, SharedEntry
from holdfast.sessions.records import Record
from holdfast.sessions.sharing import Sharing, size_of_record


def shared(text: str) -> SharedEntry:
    return SharedEntry(Text(text), 1.5, "", 32 + len(text))


def test_an_entry_of_many_stands_once_and_each_has_its_place() -> None:
    sharing = Sharing()
    own, first, second = OutputEntry(Text("own"), 1.5, "", 35), shared("a"), shared("bb")
    assert sharing.share([own, first]) == [own, 0]
    assert sharing.share([second, first, second]) == [1, 0, 1]
    assert sharing.share([own]) == [own]
    assert sharing.entries == [first, second]
    assert sharing.size == 33 + 34


def test_equal_entries_of_two_outputs_are_two() -> None:
    sharing = Sharing()
    assert sharing.share([shared("a"), shared("a")]) == [0, 1]
    assert len(sharing.entries) == 2


def test_places_that_stand_already_stay() -> None:
    assert Sharing().share([4, 0]) == [4, 0]


def test_a_record_counts_for_what_only_it_holds() -> None:
    def record(outs: list[OutputEntry | int], ins: list[Queued]) -> Record:
        return Record(1, outs, ins, 0, 0, 0, 0, 0, 0, 0)

    assert size_of_record(record([], [])) == 0
    assert size_of_record(record([OutputEntry(Text("own"), 1.5, "", 35)], [])) == 35
    assert size_of_record(record([OutputEntry(Text("own"), 1.5, "", 35), 0, 1], [])) == 41
    assert size_of_record(record([], [Queued(1, Text("x"), 33), Queued(2, Text("xy"), 34)])) == 67
