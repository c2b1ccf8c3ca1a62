"""Scripts of HTTP/2 streams."""

from __future__ import annotations

import pytest
from tests.vtc.cases import Case, parameters
from tests.vtc.h2.cases import STREAMS
from tests.vtc.running import assert_ends_as_it_should

GROUPS = {
    "streams": STREAMS,
}


@pytest.mark.parametrize("case", parameters(GROUPS))
def test_a_script_ends_as_it_should(case: Case) -> None:
    assert_ends_as_it_should(case)
