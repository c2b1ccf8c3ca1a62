"""Events of a connection other than its client's input and its session's output."""

from __future__ import annotations

from enum import Enum, auto


class News(Enum):
    """Changes that a backend makes to a session and that its connection must handle."""

    POLICY_KNOWN = auto()
    """New sessions need not wait any more for what their login is to be."""
    USER_CHANGED = auto()
    PROFILE_NEEDED = auto()
    """Its user is to choose another profile."""
