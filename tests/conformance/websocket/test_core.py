"""Autobahn's 301 core cases, on either role; the whole is `./dev conformance websocket`.

The suite runs on Python 2.7 alone, which no current distribution has: where
there is none, this cannot run, and `tests/protocols/websocket` stands for it.
"""

from __future__ import annotations

import pytest

from holdfast.protocols.websocket import COMPILED
from tests.conformance.websocket import CORE, ROLES, judge, run
from tests.conformance.websocket.autobahn import Autobahn, Missing, Verdict, find_autobahn
from tests.conformance.websocket.deviations import DEVIATIONS

CASES = 301


@pytest.fixture(scope="module")
def autobahn() -> Autobahn:
    try:
        return find_autobahn()
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ROLES)
def test_the_core_cases(autobahn: Autobahn, role: str) -> None:
    verdicts = run(autobahn, role, "compiled" if COMPILED else "pure", CORE)
    assert len(verdicts) == CASES
    assert judge(role, verdicts) == []


@pytest.mark.parametrize(
    ("behavior", "close", "wrong"),
    [
        ("OK", "OK", False),
        ("INFORMATIONAL", "INFORMATIONAL", False),
        ("NON-STRICT", "OK", True),
        ("FAILED", "OK", True),
        ("UNIMPLEMENTED", "OK", True),
        ("OK", "WRONG CODE", True),
        ("OK", "UNCLEAN", True),
    ],
)
def test_what_is_judged_wrong(behavior: str, close: str, wrong: bool) -> None:
    assert bool(judge("server", [Verdict("1.1.1", behavior, close)])) is wrong


def test_a_deviation_needs_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.conformance.websocket.DEVIATIONS", {("server", "1.1.1"): "a reason"})
    assert judge("server", [Verdict("1.1.1", "NON-STRICT", "OK")]) == []
    assert judge("client", [Verdict("1.1.1", "NON-STRICT", "OK")])
    assert judge("server", [Verdict("1.1.1", "OK", "OK")])
    assert all(reason for reason in DEVIATIONS.values())
