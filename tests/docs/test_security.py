"""The page on security holds what it says."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.net.security_log import _WARNINGS, SecurityEvent

DOCS = Path(__file__).parents[2] / "docs"


def test_every_event_of_the_security_log_is_described() -> None:
    text = (DOCS / "security.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| (info|warning) \| (.+) \|$", text, re.MULTILINE)
    found = {event: level for event, level, _ in rows}
    assert found == {
        event.value: "warning" if event in _WARNINGS else "info" for event in SecurityEvent
    }
