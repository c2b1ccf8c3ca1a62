"""Each example in the guides of the libraries runs to its end."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.docs.pages import ROOT, blocks

PRINTED = {
    "telnet.md": (
        "listening at port",
        'Char.Vitals {"hp":42}\nYour window has 100 columns.\n',
        "START_TLS: refused, and required",
    ),
    "websocket.md": (
        "listening at port",
        "HELLO\nnothing came\n",
        "one piece of news\n" * 3,
        "hear, hear hear, hear 0\n",
        "401 Unauthorized\nwelcome to /attic, in chat.v1\n",
        "",
        "",
    ),
}
"""The output of each example of a page, or a part of it."""


def examples(page: str) -> list[str]:
    return blocks(ROOT / "docs" / page, "python")


@pytest.mark.parametrize(
    ("page", "number"),
    [(page, number) for page, printed in PRINTED.items() for number in range(len(printed))],
)
def test_an_example_runs(page: str, number: int) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", examples(page)[number]],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert PRINTED[page][number] in done.stdout


@pytest.mark.parametrize("page", PRINTED)
def test_no_example_is_left_out(page: str) -> None:
    assert len(examples(page)) == len(PRINTED[page])
