"""Where Autobahn says NON-STRICT: the role, the case, and why it is so.

There is none. INFORMATIONAL (7.1.6, 7.13.1, 7.13.2) is no verdict: what these
cases try is not defined by RFC 6455.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

DEVIATIONS: Final[Mapping[tuple[str, str], str]] = {}
