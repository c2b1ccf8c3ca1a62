"""Every example in docs/websocket.md runs to its end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "websocket.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
SAID = (
    "listening at port",
    "HELLO\nnothing came\n",
    "one piece of news\n" * 3,
    "hear, hear hear, hear 0\n",
    "401 Unauthorized\nwelcome to /attic, in chat.v1\n",
    "",
    "",
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
