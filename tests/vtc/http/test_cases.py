"""Scripts of clients and servers that speak HTTP/1."""

from __future__ import annotations

import pytest
from tests.vtc.cases import Case, parameters
from tests.vtc.http.cases import CONNECTIONS, MESSAGES, PROXY
from tests.vtc.running import assert_ends_as_it_should

GROUPS = {
    "connections": CONNECTIONS,
    "proxy": PROXY,
    "messages": MESSAGES,
}


@pytest.mark.parametrize("case", parameters(GROUPS))
def test_a_script_ends_as_it_should(case: Case) -> None:
    assert_ends_as_it_should(case)
