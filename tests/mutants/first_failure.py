"""A plugin of pytest that writes the name of the first test that fails into a file.

The summary that pytest prints cuts names, and a name may hold whatever a summary is read by.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

FILE: Final = "HOLDFAST_FIRST_FAILURE"
"""The environment variable that names the file."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the first failure, of a test or of its fixtures."""
    path = Path(os.environ[FILE])
    if report.failed and not path.exists():
        path.write_text(report.nodeid)
