"""Scripts with a HAProxy."""

from __future__ import annotations

import pytest
from tests.programs import need
from tests.vtc.cases import Case, parameters
from tests.vtc.haproxy.cases import GROUPS
from tests.vtc.running import assert_ends_as_it_should


@pytest.mark.parametrize("case", parameters(GROUPS))
def test_a_script_ends_as_it_should(case: Case) -> None:
    need("haproxy")
    assert_ends_as_it_should(case)
