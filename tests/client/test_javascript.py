"""What only the JavaScript client can meet: values, listeners, storages and pages of a browser."""

from __future__ import annotations

import re
import subprocess
from importlib import resources
from pathlib import Path
from typing import Final

import pytest
from tests.programs import need

_SCRIPT: Final = Path(__file__).with_name("javascript.mjs")
CASES: Final = re.findall(r'^  async "(.+)"\(\)', _SCRIPT.read_text(), re.MULTILINE)


@pytest.mark.parametrize("case", CASES)
def test_javascript(case: str) -> None:
    with resources.as_file(resources.files("holdfast.web") / "holdfast.js") as client:
        answer = subprocess.run(
            [need("node"), str(_SCRIPT), str(client), case],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert answer.stdout.splitlines()[-1:] == ["ok"], answer.stderr
