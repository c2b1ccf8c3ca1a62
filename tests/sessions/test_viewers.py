"""Invitations and viewers of a session, without a network."""

from __future__ import annotations

import random

import pytest
from tests.sessions.test_manager import RecordingConsumer, Setting

from holdfast.core.errors import LimitExceededError, Reason
from holdfast.core.items import LATEST, MUST, Binary, Text
from holdfast.core.limits import SessionLimits
from holdfast.sessions.outbox import Outbox
from holdfast.sessions.ring import Ring
from holdfast.sessions.tokens import join_token, split_token
from holdfast.sessions.viewers import InvitationView, Viewers


class RecordingViewer:
    address = "192.0.2.7:1234"

    def __init__(self) -> None:
        self.delivered = self.resized = 0
        self.closed: list[tuple[Reason, str]] = []
        self.failed: list[Exception] = []

    def deliver(self) -> None:
        self.delivered += 1

    def resize(self) -> None:
        self.resized += 1

    def close(self, reason: Reason, text: str) -> None:
        self.closed.append((reason, text))

    def fail(self, error: Exception) -> None:
        self.failed.append(error)


def test_an_invitation_is_good_for_its_time_and_until_it_is_revoked() -> None:
    viewers = Viewers(SessionLimits(invitation_seconds_max=100.0), lambda: None)
    first, secret = viewers.invite(10.0, 0.0)
    second, other = viewers.invite(1e9, 0.0)
    assert viewers.find(secret, 9.9) is first
    assert viewers.find(secret, 10.0) is None
    assert viewers.find(other, 99.9) is second, "a limit is the most"
    assert viewers.find(b"another", 0.0) is None
    assert viewers.revoke(second.id)
    assert viewers.find(other, 0.0) is None
    assert not viewers.revoke(second.id)


def test_who_watches_is_told_with_each_change() -> None:
    told: list[list[list[str]]] = []
    viewers = Viewers(SessionLimits(), lambda: told.append([it.viewers for it in views()]))

    def views() -> list[InvitationView]:
        return list(viewers.views(0.0))

    invitation, _ = viewers.invite(10.0, 0.0)
    one = RecordingViewer()
    viewers.add(invitation, one)
    viewers.remove(invitation, one)
    viewers.remove(invitation, one)
    assert told == [[[]], [["192.0.2.7:1234"]], [[]]]


def test_a_viewer_that_fails_fails_alone() -> None:
    class Failing(RecordingViewer):
        def deliver(self) -> None:
            raise RuntimeError("broken")

    viewers = Viewers(SessionLimits(), lambda: None)
    invitation, _ = viewers.invite(10.0, 0.0)
    broken, other = Failing(), RecordingViewer()
    viewers.add(invitation, broken)
    viewers.add(invitation, other)
    viewers.deliver()
    assert len(broken.failed) == 1
    assert other.delivered == 1


def test_how_many_there_may_be() -> None:
    viewers = Viewers(SessionLimits(invitations_max=1, viewers_max=1), lambda: None)
    invitation, _ = viewers.invite(10.0, 0.0)
    with pytest.raises(LimitExceededError, match="1 invitations, and no more"):
        viewers.invite(10.0, 5.0)
    viewers.add(invitation, RecordingViewer())
    with pytest.raises(LimitExceededError, match="too many viewers"):
        viewers.add(invitation, RecordingViewer())
    with pytest.raises(LimitExceededError):
        viewers.invite(10.0, 20.0)  # whoever watches by an expired one is still there
    viewers.remove(invitation, next(iter(viewers)))
    viewers.invite(10.0, 20.0)


def watched() -> tuple[Setting, RecordingConsumer, RecordingViewer, str]:
    setting = Setting()
    session, consumer = setting.active()
    invitation, token = setting.manager.invitations.invite(session, 60.0, 0.0)
    viewer = RecordingViewer()
    assert session.viewers is not None
    session.viewers.add(invitation, viewer)
    return setting, consumer, viewer, token


def tick(setting: Setting) -> None:
    later, setting.later[:] = list(setting.later), []
    for call in later:
        call()


def test_viewers_hear_of_output_whether_the_client_is_there_or_not() -> None:
    setting, consumer, viewer, token = watched()
    found = setting.manager.invitations.find(token, 0.0)
    assert found is not None
    session = found.session
    session.emit(Text("one"), MUST, 0.0)
    tick(setting)
    assert (consumer.delivered, viewer.delivered) == (1, 1)
    session.detach(Reason.NETWORK_ERROR, 0.0)
    assert not session.attached
    session.emit(Text("two"), MUST, 0.0)
    tick(setting)
    assert viewer.delivered == 2


def test_a_full_window_tells_viewers_too() -> None:
    setting, _, viewer, token = watched()
    found = setting.manager.invitations.find(token, 0.0)
    assert found is not None
    session = found.session
    session.detach(Reason.NETWORK_ERROR, 0.0)
    for _ in range(session._owner.limits.window_messages_max + 10):  # type: ignore[attr-defined]
        before = viewer.delivered
        session.emit(Text("x" * 100), MUST, 0.0)
        tick(setting)
        assert viewer.delivered == before + 1


def test_a_session_that_becomes_a_user_s_has_no_viewers() -> None:
    setting, _, viewer, token = watched()
    found = setting.manager.invitations.find(token, 0.0)
    assert found is not None
    setting.manager.claims.renew(found.session, new_token=False)
    assert viewer.closed == [(Reason.KICKED, "the invitation was revoked")]
    assert setting.manager.invitations.find(token, 0.0) is None


# --- what they see


def test_any_part_of_a_ring() -> None:
    data = random.Random(3).randbytes(5_000)
    ring = Ring(SessionLimits())
    for at in range(0, 5_000, 11):
        ring.append(Binary(data[at : at + 11]), MUST, 0.0)
    for after, upto in ((0, 5_000), (0, 1), (7, 9), (1_020, 1_030), (4_999, 5_000), (9, 9)):
        seen = b"".join(it.data for it in ring.view(after, upto) if isinstance(it, Binary))
        assert seen == data[after:upto]
    assert ring.sent == 0, "nothing counts as sent"


def test_any_part_of_an_outbox() -> None:
    out = Outbox(SessionLimits())
    for text in "abcde":
        out.append(Text(text), f"{LATEST}x" if text in "bd" else MUST, 0.0)
    out.skip_to(1)
    assert out.view(1, 4) == [None, Text("c"), Text("d")]
    assert out.view(4, 5) == [Text("e")]
    assert out.sent == 0


def test_viewers_hear_of_a_new_size_and_of_the_end() -> None:
    viewers = Viewers(SessionLimits(), lambda: None)
    invitation, secret = viewers.invite(10.0, 0.0)
    one, two = RecordingViewer(), RecordingViewer()
    for viewer in (one, two):
        viewers.add(invitation, viewer)
    viewers.resize()
    assert (one.resized, two.resized) == (1, 1)
    viewers.close()
    assert one.closed == two.closed == [(Reason.CLIENT_LEFT, "the session has ended")]
    assert one.failed == two.failed == []
    assert viewers.find(secret, 0.0) is None


def test_an_invitation_is_found_by_its_token_alone() -> None:
    setting = Setting()
    session, _ = setting.active()
    manager = setting.manager
    invitation, token = manager.invitations.invite(session, 10.0, 0.0)
    found = manager.invitations.find(token, 9.0)
    assert found is not None
    assert (found.session, found.viewers, found.invitation) == (
        session,
        session.viewers,
        invitation,
    )
    other, _ = setting.active()
    parts = split_token(token)
    assert parts is not None
    wrong = join_token(other.sid, parts[1])
    for junk in ("", "x", wrong, token[:-1]):
        assert manager.invitations.find(junk, 0.0) is None
    assert manager.invitations.find(token, 10.0) is None
