"""The Telnet options of a listener, by name."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from holdfast.core.errors import ConfigurationError

Refusable = Literal[
    "binary", "charset", "eor", "gmcp", "linemode", "naws", "new-environ", "sga", "ttype"
]
Offerable = Literal["binary", "linemode", "sga"]


class TelnetConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The Telnet options that are refused or offered."""

    refuse: tuple[Refusable, ...] = ()
    """The options that are neither offered nor accepted. Without `gmcp`, clients cannot count
    outputs; without `ttype`, they tell neither name nor colours."""
    offer: tuple[Offerable, ...] = ()
    """The options that are offered in addition, which are otherwise only accepted. Some clients
    that are offered `sga` send each key at once."""


def check_telnet(key: str, config: TelnetConfig) -> None:
    """Check that no option is in both lists. Raises `ConfigurationError`, which names the key."""
    for name in config.offer:
        if name in config.refuse:
            raise ConfigurationError(
                f"{key}.offer: expected options that are not in {key}.refuse, found {name!r}"
            )
