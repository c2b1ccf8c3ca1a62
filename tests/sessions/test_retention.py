"""How long output is kept, and when refused commands are asked for again."""

from __future__ import annotations

import pytest
from tests.sessions.test_room import Setting

from holdfast.core.items import MUST, Text
from holdfast.core.limits import KIB, SessionLimits
from holdfast.sessions import retention as retention_module

LIMITS = SessionLimits(window_age_seconds_max=60.0, node_queues_bytes_max=8 * KIB)


def test_output_is_kept_for_its_time_and_no_longer() -> None:
    setting = Setting(LIMITS)
    (session,) = setting.away(1)
    for now in (100.0, 110.0, 120.0):
        session.emit(Text("x"), MUST, now)
    retention = setting.manager.retention
    for now, base in ((160.0, 0), (160.5, 1), (170.0, 1), (170.5, 2), (1_000.0, 3)):
        retention.expire(now)
        assert session.out.base == base, now
    assert session.out.top == 3


def test_windows_are_looked_at_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "_AGED_MAX", 2)
    setting = Setting(LIMITS)
    sessions = setting.away(5)
    for session in sessions:
        session.emit(Text("x"), MUST, 100.0)
    kept = []
    for _ in range(4):
        setting.manager.retention.expire(1_000.0)
        kept.append(sum(session.out.size > 0 for session in sessions))
    assert kept == [3, 1, 0, 0]


def test_a_session_that_is_gone_in_the_middle_of_a_round_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention_module, "_AGED_MAX", 1)
    setting = Setting(LIMITS)
    one, two = setting.away(2)
    one.emit(Text("x"), MUST, 100.0)
    setting.manager.retention.expire(1_000.0)
    del setting.manager.sessions[two.sid]
    setting.manager.retention.expire(1_000.0)
    assert one.out.base == 1


def test_commands_that_found_no_room_are_asked_for_once_there_is_some() -> None:
    setting = Setting(LIMITS)
    session, consumer = setting.come()
    other, _ = setting.come()
    retention = setting.manager.retention
    retention.starved(session)
    retention.queues.used = 7 * KIB
    retention.expire(0.0)
    assert consumer.offered == 0, "an eighth has to be free"
    retention.queues.used = 7 * KIB - 1
    retention.expire(0.0)
    retention.expire(0.0)
    assert consumer.offered == 1, "once"
    retention.starved(session)
    retention.starved(other)
    retention.forget(session)
    retention.forget(session)
    retention.expire(0.0)
    assert consumer.offered == 1
