"""Stored sessions that nobody has used yet: how many there are, and what finds them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.sessions.test_manager import RecordingBackend

from holdfast.sessions.dormant import DETACHED, DormantSession, DormantSessions
from holdfast.sessions.states import SessionState

HERE: Any = RecordingBackend()
THERE: Any = RecordingBackend()


def dormant(
    sid: str,
    state: SessionState = SessionState.DETACHED_ACTIVE,
    backend: Any = HERE,
) -> DormantSession:
    return DormantSession(
        sid, "app", backend, state, "", "", "telnet", 0.0, False, b"", b"", "", False, ""
    )


def test_sessions_are_counted_by_their_states() -> None:
    sessions = DormantSessions()
    active = [dormant("a"), dormant("b"), dormant("c")]
    for each in (*active, dormant("d", SessionState.DETACHED_SELECTING)):
        sessions.add(each)
    assert len(sessions) == 4
    assert sessions.states == {
        SessionState.DETACHED_ACTIVE: 3,
        SessionState.DETACHED_SELECTING: 1,
    }
    assert sessions.pop("b") is active[1]
    assert sessions.pop("b") is None
    assert sessions.states[SessionState.DETACHED_ACTIVE] == 2
    assert ("a" in sessions, "b" in sessions) == (True, False)
    assert (sessions.get("a"), sessions.get("b")) == (active[0], None)


def test_sessions_are_found_by_their_backend() -> None:
    sessions = DormantSessions()
    one, two = dormant("a"), dormant("b", backend=THERE)
    sessions.add(one)
    sessions.add(two)
    assert list(sessions) == [one, two]
    assert list(sessions.of(THERE)) == [two]


@pytest.mark.parametrize(
    ("state", "read"),
    [
        (SessionState.ACTIVE, SessionState.DETACHED_ACTIVE),
        (SessionState.DETACHED_ACTIVE, SessionState.DETACHED_ACTIVE),
        (SessionState.CONNECTING, SessionState.CLOSED),
        (SessionState.CLOSED, SessionState.CLOSED),
    ],
)
def test_no_client_of_a_stored_session_is_there(state: SessionState, read: SessionState) -> None:
    assert DETACHED[state.value] is read
