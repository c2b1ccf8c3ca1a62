"""The handling of a connection's rare events: all but commands and acknowledgements."""

from __future__ import annotations

from typing import Final

from holdfast.core.errors import Reason
from holdfast.core.items import Binary, Data, Interrupt, Resized
from holdfast.gateway.adapters.events import (
    AbortOutput,
    Ack,
    Broken,
    Capable,
    CodeWanted,
    CredentialGiven,
    Enter,
    Event,
    InvitationRevoked,
    InvitationWanted,
    Left,
    LoginGiven,
    PlainHttp,
    ProfileWanted,
    Proven,
    ResumeOwn,
    TokenWanted,
    Watch,
)
from holdfast.gateway.conversation import identify, login, rights, viewing
from holdfast.gateway.conversation.news import News
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.conversation.phases import ConversationPhase
from holdfast.gateway.conversation.ports import Conversation, security_of
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.records import shared_capabilities

_TOO_MANY: Final = "too many connections from your address"
_log: Final = RateLimitedLogger("holdfast.gateway")

FREE: Final = frozenset({Ack, Proven, AbortOutput, Left, Broken})
"""Events that do not count towards the rate of commands."""


def react_early(conversation: Conversation, event: Event) -> None:
    """An event while there is no live session."""
    if not conversation.adapter.forwarded or _forward(conversation):
        _react_early(conversation, event)


def _react_early(conversation: Conversation, event: Event) -> None:
    match event:
        case Left() if conversation.phase is ConversationPhase.LEAVING:
            conversation.connection.close()
        case _ if conversation.phase is ConversationPhase.LEAVING:
            pass
        case Left(done=True) if conversation.phase is ConversationPhase.ENTERING:
            _leave_early(conversation, event)
        case Left() | Broken():
            _end(conversation, event)
        case PlainHttp(data):
            conversation.serve_http(data)
        case Capable(capabilities) if conversation.phase is ConversationPhase.WAITING:
            conversation.capabilities = shared_capabilities(capabilities)
        case Enter() | Watch() if conversation.phase is ConversationPhase.WAITING:
            identify.enter(conversation, event)
        case CredentialGiven() if conversation.phase is ConversationPhase.WAITING:
            identify.give(conversation, event)
        case _ if conversation.phase is ConversationPhase.ENTERING:
            conversation.intake.hold([event])
        case _:
            conversation.goodbye(Reason.PROTOCOL_ERROR, "expected hello first")


def _leave_early(conversation: Conversation, event: Left) -> None:
    """The client does not want the session any more that it is about to get."""
    attachment = conversation.attachment
    if attachment is None:  # it is being loaded
        conversation.intake.hold([event])
    else:
        conversation.context.manager.close(attachment.session, Reason.CLIENT_LEFT)


def _forward(conversation: Conversation) -> bool:
    """A proxy says whom it speaks for. False if that client may not connect."""
    adapter, forward = conversation.adapter, conversation.listener.forward
    values, adapter.forwarded = adapter.forwarded, ()
    if forward is None or forward(conversation.connection, values):
        conversation.intake.network = None  # it may be another one now
        return True
    conversation.goodbye(Reason.CROWDED, _TOO_MANY)
    return False


def react(conversation: Conversation, attachment: Attachment, event: Event) -> bool:
    """An event of a live session. False if it is a command and there is no room for it."""
    match event:
        case Binary() | Data() | Interrupt():
            return attachment.command(event)
        case Proven(number):
            attachment.proven(number)
        case AbortOutput():
            session = attachment.session
            session.out.rewind(session.deliverable())
        case Left(done=True):
            conversation.context.manager.close(attachment.session, Reason.CLIENT_LEFT)
        case Left() | Broken():
            _end(conversation, event)
        case _:
            _serve(conversation, attachment, event)
    return True


def _serve(conversation: Conversation, attachment: Attachment, event: Event) -> None:
    """Handle a client's request to the gateway itself."""
    match event:
        case Resized() | Capable():
            _describe(conversation, attachment, event)
        case Enter() | ResumeOwn():
            identify.enter(conversation, event)
        case LoginGiven() | CredentialGiven():
            identify.log_in(conversation, attachment, event)
        case ProfileWanted():
            login.choose(conversation, attachment, event)
        case CodeWanted():
            conversation.run(rights.give_code(conversation, attachment))
        case TokenWanted():
            conversation.run(rights.give_token(conversation, attachment))
        case InvitationWanted(seconds):
            viewing.invite(conversation, attachment, seconds)
        case InvitationRevoked(number):
            viewing.revoke(conversation, attachment, number)
        case Watch():
            conversation.goodbye(Reason.PROTOCOL_ERROR, "a client with a session cannot watch")
        case _:
            raise AssertionError(f"an event that cannot come here: {event!r}")


def _describe(conversation: Conversation, attachment: Attachment, event: Resized | Capable) -> None:
    """Handle changed capabilities of the client."""
    session, backend = attachment.session, conversation.listener.backend
    if isinstance(event, Resized):
        session.resize(event)
        backend.resized(session, event)
    else:
        session.row.capabilities = shared_capabilities(event.capabilities)
        session.mark_row_dirty()
        backend.capabilities_changed(session)
    if session.viewers is not None:
        session.viewers.resize()
    conversation.capabilities = session.row.capabilities  # of another session, too, if it resumes


def hear(conversation: Conversation, attachment: Attachment, news: News) -> None:
    """Handle news of the backend."""
    match news:
        case News.POLICY_KNOWN:
            if attachment.live:
                login.begin(conversation, attachment)
        case News.USER_CHANGED:
            rights.renew(conversation, attachment)
            login.offer_own(conversation, attachment)
        case News.PROFILE_NEEDED:
            login.choose_profile(conversation, attachment)


def _end(conversation: Conversation, event: Left | Broken) -> None:
    """End the connection: the client has left or broken the protocol, and has its answer."""
    reason = Reason.CLIENT_LEFT
    if isinstance(event, Broken):
        reason = event.reason
        peer, protocol = conversation.connection.peer, conversation.adapter.protocol
        _log.info("protocol error of a client", peer=peer, protocol=protocol, fault=event.text)
        security = security_of(event)
        if security is not None:
            conversation.tell(security, why=event.text)
        conversation.context.counts[f"closed_{reason.value}"] += 1
    conversation.end(reason)
