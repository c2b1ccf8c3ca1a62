"""How many colours a Telnet client shows, from what it has told of itself.

MTTS says it exactly. Where a client tells no more than its terminal's type or its own name, these
are looked up by how they begin. What is not known gets plain text: escape sequences on a terminal
that does not know them are worse than no colours.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from holdfast.protocols.telnet import Capabilities, Mtts

_TRUE: Final = 1 << 24
_BITS: Final = ((Mtts.TRUECOLOUR, _TRUE), (Mtts.COLOURS_256, 256), (Mtts.ANSI, 8))
_WITHIN: Final = (("truecolor", _TRUE), ("24bit", _TRUE), ("-direct", _TRUE), ("256color", 256))
"""What may stand in the name of a terminal's type."""
_BEGINNINGS: Final = {
    # Terminals, as terminfo names them.
    "xterm-kitty": _TRUE,
    **dict.fromkeys(("alacritty", "foot", "ghostty", "kitty", "wezterm"), _TRUE),
    **dict.fromkeys(("gnome", "konsole", "iterm", "mintty", "st-", "vte"), 256),
    **dict.fromkeys(("ansi", "linux", "pcansi", "screen", "tmux", "xterm"), 8),
    **dict.fromkeys(("cygwin", "eterm", "mlterm", "putty", "rxvt", "syncterm", "teraterm"), 8),
    # Clients of games, which may tell nothing but their name.
    **dict.fromkeys(("cmud", "mudlet", "mushclient", "tintin"), 256),
    **dict.fromkeys(("atlantis", "beip", "kildclient", "potato", "tinyfugue", "zmud"), 8),
}
_LONGEST_FIRST: Final = sorted(_BEGINNINGS.items(), key=lambda known: -len(known[0]))
_WITHOUT: Final = frozenset({"dumb", "unknown", "network", "lpr"})
_MONOCHROME: Final = ("-m", "-mono", "-nocolor")
_NAMES_MAX: Final = 256
"""Which are remembered: clients choose them."""


def colors_of(known: Capabilities) -> int:
    """0, 8, 256 or 16,777,216. A screen reader would read the sequences out."""
    if known.mtts & Mtts.SCREEN_READER:
        return 0
    if known.mtts:
        return next((colors for bit, colors in _BITS if known.mtts & bit), 0)
    return max(_by_name(known.terminal_type), _by_name(known.client_name))


def limit_of(known: Capabilities) -> int:
    """The number of colors that a server's own sequences may use: all for an unknown client, as
    plain TCP is mostly read in a terminal that shows them."""
    colors = colors_of(known)
    told = known.mtts or colors or known.terminal_type.lower() in _WITHOUT
    return colors if told else _TRUE


@lru_cache(_NAMES_MAX)
def _by_name(name: str) -> int:
    name = name.lower()
    if name.endswith(_MONOCHROME):
        return 0
    for part, colors in _WITHIN:
        if part in name:
            return colors
    for beginning, colors in _LONGEST_FIRST:
        if name.startswith(beginning):
            return colors
    return 8 if "ansi" in name else 0
