"""Tokens and codes, which a client gets for its session while it is attached.

Each is durable before the client gets it.
"""

from __future__ import annotations

from typing import Final

from holdfast.core.errors import Reason
from holdfast.core.ids import show_resume_code
from holdfast.core.items import Notice
from holdfast.gateway.adapters.notifications import CodeIssued, TokenIssued
from holdfast.gateway.context import Context
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.conversation.ports import Conversation
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.claims import Claim
from holdfast.sessions.session import Session
from holdfast.sessions.waiters import StoreUnavailableError

CANNOT_KEEP: Final = "sessions cannot be kept now; try later"
_NOT_RESUMABLE: Final = Notice("This session ends with its connection: it cannot be resumed.")
_UNTOLD: Final = float("inf")
"""No acknowledgement comes behind a token that is not told yet."""


def can_keep(context: Context, session: Session) -> bool:
    """Whether the store is not known to refuse what this session needs."""
    broken = context.journal.broken is not None
    return not broken or not session.persistent or context.memory_on_failure


async def settle(conversation: Conversation, attachment: Attachment) -> bool:
    """Wait until the session is durable. False if the connection is to go no further."""
    session = attachment.session
    if session.persistent:
        try:
            await conversation.context.journal.settled()
        except StoreUnavailableError:
            if not conversation.context.memory_on_failure:
                conversation.goodbye(Reason.INTERNAL_ERROR, CANNOT_KEEP)
    # Meanwhile the connection may have been lost, or superseded by a newer one.
    return conversation.attachment is attachment and session.consumer is attachment


async def give_code(conversation: Conversation, attachment: Attachment) -> None:
    """Give the client a code with which another can take the session up."""
    context = conversation.context
    if not attachment.session.resumable:
        attachment.show(_NOT_RESUMABLE)
        return
    until = context.wall() + context.limits.session.asked_code_seconds_max
    code = context.manager.claims.issue_code(Claim(attachment.session, None), until)
    if await settle(conversation, attachment):
        conversation.adapter.notify(CodeIssued(show_resume_code(code)))
        conversation.send()


async def give_token(conversation: Conversation, attachment: Attachment) -> None:
    """Give a client that has begun to count outputs what it needs to come back by itself."""
    manager, session = conversation.context.manager, attachment.session
    token = ""
    if session.resumable:
        attachment.proof = _UNTOLD
        manager.claims.void_tokens(session)
        token = manager.claims.issue_token(Claim(session, None))
    await _tell_token(conversation, attachment, token)


def renew(conversation: Conversation, attachment: Attachment) -> None:
    """The session has got a user: earlier tokens and codes become invalid."""
    conversation.tell(SecurityEvent.USER_CHANGED, user=attachment.session.row.user)
    if attachment.session.resumable:
        conversation.run(_renew(conversation, attachment))


async def _renew(conversation: Conversation, attachment: Attachment) -> None:
    manager, adapter, session = (
        conversation.context.manager,
        conversation.adapter,
        attachment.session,
    )
    if not adapter.wants_code:
        manager.claims.void_codes(session)
    if adapter.takes_tokens:
        attachment.proof = _UNTOLD
    token = manager.claims.renew(session, new_token=adapter.takes_tokens)
    if token:
        await _tell_token(conversation, attachment, token)


async def _tell_token(conversation: Conversation, attachment: Attachment, token: str) -> None:
    if await settle(conversation, attachment):
        session = attachment.session
        row, sent = session.row, session.out.sent
        attachment.proof = sent  # only what comes behind it shows that the client has it
        keep_seconds = conversation.context.manager.population.keep_seconds(session)
        conversation.adapter.notify(TokenIssued(row.sid, token, row.epoch, sent, keep_seconds))
        conversation.send()
