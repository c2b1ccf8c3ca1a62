"""The programs of others that tests talk to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parent.parent
_FOLDERS = ("/usr/games", "/usr/sbin")
"""Where Debian has tt++ and haproxy, and not everybody looks."""


def look_everywhere() -> None:
    """Let this process, and what it starts, find programs where Debian has them."""
    os.environ["PATH"] = ":".join((os.environ.get("PATH", os.defpath), *_FOLDERS))


def need(program: str) -> str:
    """The path of a peer program. Without it the test is skipped; on a build server it fails."""
    found = shutil.which(program)
    if not found:
        missing(f"{program} is not installed (./dev peers), or not in the PATH")
    return found


def missing(reason: str) -> NoReturn:
    """Skip this test for want of a peer; on a build server, where nothing may lack, it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
