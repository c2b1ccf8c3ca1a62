"""What the page on the link promises: conversations in its own messages, and each way back."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT

from holdfast.link import messages

TEXT = (ROOT / "docs" / "link.md").read_text()
METHODS = {value for value in vars(messages).values() if isinstance(value, str)}


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_conversations_use_messages_of_the_protocol() -> None:
    conversations = section("Four conversations")
    titles = re.findall(r"^\*\*(.+?)\.\*\*", conversations, re.MULTILINE)
    assert titles == ["A login", "Commands", "Events of the application", "A reconnection"]
    said = re.findall(r"^[→←] ([\w.]+) ", conversations, re.MULTILINE)
    assert len(said) > 10
    assert set(said) <= METHODS
    points = re.findall(r"^- \*\*(.+?)\*\*", section("Sizing and security"), re.MULTILINE)
    assert {"Windows.", "Memory.", "Trust."} <= set(points)


def test_each_kind_of_client_has_its_way_back() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", section("How clients come back"), re.M)
    for kind in ("holdfast.v1", "Telnet with GMCP", "Telnet, TCP", "plain WebSocket", "term.v1"):
        assert [row for row in rows if kind in row], kind
