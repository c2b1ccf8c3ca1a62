"""What a script expects of a screen."""

from __future__ import annotations

import pytest
from tests.vtc.running import run_script

CASES = {
    "where-it-is": ("3 2", "None"),
    "anywhere": ("0 0", "None"),
    "another-line": ("2 2", "Cursor on line 3 (expected 2)"),
    "another-column": ("3 1", "Cursor in column 2 (expected 1)"),
}


@pytest.mark.parametrize(("place", "fault"), CASES.values(), ids=CASES)
def test_a_cursor(place: str, fault: str) -> None:
    result = run_script(rf"process p1 {{printf '\n\nx'}} -run -expect-cursor {place}" + "\n")
    assert fault in str(result.failure)
