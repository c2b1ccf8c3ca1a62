"""How a new session becomes active: login and the choice of a profile, where its backend asks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from holdfast.core.errors import LimitExceededError, Reason
from holdfast.core.items import Notice
from holdfast.core.login import (
    Authenticate,
    LoginError,
    LoginFaultError,
    LoginRefusedError,
)
from holdfast.gateway.adapters.base import ChooseProfile, LoginGiven, LoginNeeded, ProfileWanted
from holdfast.net.addresses import network_of
from holdfast.net.log import RateLimitedLogger
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionInput, SessionState

if TYPE_CHECKING:
    from holdfast.gateway.conversation.driver import Attachment

_log: Final = RateLimitedLogger("holdfast.gateway")

_TOO_MANY: Final = "too many wrong attempts"
_TOO_MANY_SESSIONS: Final = "you have too many sessions open"
_AWAY: Final = "The application is away. Try again in a moment."
_WRONG: Final = "Something is wrong here. Try again later."
_RETRY_SECONDS_MAX: Final = 86_400.0
_NOT_YET: Final = Notice("The application is not here yet. Hold on.")


def begin(attachment: Attachment, session: Session) -> None:
    """Lead a new session on, as far as its backend's policy is known."""
    if session.state is not SessionState.CONNECTING:
        return
    policy = attachment.door.backend.policy
    if policy is None:
        attachment.show(_NOT_YET)
        return
    session.apply(SessionInput.NEGOTIATED)
    if policy.login:
        attachment.adapter.ask_login(LoginNeeded())
        attachment.send()
        limit = attachment.context.limits.session.login_seconds_max
        attachment.context.runtime.loop.call_later(
            limit, _end_late, attachment.context.manager, session.sid
        )
    else:
        _authenticated(attachment, session)


def ask_again(attachment: Attachment, session: Session) -> None:
    """A person at a terminal has answered a question with a `resume` that was refused."""
    if attachment.adapter.numbered:
        return
    if session.state is SessionState.AUTHENTICATING:
        attachment.adapter.ask_login(LoginNeeded())
    elif session.state is SessionState.SELECTING:
        choose_profile(attachment, session)


def log_in(attachment: Attachment, session: Session, given: LoginGiven) -> None:
    """The client says who it is."""
    if session.state is not SessionState.AUTHENTICATING:
        return
    if _has_no_attempt_left(attachment):
        _end_attempts(attachment)
        return
    attachment.login_attempts += 1
    context, now = attachment.context, attachment.connection.time()
    network = network_of(attachment.connection.peer)
    wait = context.attempts.wait(network, given.username, now)
    if wait > 0:
        attachment.tell(SecurityEvent.LOGIN_LIMITED, user=given.username, why=_TOO_MANY)
        seconds = math.ceil(wait)
        error = f"{_TOO_MANY}; try again in {seconds} s"
        attachment.adapter.ask_login(LoginNeeded(error, seconds))
        attachment.send()
        return
    context.attempts.begin(network)
    attachment.run(_attempt(attachment, session, given, network))


def _end_late(manager: SessionManager, sid: str) -> None:
    """Who has not logged in by now is sent away."""
    session = manager.sessions.get(sid)
    if session is not None and session.state is SessionState.AUTHENTICATING:
        manager.close(session, Reason.TIMEOUT)


async def _attempt(
    attachment: Attachment, session: Session, given: LoginGiven, network: str
) -> None:
    try:
        await _login(attachment, session, given, network)
    finally:
        attachment.context.attempts.end(network)


def _has_no_attempt_left(attachment: Attachment) -> bool:
    return attachment.login_attempts >= attachment.context.limits.session.login_attempts_max


def _end_attempts(attachment: Attachment) -> None:
    attachment.tell(SecurityEvent.LOGIN_LIMITED, why=_TOO_MANY)
    attachment.goodbye(Reason.REFUSED, _TOO_MANY)


def choose(attachment: Attachment, session: Session, wanted: ProfileWanted) -> None:
    """The client chooses a profile, or wants a new one."""
    if session.state is SessionState.SELECTING:
        attachment.run(_choose(attachment, session, wanted))


def offer_own(attachment: Attachment, session: Session) -> None:
    """The user is known: another session of the same user is offered."""
    own = attachment.context.manager.own(session)
    if own is None:
        return
    detached = own.detached
    minutes = (attachment.context.wall() - detached) / 60
    if not detached:  # its connection may be dead, without anybody knowing it
        stands = "still connected elsewhere"
    else:
        stands = "cut off a moment ago" if minutes < 1 else f"cut off {minutes:.0f} min ago"
    attachment.adapter.offer(f"You have another session, {stands}.")
    attachment.send()


async def _login(attachment: Attachment, session: Session, given: LoginGiven, network: str) -> None:
    claim = Authenticate(session.sid, given.username, given.password, given.token)
    try:
        result = await attachment.door.backend.authenticate(session, claim)
    except LoginError as error:
        if not isinstance(error, LoginRefusedError):
            attachment.login_attempts -= 1  # nobody has judged it
        else:
            attachment.tell(SecurityEvent.LOGIN_FAILED, user=given.username, why=str(error))
            attachment.context.attempts.failed(
                network, given.username, _retry_seconds(error), attachment.connection.time()
            )
            if _has_no_attempt_left(attachment):
                _end_attempts(attachment)
                return
        need = LoginNeeded(_explain(session, error), _retry_seconds(error))
    else:
        if attachment.session is session and session.state is SessionState.AUTHENTICATING:
            try:
                attachment.context.manager.set_user(session, result.user)
            except LimitExceededError:
                attachment.goodbye(Reason.CROWDED, _TOO_MANY_SESSIONS)
                return
            session.row.properties = result.properties
            attachment.renew_rights(session)
            _authenticated(attachment, session)
            offer_own(attachment, session)
            attachment.read_ahead()
        return
    if attachment.session is session:
        attachment.adapter.ask_login(need)
        attachment.send()
        attachment.read_ahead()


def _authenticated(attachment: Attachment, session: Session) -> None:
    session.apply(SessionInput.AUTHENTICATED)
    policy = attachment.door.backend.policy
    if policy is not None and policy.profiles:
        choose_profile(attachment, session)
    else:
        _selected(attachment, session)


def _selected(attachment: Attachment, session: Session) -> None:
    session.apply(SessionInput.SELECTED)
    attachment.adapter.begin_session()
    attachment.door.backend.opened(session)


def choose_profile(attachment: Attachment, session: Session, error: str = "") -> None:
    """Ask the user for a profile; `error` says why the last choice failed."""
    attachment.run(_offer_profiles(attachment, session, error))


async def _offer_profiles(attachment: Attachment, session: Session, error: str) -> None:
    try:
        profiles = await attachment.door.backend.profiles(session)
    except LoginError as fault:
        profiles, error = [], error or _explain(session, fault)
    if attachment.session is session and session.state is SessionState.SELECTING:
        attachment.adapter.ask_profile(ChooseProfile(profiles, error))
        attachment.send()
        attachment.read_ahead()


async def _choose(attachment: Attachment, session: Session, wanted: ProfileWanted) -> None:
    backend = attachment.door.backend
    try:
        chosen = wanted.id or (await backend.create_profile(session, wanted.name)).id
        profile = await backend.select_profile(session, chosen)
    except LoginError as error:
        choose_profile(attachment, session, _explain(session, error))
    else:
        if attachment.session is session and session.state is SessionState.SELECTING:
            session.row.profile = profile.id
            _selected(attachment, session)
            attachment.read_ahead()


def _explain(session: Session, error: LoginError) -> str:
    """What the user is told of a question to the backend that failed."""
    if isinstance(error, LoginRefusedError):
        return str(error)
    if not isinstance(error, LoginFaultError):
        return _AWAY
    _log.error(
        "the application could not answer", session=session.sid, code=error.code, fault=str(error)
    )
    return _WRONG


def _retry_seconds(error: LoginError) -> float:
    """How long the user is to wait, as the backend says, if that makes sense."""
    return error.retry_s if 0 <= error.retry_s <= _RETRY_SECONDS_MAX else 0.0
