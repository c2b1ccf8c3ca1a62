"""Scripts of conversations in messages."""

from __future__ import annotations

import pytest
from tests.vtc.cases import Case, parameters
from tests.vtc.dialogue.cases import GATEWAYS, LINES, SESSIONS, TELNET, WEBSOCKETS
from tests.vtc.running import assert_ends_as_it_should

GROUPS = {
    "websockets": WEBSOCKETS,
    "lines": LINES,
    "telnet": TELNET,
    "sessions": SESSIONS,
    "gateways": GATEWAYS,
}


@pytest.mark.parametrize("case", parameters(GROUPS))
def test_a_script_ends_as_it_should(case: Case) -> None:
    assert_ends_as_it_should(case)
