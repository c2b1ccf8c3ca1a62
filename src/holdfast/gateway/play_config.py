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
    """The label of the bar."""
    value: str
    """The GMCP package and the field, as in `Char.Vitals.hp`, or an MSDP variable, as in `HEALTH`.
    Case does not matter."""
    max: str = ""
    """The maximum: a field or a variable like `value`, or a number. Empty: the number is shown
    without a bar."""
    color: str = ""
    """The color of the bar, as in `#d05050`."""


class Fact(Struct, frozen=True, forbid_unknown_fields=True):
    """A field of a structured message (GMCP) that is shown as text."""

    label: str
    """The label of the text."""
    value: str
    """The GMCP package and the field, as in `Room.Info.name`, or an MSDP variable. Of an object,
    the keys are shown."""


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
    """The command to connect by Telnet, as in `telnet mud.example.org 4000`. It is shown beside a
    resume code. Empty: none is shown."""
    gauges: tuple[Gauge, ...] = GAUGES
    """The numbers that are shown as bars, once the server has sent them."""
    facts: tuple[Fact, ...] = FACTS
    """The fields that are shown as text."""


def check_play(key: str, play: PlayConfig | None) -> None:
    """Check what types cannot express. Raises `ConfigurationError`, which names the key."""
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
