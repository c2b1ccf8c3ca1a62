"""Who is in which group, and how many groups one session may be in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.core.errors import LimitExceededError
from holdfast.sessions.groups import Groups


class Member:
    """A session, as far as groups know one."""

    def __init__(self, *groups: str) -> None:
        self.row = SimpleNamespace(groups=groups)
        self.dirty = 0

    def mark_row_dirty(self) -> None:
        self.dirty += 1


def member(*groups: str) -> Any:
    return Member(*groups)


def test_members_stand_in_the_order_in_which_they_joined() -> None:
    groups, one, two = Groups(9), member(), member()
    for it in (two, one, two):
        groups.join(it, "a")
    assert list(groups.members("a")) == [two, one]
    assert list(groups.members("b")) == []
    assert (one.row.groups, one.dirty, two.dirty) == (("a",), 1, 1)
    assert len(groups) == 1


def test_a_session_that_is_loaded_is_in_its_groups() -> None:
    groups, one = Groups(9), member("a", "b")
    groups.add(one)
    assert len(groups) == 2
    assert list(groups.members("b")) == [one]
    assert one.dirty == 0


def test_a_session_leaves_a_group_or_all() -> None:
    groups, one, two = Groups(9), member("a", "b", "c"), member("a")
    groups.add(one)
    groups.add(two)
    groups.leave(one, "b")
    assert (one.row.groups, one.dirty) == (("a", "c"), 1)
    groups.leave(one, "b")
    assert one.dirty == 1, "it was not there any more"
    groups.forget(one)
    assert one.row.groups == ()
    assert list(groups.members("a")) == [two]
    assert len(groups) == 1


def test_a_session_is_in_so_many_groups_and_no_more() -> None:
    groups, one = Groups(2), member()
    groups.join(one, "a")
    groups.join(one, "b")
    groups.join(one, "b")
    with pytest.raises(LimitExceededError, match="is in 2 groups; it cannot join 'c'"):
        groups.join(one, "c")
    assert one.row.groups == ("a", "b")
    groups.leave(one, "a")
    groups.join(one, "c")
    assert one.row.groups == ("b", "c")


def test_a_session_that_another_node_has_keeps_its_groups() -> None:
    groups, one, two = Groups(9), member("a", "b"), member("a")
    groups.add(one)
    groups.add(two)
    groups.drop(one)
    assert (one.row.groups, one.dirty) == (("a", "b"), 0)
    assert list(groups.members("a")) == [two]
    assert len(groups) == 1
