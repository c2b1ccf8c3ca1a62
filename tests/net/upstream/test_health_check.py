from __future__ import annotations

import pytest

from holdfast.net.upstream.health_check import Health

RUNS = {
    "up-at-first": ("", True),
    "one-miss-is-nothing": ("-", True),
    "two-in-a-row": ("--", False),
    "two-but-not-in-a-row": ("-+-", True),
    "one-pass-is-nothing": ("--+", False),
    "two-passes": ("--++", True),
    "flapping": ("--+-+-", False),
    "up-and-down": ("--++--", False),
}


@pytest.mark.parametrize(("checks", "up"), RUNS.values(), ids=RUNS)
def test_checks(checks: str, up: bool) -> None:
    health = Health(2)
    changes = [health.checked(check == "+") for check in checks]
    assert health.up is up
    assert (sum(changes) % 2 == 0) is up
