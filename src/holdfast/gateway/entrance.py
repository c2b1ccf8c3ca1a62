"""How a connection gets its session, and how a new session becomes active.

A token or a code takes up a session that is there; otherwise a new one is made.
Either is durable before the client is told, so that a gateway killed at any
moment still knows what it promised. A new session passes through login and the
choice of a profile where its backend asks for them, and at once where not.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.errors import BusyError, Reason
from holdfast.core.items import Notice
from holdfast.gateway.adapters.base import (
    ChooseProfile,
    Enter,
    LoginGiven,
    LoginNeeded,
    ProfileWanted,
    Restart,
    ResumeOwn,
    Resumption,
    Welcomed,
)
from holdfast.link.messages import Authenticate
from holdfast.link.peer import LinkClosedError, RequestError
from holdfast.sessions.journal import StoreUnavailableError
from holdfast.sessions.manager import Claim, Refusal
from holdfast.sessions.session import Position, ResetReason, Session
from holdfast.sessions.states import Durability, SessionInput, SessionState

if TYPE_CHECKING:
    from holdfast.gateway.attach import Attachment

Work = Coroutine[Any, Any, None]

_TOO_MANY: Final = "too many wrong attempts"
_AWAY: Final = "The application is away. Try again in a moment."
_CANNOT: Final = "sessions cannot be kept now; try later"
_GONE: Final = Notice("That session is not there any more.")
_NOT_YET: Final = Notice("The application is not here yet. Hold on.")


# --- getting a session


def enter(attachment: Attachment, event: Enter | ResumeOwn) -> Work | None:
    """Give the connection its session, in one step; what waits for the store is returned.

    `None` if there is no session for it: then the client has been told.
    """
    before = attachment.session
    claim = _claim(attachment, event)
    if isinstance(claim, Refusal):
        attachment.context.counts["claims_refused"] += 1
        if isinstance(event, ResumeOwn):
            attachment.show(_GONE)
        else:
            attachment.adapter.refuse(claim.value)
        if before is not None:
            _ask_again(attachment, before)
            return None
        if isinstance(event, ResumeOwn) or not event.or_new:
            return None
        claim = None
    if (
        claim is not None
        and type(event) is Enter
        and 0 < event.attempt <= claim.session.row.attempt
    ):
        # A later connection of the same client has overtaken this one.
        attachment.context.manager.unclaim(claim)
        attachment.leave(Reason.SUPERSEDED)
        return None
    if claim is not None and _cannot_keep(attachment, claim.session):
        attachment.context.manager.unclaim(claim)
        attachment.leave(Reason.INTERNAL_ERROR, _CANNOT)
        return None
    if before is not None:
        # A person typed `resume` in a fresh session, which is of no more use.
        before.release(attachment)
        attachment.context.pool.unregister(before.sid, attachment)
        attachment.context.manager.close(before, Reason.CLIENT_LEFT)
    if claim is None:
        return _enter_new(attachment, event.attempt if type(event) is Enter else 0)
    if type(event) is not Enter:
        return _enter_claimed(attachment, claim, None)
    claim.session.row.attempt = event.attempt
    return _enter_claimed(attachment, claim, event.position)


def _ask_again(attachment: Attachment, session: Session) -> None:
    """A person at a terminal has answered a question with a `resume` that was refused."""
    if attachment.adapter.numbered:
        return
    if session.state is SessionState.AUTHENTICATING:
        attachment.adapter.ask_login(LoginNeeded())
    elif session.state is SessionState.SELECTING:
        _choose_profile(attachment, session)


def _claim(attachment: Attachment, event: Enter | ResumeOwn) -> Claim | Refusal | None:
    """The session that the client may take up, or `None` for a new one."""
    manager, now = attachment.context.manager, attachment.context.wall()
    address = attachment.connection.peer.rpartition(":")[0]
    own = attachment.session
    if isinstance(event, ResumeOwn):
        claim = manager.claim_own(own) if own is not None else None
        return claim or Refusal.UNKNOWN
    if event.code:
        claimed = manager.claim_by_code(event.code, address, now, but=own)
    elif event.token:
        claimed = manager.claim_by_token(event.token, address, now)
    else:
        return None
    if isinstance(claimed, Claim) and claimed.session.backend is not attachment.door.backend:
        manager.unclaim(claimed)  # another listener's: what is behind this one knows nothing of it
        return Refusal.ELSEWHERE
    return claimed


def _enter_new(attachment: Attachment, attempt: int) -> Work | None:
    context, door = attachment.context, attachment.door
    durability = door.durability
    if context.memory_on_failure and context.journal.broken is not None:
        durability = Durability.MEMORY
    try:
        session = context.manager.create(door.backend, durability, context.wall())
    except BusyError:
        attachment.leave(Reason.SHUTDOWN, "there is no room for another session now")
        return None
    session.open(attachment, numbered=attachment.adapter.numbered)
    session.row.attempt = attempt
    _introduce(attachment, session)
    token, code = _issue(attachment, Claim(session, None))

    async def welcome() -> None:
        if not await _settle(attachment, session):
            return
        attachment.admit(session)
        attachment.adapter.welcome(
            Welcomed(
                sid=session.sid,
                epoch=session.row.epoch,
                token=token,
                code=code,
                heartbeat_seconds=context.limits.websocket.heartbeat_seconds_max,
            )
        )
        attachment.send()  # before any notice, which is written at once
        begin(attachment, session)
        attachment.go_on()

    return welcome()


def _enter_claimed(attachment: Attachment, claim: Claim, position: Position | None) -> Work:
    session = claim.session
    session.attach(attachment, numbered=attachment.adapter.numbered)
    attachment.context.manager.attached(session)
    _introduce(attachment, session)
    token, code = _issue(attachment, claim)

    async def resume() -> None:
        if not await _settle(attachment, session):
            if session.consumer is None:
                attachment.context.manager.unclaim(claim)
            return
        attachment.admit(session)
        reset = session.judge(position) if position is not None else None
        if position is None and attachment.adapter.numbered and claim.secret is not None:
            reset = ResetReason.FRESH
        if reset is not None:
            _restart(attachment, session, token, reset)
        else:
            _resume(attachment, session, (token, code), position)
        if session.state is SessionState.SELECTING:
            _choose_profile(attachment, session)
        else:
            attachment.adapter.begin_session()
        attachment.go_on()

    return resume()


def _resume(
    attachment: Attachment,
    session: Session,
    rights: tuple[str, str],
    position: Position | None,
) -> None:
    """The client goes on where it says it is, or where the evidence says."""
    out = session.out
    last = position.last if position is not None else out.base
    lost = out.lost if position is None else 0
    out.rewind(last)
    out.prove(out.base)  # what is lost is told once
    resumption = Resumption(
        sid=session.sid,
        epoch=session.row.epoch,
        token=rights[0],
        code=rights[1],
        heartbeat_seconds=attachment.context.limits.websocket.heartbeat_seconds_max,
        first=last + 1,
        last=session.deliverable,
        seen=out.seen if position is None else 0,
        lost=lost,
        cin=session.inbox.cin,
    )
    attachment.adapter.resume(resumption)
    attachment.send()
    attachment.deliver()
    attachment.adapter.caught_up(resumption)
    attachment.send()
    if lost:
        attachment.door.backend.resync(session, ResetReason.TRIMMED)
    else:
        attachment.door.backend.resumed(session)


def _restart(attachment: Attachment, session: Session, token: str, reason: ResetReason) -> None:
    """The client may have missed output that is gone: it begins afresh."""
    top = session.deliverable
    session.out.rewind(top)
    attachment.context.counts[f"resets_{reason.value}"] += 1
    attachment.adapter.restart(
        Restart(
            sid=session.sid,
            epoch=session.row.epoch,
            token=token,
            heartbeat_seconds=attachment.context.limits.websocket.heartbeat_seconds_max,
            reason=reason,
            top=top,
            cin=session.inbox.cin,
        )
    )
    attachment.send()
    attachment.door.backend.resync(session, reason)


def _introduce(attachment: Attachment, session: Session) -> None:
    attachment.session = session
    row = session.row
    row.address = attachment.connection.peer
    row.protocol = attachment.protocol
    row.app = attachment.door.backend.name
    row.capabilities = attachment.capabilities
    session.touch_row()


def _issue(attachment: Attachment, claim: Claim) -> tuple[str, str]:
    """A new token and a new code, as far as the client can use them."""
    manager = attachment.context.manager
    token = manager.issue_token(claim) if attachment.adapter.wants_token else ""
    code = manager.issue_code(claim.session) if attachment.adapter.wants_code else ""
    return token, code


def _cannot_keep(attachment: Attachment, session: Session) -> bool:
    """Whether the store is known to refuse what this session needs."""
    context = attachment.context
    broken = context.journal.broken is not None
    return broken and session.persistent and not context.memory_on_failure


async def _settle(attachment: Attachment, session: Session) -> bool:
    """Wait until the session is durable. False if the connection is to go no further."""
    if session.persistent:
        try:
            await attachment.context.journal.settled()
        except StoreUnavailableError:
            if not attachment.context.memory_on_failure:
                attachment.leave(Reason.INTERNAL_ERROR, _CANNOT)
    # Meanwhile the connection may have been lost, or superseded by a newer one.
    return attachment.session is session and session.consumer is attachment


async def give_code(attachment: Attachment, session: Session) -> None:
    """Give the client a code with which another can take the session up."""
    code = attachment.context.manager.issue_code(session)
    if await _settle(attachment, session):
        attachment.adapter.tell_code(f"{code[:4]}-{code[4:]}")
        attachment.send()


async def give_token(attachment: Attachment, session: Session) -> None:
    """Give a client that has begun to count outputs what it needs to come back by itself."""
    token = attachment.context.manager.issue_token(Claim(session, None))
    if await _settle(attachment, session):
        row = session.row
        attachment.adapter.tell_token(row.sid, token, row.epoch, session.out.sent)
        attachment.send()


# --- becoming active


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
    else:
        _authenticated(attachment, session)


def login(attachment: Attachment, session: Session, given: LoginGiven) -> None:
    """The client says who it is."""
    if session.state is not SessionState.AUTHENTICATING:
        return
    if attachment.login_attempts >= attachment.context.limits.session.login_attempts_max:
        attachment.leave(Reason.REFUSED, _TOO_MANY)
        return
    attachment.login_attempts += 1
    attachment.run(_login(attachment, session, given))


def choose(attachment: Attachment, session: Session, wanted: ProfileWanted) -> None:
    """The client chooses a profile, or wants a new one."""
    if session.state is SessionState.SELECTING:
        attachment.run(_choose(attachment, session, wanted))


def choose_again(attachment: Attachment, session: Session) -> None:
    """The application sends the user back to the choice of a profile."""
    _choose_profile(attachment, session)


def offer_own(attachment: Attachment, session: Session) -> None:
    """The user is known: a detached session of the same user is offered."""
    claim = attachment.context.manager.claim_own(session)
    if claim is None:
        return
    minutes = (attachment.context.wall() - claim.session.row.detached) / 60
    when = "a moment ago" if minutes < 1 else f"{minutes:.0f} min ago"
    attachment.adapter.offer(f"You have another session, cut off {when}.")
    attachment.send()


async def _login(attachment: Attachment, session: Session, given: LoginGiven) -> None:
    claim = Authenticate(session.sid, given.username, given.password, given.token)
    try:
        result = await attachment.door.backend.authenticate(session, claim)
    except RequestError as error:
        if attachment.login_attempts >= attachment.context.limits.session.login_attempts_max:
            attachment.leave(Reason.REFUSED, _TOO_MANY)
            return
        need = LoginNeeded(str(error), error.retry_s)
    except (LinkClosedError, TimeoutError):
        attachment.login_attempts -= 1  # nobody has looked at it
        need = LoginNeeded(_AWAY)
    else:
        if attachment.session is session and session.state is SessionState.AUTHENTICATING:
            session.row.user = result.user
            session.row.properties = result.properties
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
        _choose_profile(attachment, session)
    else:
        _selected(attachment, session)


def _selected(attachment: Attachment, session: Session) -> None:
    session.apply(SessionInput.SELECTED)
    attachment.adapter.begin_session()
    attachment.door.backend.opened(session)


def _choose_profile(attachment: Attachment, session: Session, error: str = "") -> None:
    attachment.run(_offer_profiles(attachment, session, error))


async def _offer_profiles(attachment: Attachment, session: Session, error: str) -> None:
    try:
        profiles = await attachment.door.backend.profiles(session)
    except (RequestError, LinkClosedError, TimeoutError) as fault:
        profiles, error = [], error or (str(fault) if isinstance(fault, RequestError) else _AWAY)
    if attachment.session is session and session.state is SessionState.SELECTING:
        attachment.adapter.ask_profile(ChooseProfile(profiles, error))
        attachment.send()
        attachment.read_ahead()


async def _choose(attachment: Attachment, session: Session, wanted: ProfileWanted) -> None:
    backend = attachment.door.backend
    try:
        chosen = wanted.id or (await backend.create_profile(session, wanted.name)).id
        profile = await backend.select_profile(session, chosen)
    except RequestError as error:
        _choose_profile(attachment, session, str(error))
    except (LinkClosedError, TimeoutError):
        _choose_profile(attachment, session, _AWAY)
    else:
        if attachment.session is session and session.state is SessionState.SELECTING:
            session.row.profile = profile.id
            _selected(attachment, session)
            attachment.read_ahead()
