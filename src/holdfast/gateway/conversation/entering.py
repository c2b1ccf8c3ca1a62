"""Waiting on the way to a session, for what must be known or loaded before."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.gateway.conversation.phases import ConversationPhase, Move, after
from holdfast.gateway.conversation.ports import Conversation, Work


def wait(conversation: Conversation, work: Work) -> None:
    """Run a step on the way to a session. Other input is held until then, and the session that
    the client has already, if any, rests."""
    if conversation.attachment is not None:
        conversation.attachment.live = False
    conversation.phase = after(conversation.phase, Move.ENTER)
    conversation.connection.pause_reading()
    conversation.run(work)


def resume(conversation: Conversation, handle: Callable[[], None]) -> None:
    """The step is over: `handle` what it was for, as before `wait`, and then what was held."""
    attachment = conversation.attachment
    conversation.phase = after(conversation.phase, Move.ADMIT if attachment else Move.WAIT)
    if attachment is not None:
        attachment.live = True
    handle()
    if conversation.phase in (ConversationPhase.WAITING, ConversationPhase.LIVE):
        conversation.go_on()  # it has no other session than before
        if attachment is not None:
            attachment.deliver()
