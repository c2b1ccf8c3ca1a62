"""How a new session becomes active: login and the choice of a profile, where its backend asks."""

from __future__ import annotations

import math
from typing import Final

from holdfast.core.errors import LimitExceededError, Reason
from holdfast.core.identity import ClientCertificate, Identity
from holdfast.core.items import Notice
from holdfast.core.login import (
    Authenticate,
    LoginError,
    LoginFaultError,
    LoginRefusedError,
)
from holdfast.gateway.adapters.events import LoginGiven, ProfileWanted
from holdfast.gateway.adapters.notifications import (
    ChooseProfile,
    LoginNeeded,
    SessionActive,
    SessionOffered,
)
from holdfast.gateway.conversation import rights
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.conversation.ports import Conversation
from holdfast.net.addresses import network_of
from holdfast.net.log import RateLimitedLogger
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionInput, SessionState

_log: Final = RateLimitedLogger("holdfast.gateway")

_TOO_MANY: Final = "too many wrong attempts"
TOO_MANY_SESSIONS: Final = "you have too many sessions open"
_AWAY: Final = "The application is away. Try again in a moment."
_WRONG: Final = "Something is wrong here. Try again later."
_RETRY_SECONDS_MAX: Final = 86_400.0
_NOT_YET: Final = Notice("The application is not here yet. Hold on.")


def begin(conversation: Conversation, attachment: Attachment) -> None:
    """Lead a new session on, as far as its backend's policy is known."""
    session = attachment.session
    if session.state is not SessionState.CONNECTING:
        return
    policy = conversation.listener.backend.policy
    if policy is None:
        attachment.show(_NOT_YET)
        return
    session.apply(SessionInput.NEGOTIATED)
    if session.row.proven:
        _authenticated(conversation, attachment)
        offer_own(conversation, attachment)
    elif policy.login:
        certificate = session.facts.certificate
        if policy.certificates and certificate is not None:
            conversation.run(_show_certificate(conversation, attachment, certificate))
        else:
            _ask_to_log_in(conversation)
        limit = conversation.context.limits.session.login_seconds_max
        conversation.context.runtime.loop.call_later(
            limit, _end_late, conversation.context.manager, session.sid
        )
    else:
        _authenticated(conversation, attachment)


def _ask_to_log_in(conversation: Conversation) -> None:
    conversation.adapter.notify(LoginNeeded())
    conversation.send()


async def _show_certificate(
    conversation: Conversation, attachment: Attachment, certificate: ClientCertificate
) -> None:
    """The backend may know the holder of the client's certificate: then nobody is asked."""
    session = attachment.session
    claim = Authenticate(session.sid, certificate=certificate.subject, client=session.facts)
    user, properties = "", dict[str, str]()
    try:
        result = await conversation.listener.backend.authenticate(session, claim)
    except LoginError as error:
        _explain(session, error)  # a defect is logged; the user is asked in any case
    else:
        user, properties = result.user, result.properties
    if conversation.attachment is not attachment:
        return
    if session.state is SessionState.AUTHENTICATING:
        if user:
            _become(conversation, attachment, user, properties)
        else:
            _ask_to_log_in(conversation)


def ask_again(conversation: Conversation, attachment: Attachment) -> None:
    """A person at a terminal has answered a question with a `resume` that was refused."""
    session = attachment.session
    if conversation.adapter.numbered:
        return
    if session.state is SessionState.AUTHENTICATING:
        conversation.adapter.notify(LoginNeeded())
    elif session.state is SessionState.SELECTING:
        choose_profile(conversation, attachment)


def log_in(conversation: Conversation, attachment: Attachment, given: LoginGiven) -> None:
    """The client says who it is."""
    session = attachment.session
    if session.state is not SessionState.AUTHENTICATING:
        return
    if _has_no_attempt_left(conversation):
        _end_attempts(conversation)
        return
    conversation.login_attempts += 1
    context, now = conversation.context, conversation.connection.time()
    network = network_of(conversation.connection.peer)
    wait = context.attempts.wait(network, given.username, now)
    if wait > 0:
        conversation.tell(SecurityEvent.LOGIN_LIMITED, user=given.username, why=_TOO_MANY)
        seconds = math.ceil(wait)
        error = f"{_TOO_MANY}; try again in {seconds} s"
        conversation.adapter.notify(LoginNeeded(error, seconds))
        conversation.send()
        return
    context.attempts.begin(network)
    conversation.run(_attempt(conversation, attachment, given, network))


def _end_late(manager: SessionManager, sid: str) -> None:
    """Disconnect a client that has not logged in by now."""
    session = manager.sessions.get(sid)
    if session is not None and session.state is SessionState.AUTHENTICATING:
        manager.close(session, Reason.TIMEOUT)


async def _attempt(
    conversation: Conversation, attachment: Attachment, given: LoginGiven, network: str
) -> None:
    try:
        await _login(conversation, attachment, given, network)
    finally:
        conversation.context.attempts.end(network)


def _has_no_attempt_left(conversation: Conversation) -> bool:
    return conversation.login_attempts >= conversation.context.limits.session.login_attempts_max


def _end_attempts(conversation: Conversation) -> None:
    conversation.tell(SecurityEvent.LOGIN_LIMITED, why=_TOO_MANY)
    conversation.goodbye(Reason.REFUSED, _TOO_MANY)


def choose(conversation: Conversation, attachment: Attachment, wanted: ProfileWanted) -> None:
    """The client chooses a profile, or wants a new one."""
    session = attachment.session
    if session.state is SessionState.SELECTING:
        conversation.run(_choose(conversation, attachment, wanted))


def offer_own(conversation: Conversation, attachment: Attachment) -> None:
    """The user is known: another session of the same user is offered."""
    session = attachment.session
    own = conversation.context.manager.claims.newest_of_user(session, conversation.context.wall())
    if own is None or not conversation.listener.resumes:
        return
    detached = own.detached
    minutes = (conversation.context.wall() - detached) / 60
    if not detached:  # its connection may be dead, without anybody knowing it
        stands = "still connected elsewhere"
    else:
        stands = "cut off a moment ago" if minutes < 1 else f"cut off {minutes:.0f} min ago"
    conversation.adapter.notify(SessionOffered(f"You have another session, {stands}."))
    conversation.send()


async def _login(
    conversation: Conversation, attachment: Attachment, given: LoginGiven, network: str
) -> None:
    session = attachment.session
    claim = Authenticate(
        session.sid, given.username, given.password, given.token, client=session.facts
    )
    try:
        result = await conversation.listener.backend.authenticate(session, claim)
    except LoginError as error:
        if not isinstance(error, LoginRefusedError):
            conversation.login_attempts -= 1  # nobody has judged it
        else:
            conversation.tell(SecurityEvent.LOGIN_FAILED, user=given.username, why=str(error))
            conversation.context.attempts.failed(
                network, given.username, _retry_seconds(error), conversation.connection.time()
            )
            if _has_no_attempt_left(conversation):
                _end_attempts(conversation)
                return
        need = LoginNeeded(_explain(session, error), _retry_seconds(error))
    else:
        if conversation.attachment is attachment and session.state is SessionState.AUTHENTICATING:
            _become(conversation, attachment, result.user, result.properties)
        return
    if conversation.attachment is attachment:
        conversation.adapter.notify(need)
        conversation.send()


def log_in_proven(conversation: Conversation, attachment: Attachment, identity: Identity) -> bool:
    """The client of a session that waits for a login has this identity. False if it has ended."""
    return _become(conversation, attachment, identity.user, identity.properties, proven=True)


def _become(
    conversation: Conversation,
    attachment: Attachment,
    user: str,
    properties: dict[str, str],
    *,
    proven: bool = False,
) -> bool:
    """The session is this user's from now on. False if the user has too many."""
    session = attachment.session
    try:
        conversation.context.manager.set_user(session, user)
    except LimitExceededError:
        conversation.goodbye(Reason.CROWDED, TOO_MANY_SESSIONS)
        return False
    session.row.properties = properties
    session.row.proven = proven
    session.mark_row_dirty()
    rights.renew(conversation, attachment)
    _authenticated(conversation, attachment)
    offer_own(conversation, attachment)
    return True


def _authenticated(conversation: Conversation, attachment: Attachment) -> None:
    session = attachment.session
    session.apply(SessionInput.AUTHENTICATED)
    policy = conversation.listener.backend.policy
    if policy is not None and policy.profiles:
        choose_profile(conversation, attachment)
    else:
        _selected(conversation, attachment)


def _selected(conversation: Conversation, attachment: Attachment) -> None:
    session = attachment.session
    session.apply(SessionInput.SELECTED)
    conversation.adapter.notify(SessionActive())
    conversation.listener.backend.opened(session)


def choose_profile(conversation: Conversation, attachment: Attachment, error: str = "") -> None:
    """Ask the user for a profile; `error` says why the last choice failed."""
    conversation.run(_offer_profiles(conversation, attachment, error))


async def _offer_profiles(conversation: Conversation, attachment: Attachment, error: str) -> None:
    session = attachment.session
    try:
        profiles = await conversation.listener.backend.profiles(session)
    except LoginError as fault:
        profiles, error = [], error or _explain(session, fault)
    if conversation.attachment is attachment and session.state is SessionState.SELECTING:
        conversation.adapter.notify(ChooseProfile(profiles, error))
        conversation.send()


async def _choose(
    conversation: Conversation, attachment: Attachment, wanted: ProfileWanted
) -> None:
    session = attachment.session
    backend = conversation.listener.backend
    try:
        chosen = wanted.id
        if not chosen:
            chosen = (await backend.create_profile(session, wanted.name, wanted.properties)).id
        profile = await backend.select_profile(session, chosen)
    except LoginError as error:
        choose_profile(conversation, attachment, _explain(session, error))
    else:
        if conversation.attachment is attachment and session.state is SessionState.SELECTING:
            session.row.profile = profile.id
            _selected(conversation, attachment)


def _explain(session: Session, error: LoginError) -> str:
    """Return the text for the user about a failed call of the backend."""
    if isinstance(error, LoginRefusedError):
        return str(error)
    if not isinstance(error, LoginFaultError):
        return _AWAY
    _log.error(
        "application failed to answer", session=session.sid, code=error.code, fault=str(error)
    )
    return _WRONG


def _retry_seconds(error: LoginError) -> float:
    """Return the backend's retry time in seconds, within limits."""
    return error.retry_s if 0 <= error.retry_s <= _RETRY_SECONDS_MAX else 0.0
