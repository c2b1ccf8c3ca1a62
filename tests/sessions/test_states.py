"""The table of a session's life, as sessions.md writes it."""

from __future__ import annotations

from itertools import product

import pytest

from holdfast.sessions.states import TABLE, SessionInput, SessionState

S, I = SessionState, SessionInput  # noqa: E741

WRITTEN = {
    (S.CONNECTING, I.NEGOTIATED): S.AUTHENTICATING,
    (S.CONNECTING, I.DROPPED): S.CLOSED,
    (S.AUTHENTICATING, I.AUTHENTICATED): S.SELECTING,
    (S.AUTHENTICATING, I.DROPPED): S.CLOSED,
    (S.SELECTING, I.SELECTED): S.ACTIVE,
    (S.SELECTING, I.DROPPED): S.DETACHED_SELECTING,
    (S.SELECTING, I.RESUMED): S.SELECTING,
    (S.ACTIVE, I.DESELECTED): S.SELECTING,
    (S.ACTIVE, I.DROPPED): S.DETACHED_ACTIVE,
    (S.ACTIVE, I.RESUMED): S.ACTIVE,
    (S.DETACHED_SELECTING, I.RESUMED): S.SELECTING,
    (S.DETACHED_ACTIVE, I.RESUMED): S.ACTIVE,
    (S.DETACHED_ACTIVE, I.DESELECTED): S.DETACHED_SELECTING,
    (S.CLOSED, I.DROPPED): S.CLOSED,
    **{(state, I.CLOSED): S.CLOSED for state in S},
}


@pytest.mark.parametrize(("state", "given"), list(product(S, I)))
def test_the_table_is_total_and_allows_what_is_written_and_nothing_else(
    state: SessionState, given: SessionInput
) -> None:
    allowed = TABLE.allows(state, given)
    assert allowed is ((state, given) in WRITTEN)
    if allowed:
        assert TABLE.step(state, given).state is WRITTEN[state, given]


def test_only_a_session_that_got_as_far_as_a_choice_waits_for_its_client() -> None:
    assert [state for state in S if state.detached] == [S.DETACHED_SELECTING, S.DETACHED_ACTIVE]
