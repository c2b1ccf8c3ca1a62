"""How many colours a client shows, by what it has told of itself."""

from __future__ import annotations

import pytest

from holdfast.gateway.adapters.terminal_colors import colors_of, limit_of
from holdfast.protocols.telnet import Capabilities, Mtts

TRUE = 16_777_216


@pytest.mark.parametrize(
    ("mtts", "colors"),
    [
        (Mtts.ANSI, 8),
        (Mtts.COLOURS_256, 256),
        (Mtts.ANSI | Mtts.COLOURS_256, 256),
        (Mtts.ANSI | Mtts.COLOURS_256 | Mtts.TRUECOLOUR, TRUE),
        (Mtts.UTF_8, 0),
        (Mtts.ANSI | Mtts.TRUECOLOUR | Mtts.SCREEN_READER, 0),
    ],
)
def test_mtts_says_it_exactly(mtts: Mtts, colors: int) -> None:
    known = Capabilities(mtts=mtts, terminal_type="xterm-256color")
    assert colors_of(known) == colors
    assert limit_of(known) == colors


@pytest.mark.parametrize(
    ("name", "colors"),
    [
        ("xterm", 8),
        ("XTERM-256color", 256),
        ("xterm-kitty", TRUE),
        ("xterm-direct", TRUE),
        ("st-256color", 256),
        ("foot", TRUE),
        ("screen.xterm-256color", 256),
        ("xterm-truecolor", TRUE),
        ("xterm-24bit", TRUE),
        ("xterm-m", 0),
        ("xterm-mono", 0),
        ("linux-nocolor", 0),
        ("mudlet", 256),
        ("tinyfugue", 8),
        ("my-ansi-thing", 8),
        ("vt100", 0),
        ("", 0),
    ],
)
def test_a_name_is_looked_up_by_how_it_begins(name: str, colors: int) -> None:
    assert colors_of(Capabilities(terminal_type=name)) == colors
    assert colors_of(Capabilities(client_name=name)) == colors


def test_the_better_known_of_both_names_counts() -> None:
    assert colors_of(Capabilities(terminal_type="xterm", client_name="mudlet")) == 256
    assert colors_of(Capabilities(terminal_type="xterm-256color", client_name="potato")) == 256


@pytest.mark.parametrize(
    ("name", "most"),
    [("", TRUE), ("vt100", TRUE), ("xterm", 8), ("dumb", 0), ("DUMB", 0), ("unknown", 0)]
    + [(name, 0) for name in ("network", "lpr")],
)
def test_who_tells_nothing_sees_what_a_server_sends(name: str, most: int) -> None:
    assert limit_of(Capabilities(terminal_type=name)) == most
