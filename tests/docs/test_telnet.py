"""Every example in docs/telnet.md runs to its end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "telnet.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
SAID = (
    "listening at port",
    'Char.Vitals {"hp":42}\nYour window has 100 columns.\n',
    "START_TLS: refused, and required",
)
"""What each of them prints, or begins with."""


@pytest.mark.parametrize(("number", "said"), list(enumerate(SAID)))
def test_an_example_runs(number: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXAMPLES[number]],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_none_is_left_out() -> None:
    assert len(EXAMPLES) == len(SAID)
