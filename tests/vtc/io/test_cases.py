"""Scripts of connections with TLS."""

from __future__ import annotations

import pytest
from tests.programs import need
from tests.vtc.cases import Case, parameters
from tests.vtc.io.cases import TLS
from tests.vtc.running import assert_ends_as_it_should

GROUPS = {
    "tls": TLS,
}


@pytest.mark.parametrize("case", parameters(GROUPS))
def test_a_script_ends_as_it_should(case: Case) -> None:
    need("openssl")
    assert_ends_as_it_should(case)
