"""The waiting events of a session, bounded also while its handler hangs.

The gateway bounds the commands, by the bytes in flight. Other events report a state: a newer
one replaces an older one of its kind that is not handled yet.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from holdfast.core.items import Resized
from holdfast.link import messages as m

Mailbox = deque[m.SessionEvent]

_STATES: Final = (Resized, m.CapabilitiesChanged)
_BACK: Final = (m.Resumed, m.Resync)
_CLIENT: Final = (m.Detached, *_BACK)


def put(mailbox: Mailbox, event: m.SessionEvent) -> None:
    """Queue an event that is no command."""
    kind = type(event.event)
    if kind in _STATES:
        _drop(mailbox, [kept for kept in mailbox if type(kept.event) is kind])
    elif kind in _CLIENT:
        _drop(mailbox, _overtaken(mailbox, event))
    mailbox.append(event)


def _overtaken(mailbox: Mailbox, event: m.SessionEvent) -> list[m.SessionEvent]:
    """A client that disconnects, returns and disconnects again is disconnected; one that
    returns, disconnects and returns again is back.

    A `resync` stays to be handled.
    """
    pending = [kept for kept in mailbox if isinstance(kept.event, _CLIENT)]
    if isinstance(event.event, m.Resync):
        gone = pending and isinstance(pending[0].event, m.Detached)
        return pending[1:] if gone else pending  # it replaces all those between
    back = isinstance(event.event, _BACK)
    for count in (1, 2):
        last = pending[-count:]
        if len(last) == count and isinstance(last[0].event, _BACK) is back:
            return [] if any(isinstance(kept.event, m.Resync) for kept in last) else last
    return []


def _drop(mailbox: Mailbox, events: list[m.SessionEvent]) -> None:
    for event in events:
        mailbox.remove(event)
