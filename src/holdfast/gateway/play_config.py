"""The configuration of the page `/play/`: a MUD client in the browser."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from holdfast.core.errors import ConfigurationError

_COLOR: Final = r"#[0-9a-fA-F]{6}"
_PATH: Final = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
_FIGURES_MAX: Final = 50


class Gauge(Struct, frozen=True, forbid_unknown_fields=True):
    """A number of a structured message (GMCP) that is shown as a bar."""

    label: str
    """The bar's name."""
    value: str
    """The package and the field, as in `Char.Vitals.hp`, or a variable of MSDP, as in `HEALTH`.
    Case does not matter."""
    max: str = ""
    """The same of the largest value, or a number; empty: no bar, only the number."""
    color: str = ""
    """Of the bar, as in `#d05050`."""


class Fact(Struct, frozen=True, forbid_unknown_fields=True):
    """A field of a structured message that is shown in words."""

    label: str
    """The words' name."""
    value: str
    """The package and the field, as in `Room.Info.name`. Of an object, the names are shown."""


GAUGES: Final = (
    Gauge("Health", "Char.Vitals.hp", "Char.Vitals.maxhp", "#d05050"),
    Gauge("Mana", "Char.Vitals.mp", "Char.Vitals.maxmp", "#5080d0"),
    Gauge("Moves", "Char.Vitals.mv", "Char.Vitals.maxmv", "#50a060"),
)
FACTS: Final = (
    Fact("Place", "Room.Info.name"),
    Fact("Area", "Room.Info.area"),
    Fact("Exits", "Room.Info.exits"),
)


class PlayConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The page `/play/` of a WebSocket listener."""

    title: str = "Play"
    """The page's title."""
    telnet: str = ""
    """How people come in by Telnet, as in `telnet mud.example.org 4000`: shown beside a resume
    code. Empty: nothing."""
    gauges: tuple[Gauge, ...] = GAUGES
    """What is shown as bars, once the server has told it."""
    facts: tuple[Fact, ...] = FACTS
    """What is shown in words."""


def check_play(key: str, play: PlayConfig | None) -> None:
    """What types cannot say. Raises `ConfigurationError` naming the key."""
    if play is None:
        return
    _check_paths(f"{key}.gauges", [gauge.value for gauge in play.gauges])
    _check_paths(f"{key}.facts", [fact.value for fact in play.facts])
    for number, gauge in enumerate(play.gauges):
        if gauge.color and not re.fullmatch(_COLOR, gauge.color):
            raise ConfigurationError(
                f"{key}.gauges[{number}].color: expected a color as in '#d05050', found"
                f" {gauge.color!r}"
            )


def _check_paths(key: str, paths: list[str]) -> None:
    if len(paths) > _FIGURES_MAX:
        raise ConfigurationError(f"{key}: expected at most {_FIGURES_MAX}, found {len(paths)}")
    for number, path in enumerate(paths):
        if not re.fullmatch(_PATH, path):
            raise ConfigurationError(
                f"{key}[{number}].value: expected a package and a field, as in"
                f" 'Char.Vitals.hp', or a variable of MSDP, found {path!r}"
            )
