"""How often somebody may try to log in."""

from __future__ import annotations

from holdfast.core.limits import SessionLimits
from holdfast.gateway.attempts import LoginAttempts

LIMITS = SessionLimits(
    login_failures_per_minute_max=60,
    login_failure_burst_max=3,
    login_failures_per_user_per_minute_max=60,
    login_failure_burst_per_user_max=2,
)


def test_who_was_right_counts_for_nothing() -> None:
    attempts = LoginAttempts(LIMITS)
    for _ in range(100):
        assert attempts.wait("n", "ann", 100.0) == 0
        attempts.begin("n")
        attempts.end("n")


def test_wrong_attempts_of_a_network_wait_and_others_do_not() -> None:
    attempts = LoginAttempts(LIMITS)
    for user in "abc":
        assert attempts.wait("n", user, 100.0) == 0
        attempts.failed("n", user, 0, 100.0)
    assert 0 < attempts.wait("n", "d", 100.0) <= 1
    assert attempts.wait("m", "d", 100.0) == 0
    assert attempts.wait("n", "d", 101.5) == 0


def test_wrong_attempts_with_a_user_wait_wherever_they_come_from() -> None:
    attempts = LoginAttempts(LIMITS)
    for network in "xy":
        attempts.failed(network, "ann", 0, 100.0)
    assert attempts.wait("z", "ann", 100.0) > 0
    assert attempts.wait("z", "bo", 100.0) == 0
    assert attempts.wait("z", "", 100.0) == 0, "a token names nobody"


def test_attempts_that_are_being_judged_are_bounded() -> None:
    attempts = LoginAttempts(LIMITS)
    for _ in range(3):
        assert attempts.wait("n", "ann", 100.0) == 0
        attempts.begin("n")
    assert attempts.wait("n", "ann", 100.0) > 0
    attempts.end("n")
    assert attempts.wait("n", "ann", 100.0) == 0


def test_the_application_s_wait_is_for_this_user_from_this_network() -> None:
    attempts = LoginAttempts(LIMITS)
    attempts.failed("n", "ann", 30, 100.0)
    assert attempts.wait("n", "ann", 110.0) == 20
    assert attempts.wait("n", "bo", 110.0) == 0
    assert attempts.wait("n", "ann", 130.0) == 0


def test_attempts_of_others_that_have_ended_leave_those_under_way_counted() -> None:
    attempts = LoginAttempts(LIMITS)
    for _ in range(3):
        attempts.begin("n")
    attempts.end("n")
    attempts.begin("n")
    assert attempts.wait("n", "ann", 100.0) > 0
    assert attempts.wait("m", "ann", 100.0) == 0
