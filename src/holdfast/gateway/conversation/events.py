"""What the rarer events of a connection lead to: all but commands and acknowledgements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.errors import Reason
from holdfast.core.items import Binary, Data, Interrupt, Resized
from holdfast.gateway.adapters.base import (
    AbortOutput,
    Ack,
    Broken,
    Capable,
    CodeWanted,
    Enter,
    Event,
    Left,
    LoginGiven,
    PlainHttp,
    ProfileWanted,
    Proven,
    ResumeOwn,
    TokenWanted,
)
from holdfast.gateway.conversation import attach, login
from holdfast.gateway.conversation.phases import Phase
from holdfast.net.log import RateLimitedLogger
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.session import Session

if TYPE_CHECKING:
    from holdfast.gateway.conversation.driver import Attachment

_log: Final = RateLimitedLogger("holdfast.gateway")

FREE: Final = frozenset({Ack, Proven, AbortOutput, Left, Broken})
"""Events that do not count towards the rate of commands."""


def react_early(attachment: Attachment, event: Event) -> None:
    """An event while there is no live session."""
    match event:
        case Left() if attachment.phase is Phase.LEAVING:
            attachment.connection.close()
        case _ if attachment.phase is Phase.LEAVING:
            pass
        case Left() | Broken():
            _end(attachment, event)
        case PlainHttp(data):
            attachment.serve_http(data)
        case Capable(capabilities) if attachment.phase is Phase.WAITING:
            attachment.capabilities = capabilities
        case Enter() if attachment.phase is Phase.WAITING:
            attachment.enter(event)
        case _ if attachment.phase is Phase.ENTERING:
            attachment.hold(event)
        case _:
            attachment.goodbye(Reason.PROTOCOL_ERROR, "expected hello first")


def react(attachment: Attachment, session: Session, event: Event) -> bool:
    """An event of a live session. False if it is a command and there is no room for it."""
    match event:
        case Binary() | Data() | Interrupt():
            return attachment.command(session, event)
        case Proven(number):
            attachment.proven(session, number)
        case AbortOutput():
            session.out.rewind(session.deliverable)
        case Left(done=True):
            attachment.context.manager.close(session, Reason.CLIENT_LEFT)
        case Left() | Broken():
            _end(attachment, event)
        case _:
            _serve(attachment, session, event)
    return True


def _serve(attachment: Attachment, session: Session, event: Event) -> None:
    """What a client may ask of the house itself."""
    backend = attachment.door.backend
    match event:
        case Resized():
            session.resize(event)
            backend.resized(session, event)
        case Capable(capabilities):
            session.row.capabilities = capabilities
            session.mark_row_dirty()
            backend.capabilities_changed(session)
        case Enter() | ResumeOwn():
            attachment.enter(event)
        case LoginGiven():
            login.log_in(attachment, session, event)
        case ProfileWanted():
            login.choose(attachment, session, event)
        case CodeWanted():
            attachment.run(attach.give_code(attachment, session))
        case TokenWanted():
            attachment.run(attach.give_token(attachment, session))
        case _:
            raise AssertionError(f"an event that cannot come here: {event!r}")


def _end(attachment: Attachment, event: Left | Broken) -> None:
    """The client ends the connection, or leaves us no choice; it has had its answer."""
    reason = Reason.CLIENT_LEFT
    if isinstance(event, Broken):
        reason = event.reason
        peer, protocol = attachment.connection.peer, attachment.protocol
        _log.info("a client broke the rules", peer=peer, protocol=protocol, fault=event.text)
        security = SecurityEvent.LIMITED if reason is Reason.FLOOD else event.security
        if security is not None:
            attachment.tell(security, why=event.text)
        attachment.context.counts[f"closed_{reason.value}"] += 1
    attachment.end(reason)
