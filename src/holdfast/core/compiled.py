"""Which compiled parts are to be used where they were built."""

from __future__ import annotations

import os
from typing import Final, Literal

Part = Literal["codec", "sockets"]

_PARTS: Final = frozenset({"codec", "sockets"})


def is_wanted(part: Part) -> bool:
    """Whether the compiled `part` is to be used, rather than what serves without a compiler.

    `HOLDFAST_PURE` in the environment asks for the latter: of all parts (`1`), or of those that it
    names, with commas between them.
    """
    asked = os.environ.get("HOLDFAST_PURE", "")
    if asked in ("", "0"):
        return True
    named = set(asked.split(","))
    return named <= _PARTS and part not in named
