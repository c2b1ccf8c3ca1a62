"""Scripts of the commands that stand outside specifications."""

from __future__ import annotations

import pytest
from tests.vtc.cases import Case, parameters
from tests.vtc.commands.cases import BARRIERS, FEATURE, NAMES, SHELL, TOP
from tests.vtc.running import assert_ends_as_it_should

GROUPS = {
    "top": TOP,
    "shell": SHELL,
    "feature": FEATURE,
    "names": NAMES,
    "barriers": BARRIERS,
}


@pytest.mark.parametrize("case", parameters(GROUPS))
def test_a_script_ends_as_it_should(case: Case) -> None:
    assert_ends_as_it_should(case)
