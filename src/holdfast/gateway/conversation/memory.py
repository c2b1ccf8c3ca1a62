"""What the input of one client takes of the memory for the input of all.

Only input of some size is counted, after it has come: for most messages nothing is done here.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from holdfast.core.errors import Reason
from holdfast.gateway.conversation.ports import Conversation
from holdfast.net.runtime.room import CROWDED, UNCOUNTED_BYTES, Reservation
from holdfast.net.security_log import SecurityEvent

_WHY: Final = "too much input of all clients waits"


def reserve_input(conversation: Conversation) -> None:
    """Reserve room for the input that waits or is incomplete, or release what is not needed.

    If there is no room, connections are closed; this may be one of them.
    """
    intake = conversation.intake
    held, reservation = intake.held, intake.reservation
    size = conversation.adapter.pending
    if held is not None:
        size += len(held.unread) + held.cost
    if size <= UNCOUNTED_BYTES:
        size = 0
        if reservation is None:
            return
    if reservation is None:
        network = intake.network_of(conversation.connection.peer)
        reservation = intake.reservation = Reservation(
            conversation.context.input_room, network, partial(_close, conversation)
        )
    reservation.resize(size)


def _close(conversation: Conversation) -> None:
    """There is no room for this client's input."""
    try:
        conversation.tell(SecurityEvent.LIMITED, why=_WHY)
        conversation.goodbye(Reason.CROWDED, CROWDED)
        conversation.adapter.discard_input()
        conversation.connection.close_on()
    except Exception as error:
        conversation.fail(error)
