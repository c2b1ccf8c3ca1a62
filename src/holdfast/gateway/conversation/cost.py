"""The cost of a client's event in the rate of commands. Hot path.

A command with many lines or bytes counts as several, so the rate bounds the load of one session
on an application, a store and the members of a group.
"""

from __future__ import annotations

from holdfast.core.items import Binary, Data, Text, lines_of, utf8_bytes
from holdfast.core.limits import SessionLimits
from holdfast.gateway.adapters.events import Event, Numbered

_CHARACTER_BYTES_MAX = 4


def cost_of(event: Event, limits: SessionLimits) -> int:
    """Return how many commands an event counts for: at least one, at most the burst."""
    item = event.item if type(event) is Numbered else event
    lines = 1
    if type(item) is Text:
        text = item.text
        if "\n" in text or "\r" in text:
            lines = min(len(lines_of(text)), limits.command_lines_max)
        elif len(text) * _CHARACTER_BYTES_MAX <= limits.bytes_per_command_max:
            return 1  # the usual case
        size = utf8_bytes(text)
    elif type(item) is Binary:
        size = len(item.data)
    elif type(item) is Data:
        size = utf8_bytes(item.json)
    else:
        return 1
    return min(max(lines, -(-size // limits.bytes_per_command_max)), limits.command_burst_max)
