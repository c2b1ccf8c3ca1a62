"""What groups of limits have in common."""

from __future__ import annotations

import math

from msgspec import Struct

from holdfast.core.errors import ConfigurationError

KIB = 1024
MIB = 1024 * KIB


class LimitError(ConfigurationError, ValueError):
    """A limit is out of range. It is a `ValueError`, so that msgspec adds the path of the field."""


class Group(Struct, frozen=True, forbid_unknown_fields=True):
    """A group of limits: each a positive, finite number."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, int | float) and not 0 < value < math.inf:
                raise LimitError(f"limits: {name}: expected a number above 0, found {value!r}")
