"""Scripts with processes, syslog servers and tunnels."""

from __future__ import annotations

import pytest
from tests.vtc.actors.cases import PROCESSES, SYSLOG, TUNNELS
from tests.vtc.cases import Case, parameters
from tests.vtc.running import assert_ends_as_it_should

GROUPS = {
    "syslog": SYSLOG,
    "processes": PROCESSES,
    "tunnels": TUNNELS,
}


@pytest.mark.parametrize("case", parameters(GROUPS))
def test_a_script_ends_as_it_should(case: Case) -> None:
    assert_ends_as_it_should(case)
