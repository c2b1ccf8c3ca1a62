"""How a connection gets its session.

A token or a code takes up a session that is there; otherwise a new one is made.
Either is durable before the client is told, so that a gateway killed at any
moment still knows what it promised. How a new session becomes active is told in
`login`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.errors import BusyError, Reason
from holdfast.core.ids import show_resume_code
from holdfast.core.items import LATEST_PROMPT, Notice, Prompt
from holdfast.gateway.adapters.base import (
    Enter,
    Restart,
    ResumeOwn,
    Resumption,
    Welcomed,
)
from holdfast.gateway.conversation import login
from holdfast.gateway.conversation.phases import Phase
from holdfast.net.addresses import network_of
from holdfast.net.log import RateLimitedLogger
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.journal import StoreUnavailableError
from holdfast.sessions.manager import Claim, ClaimRefusal
from holdfast.sessions.session import Position, ResetReason, Session
from holdfast.sessions.states import Durability, SessionState
from holdfast.sessions.stores.base import StoreError
from holdfast.sessions.tokens import split_token

if TYPE_CHECKING:
    from holdfast.gateway.conversation.driver import Attachment

_log: Final = RateLimitedLogger("holdfast.gateway")

Work = Coroutine[Any, Any, None]

_CANNOT: Final = "sessions cannot be kept now; try later"
_UNTOLD: Final = float("inf")
"""No acknowledgement comes behind a token that is not told yet."""
_TOLD: Final = {
    ClaimRefusal.UNKNOWN: SecurityEvent.TOKEN_REFUSED,
    ClaimRefusal.REPLACED: SecurityEvent.TOKEN_REPLACED,
    ClaimRefusal.REVOKED: SecurityEvent.TOKEN_REVOKED,
    ClaimRefusal.RATE: SecurityEvent.CODE_LIMITED,
}
"""What the security log says of a refusal, with the sessions that the tokens name."""
_ONE_CODE: Final = "after a wrong code a connection takes no other; connect again"
_GONE: Final = Notice("That session is not there any more.")
_REPLACED: Final = Notice(
    "This browser's cookie is an older one: its session goes on where the newer one is."
    " This is a new session."
)


def dormant(attachment: Attachment, event: Enter | ResumeOwn) -> list[str]:
    """The sessions that are to be loaded before it can be judged what the client asks for."""
    manager, own = attachment.context.manager, attachment.session
    if isinstance(event, ResumeOwn):
        newest = manager.own(own) if own is not None else None
        return [newest.sid] if isinstance(newest, DormantSession) else []
    if event.code:
        wanted = [manager.dormant_of_code(event.code)]
    else:
        wanted = [manager.dormant_of_token(token) for token in (event.token, *event.cookies)]
    return [sid for sid in wanted if sid is not None]


async def load(attachment: Attachment, event: Enter | ResumeOwn, sids: Sequence[str]) -> None:
    """Load these sessions, and let the client enter.

    The store is read in its own thread: the connection waits for it, and nobody else.
    """
    context = attachment.context
    try:
        await context.manager.loader.load(sids, context.wall())
    except StoreError as error:
        _log.error("a session cannot be loaded", error=str(error))
        attachment.goodbye(Reason.INTERNAL_ERROR, _CANNOT)
    if attachment.phase is Phase.ENTERING:
        attachment.enter_loaded(event)


def enter(attachment: Attachment, event: Enter | ResumeOwn) -> Work | None:
    """Give the connection its session, in one step; what waits for the store is returned.

    `None` if there is no session for it: then the client has been told.
    """
    if type(event) is Enter and event.code and attachment.wrong_code:
        attachment.goodbye(Reason.REFUSED, _ONE_CODE)
        return None
    before = attachment.session
    claimed = _claim(attachment, event)
    claim = claimed if isinstance(claimed, Claim) else None
    if isinstance(claimed, ClaimRefusal):
        _tell_refusal(attachment, event, claimed)
        if before is not None or isinstance(event, ResumeOwn) or not event.or_new:
            return None
    if claim is not None and _is_overtaken(event, claim.session):
        attachment.goodbye(Reason.SUPERSEDED)
        return None
    if claim is not None and _cannot_keep(attachment, claim.session):
        attachment.goodbye(Reason.INTERNAL_ERROR, _CANNOT)
        return None
    if before is not None:
        # A person typed `resume` in a fresh session, which is of no more use.
        before.release(attachment)
        attachment.context.pool.unregister(before.sid, attachment)
        attachment.context.manager.close(before, Reason.CLIENT_LEFT)
    if claim is not None and claim.secret is None:
        how = "code" if claim.code else "offer"
        attachment.tell(SecurityEvent.TAKEN_OVER, how=how, of=claim.session.sid)
    if claim is None:
        attempt = event.attempt if type(event) is Enter else 0
        return _enter_new(attachment, attempt, replaced=claimed is ClaimRefusal.REPLACED)
    if type(event) is Enter:
        claim.session.row.attempt = event.attempt
        return _enter_claimed(attachment, claim, event)
    claim.session.row.attempt = before.row.attempt if before is not None else 0
    return _enter_claimed(attachment, claim, Enter())


def _tell_refusal(attachment: Attachment, event: Enter | ResumeOwn, refusal: ClaimRefusal) -> None:
    attachment.context.counts["claims_refused"] += 1
    if type(event) is Enter and refusal in _TOLD:
        told = _TOLD[refusal]
        if event.code and refusal is ClaimRefusal.UNKNOWN:
            attachment.wrong_code = True
            told = SecurityEvent.CODE_REFUSED
        tokens = [split_token(token) for token in (event.token, *event.cookies)]
        attachment.tell(told, of=[token[0] for token in tokens if token is not None])
    if isinstance(event, ResumeOwn):
        attachment.show(_GONE)
    else:
        attachment.adapter.refuse(refusal.value, _retry_seconds(attachment, refusal))
    if attachment.session is not None:
        login.ask_again(attachment, attachment.session)


def _retry_seconds(attachment: Attachment, refusal: ClaimRefusal) -> float | None:
    """When to come back with the same code; `None` where it was judged."""
    if refusal is not ClaimRefusal.RATE:
        return None
    now = attachment.context.wall()
    return attachment.context.manager.code_wait(_network(attachment), now)


def _network(attachment: Attachment) -> str:
    return network_of(attachment.connection.peer)


def _is_overtaken(event: Enter | ResumeOwn, session: Session) -> bool:
    """Whether a later connection of the same client was here before this one.

    Who comes with a code or takes an offer is another client, and has counted otherwise.
    """
    if type(event) is not Enter or event.code:
        return False
    return 0 < event.attempt <= session.row.attempt


def _claim(attachment: Attachment, event: Enter | ResumeOwn) -> Claim | ClaimRefusal | None:
    """The session that the client may take up, or `None` for a new one."""
    manager, now = attachment.context.manager, attachment.context.wall()
    address, own = _network(attachment), attachment.session
    if isinstance(event, ResumeOwn):
        claim = manager.claim_own(own) if own is not None else None
        return claim or ClaimRefusal.UNKNOWN
    if event.code:
        return _served_here(
            attachment, manager.claim_by_code(event.code, address, now, exclude=own)
        )
    if event.token:
        return _served_here(attachment, manager.claim_by_token(event.token, exclude=own))
    if own is not None:
        return ClaimRefusal.ENTERED
    return _claim_by_cookies(attachment, event.cookies)


def _served_here(attachment: Attachment, claimed: Claim | ClaimRefusal) -> Claim | ClaimRefusal:
    if isinstance(claimed, Claim) and claimed.session.backend is not attachment.door.backend:
        return ClaimRefusal.ELSEWHERE  # what is behind this listener knows nothing of it
    return claimed


def _claim_by_cookies(
    attachment: Attachment, cookies: Sequence[str]
) -> Claim | ClaimRefusal | None:
    """The first good token counts; `ClaimRefusal.REPLACED` before any other reason."""
    manager = attachment.context.manager
    refusal: ClaimRefusal | None = None
    for token in cookies:
        claimed = _served_here(attachment, manager.claim_by_token(token, revoke=False))
        if isinstance(claimed, Claim):
            return claimed
        if refusal is not ClaimRefusal.REPLACED:
            refusal = claimed
    return refusal


def _enter_new(attachment: Attachment, attempt: int, *, replaced: bool = False) -> Work | None:
    context, door = attachment.context, attachment.door
    durability = door.durability
    if context.memory_on_failure and context.journal.broken is not None:
        durability = Durability.MEMORY
    try:
        network = _network(attachment)
        session = context.manager.create(door.backend, durability, context.wall(), network)
    except BusyError as error:
        attachment.tell(SecurityEvent.LIMITED, why=f"no room for a session: {error}")
        attachment.goodbye(Reason.CROWDED)
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
        if replaced:
            attachment.show(_REPLACED)
        login.begin(attachment, session)
        attachment.go_on()

    return welcome()


def _enter_claimed(attachment: Attachment, claim: Claim, event: Enter) -> Work:
    session, position = claim.session, event.position
    session.attach(attachment, numbered=attachment.adapter.numbered)
    cin, _ = session.inbox.kept
    if session.skip_commands(event.acked):
        _log.warning(
            "a client has acknowledgements that the store does not know",
            sid=session.sid,
            first=cin + 1,
            last=event.acked,
        )
    attachment.context.manager.attached(session, _network(attachment))
    able = session.row.capabilities
    _introduce(attachment, session)
    token, code = _issue(attachment, claim)

    async def resume() -> None:
        if not await _settle(attachment, session):
            return
        attachment.admit(session)
        if session.row.capabilities != able:
            attachment.door.backend.capabilities_changed(session)
        reset = session.judge(position) if position is not None else None
        if position is None and attachment.adapter.numbered and claim.secret is not None:
            reset = ResetReason.FRESH
        if reset is not None:
            _restart(attachment, session, token, reset, position, cin)
        else:
            _resume(attachment, session, (token, code), position, cin)
        attachment.change_input_mode()
        out = session.out
        prompt = out.open_prompt(out.top if reset is not None else out.base)
        if prompt and position is None:  # the client may be another one, which does not show it
            session.emit(Prompt(prompt), LATEST_PROMPT, attachment.context.wall())
        if session.state is SessionState.SELECTING:
            login.choose_profile(attachment, session)
        else:
            attachment.adapter.begin_session()
        attachment.go_on()

    return resume()


def _resume(
    attachment: Attachment,
    session: Session,
    rights: tuple[str, str],
    position: Position | None,
    cin: int,
) -> None:
    """The client goes on where it says it is, or where the evidence says."""
    out = session.out
    lost = unsure = 0
    assumed_seconds = 0.0
    if position is None:
        last, lost, unsure = out.base, out.lost, out.unsure
        if out.assumed and out.assumed == out.acked:
            assumed_seconds = attachment.context.limits.session.unproven_seconds_max
    else:
        last = position.last
        out.maybe_delivered = last  # what it says is more than evidence
    out.rewind(last)
    out.prove(out.base)  # what is lost is told once
    out.assumed = 0
    resumption = Resumption(
        sid=session.sid,
        epoch=session.row.epoch,
        token=rights[0],
        code=rights[1],
        heartbeat_seconds=attachment.context.limits.websocket.heartbeat_seconds_max,
        first=last + 1,
        last=session.deliverable,
        maybe_delivered=out.maybe_delivered,
        lost=lost,
        unsure=unsure,
        assumed_seconds=assumed_seconds,
        cin=cin,
    )
    attachment.adapter.resume(resumption)
    attachment.send()
    attachment.deliver()
    attachment.adapter.caught_up(resumption)
    attachment.send()
    if lost or unsure:
        attachment.door.backend.resync(session, ResetReason.TRIMMED)
    else:
        attachment.door.backend.resumed(session)


def _restart(
    attachment: Attachment,
    session: Session,
    token: str,
    reason: ResetReason,
    position: Position | None,
    cin: int,
) -> None:
    """The client may have missed output that is gone: it begins afresh, with what is kept."""
    top = session.kept_after(position, reason)
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
            cin=cin,
        )
    )
    attachment.send()
    attachment.deliver()
    attachment.door.backend.resync(session, reason)


def _introduce(attachment: Attachment, session: Session) -> None:
    attachment.session = session
    row = session.row
    row.address = attachment.connection.peer
    row.protocol = attachment.protocol
    row.app = attachment.door.backend.name
    row.capabilities = attachment.capabilities
    session.mark_row_dirty()


def _issue(attachment: Attachment, claim: Claim) -> tuple[str, str]:
    """A new token and a new code, as far as the client can use them."""
    manager = attachment.context.manager
    if claim.secret is None:
        # Taken up by other means: older tokens are void, not stolen, whether or not the new
        # holder can use one.
        manager.void_tokens(claim.session)
    token = manager.issue_token(claim) if attachment.adapter.wants_token else ""
    code = ""
    if attachment.adapter.wants_code:
        code = manager.issue_code(claim)
    elif claim.secret is None:
        manager.use_up_code(claim)
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
                attachment.goodbye(Reason.INTERNAL_ERROR, _CANNOT)
    # Meanwhile the connection may have been lost, or superseded by a newer one.
    return attachment.session is session and session.consumer is attachment


async def give_code(attachment: Attachment, session: Session) -> None:
    """Give the client a code with which another can take the session up."""
    context = attachment.context
    until = context.wall() + context.limits.session.asked_code_seconds_max
    code = context.manager.issue_code(Claim(session, None), until)
    if await _settle(attachment, session):
        attachment.adapter.tell_code(show_resume_code(code))
        attachment.send()


async def give_token(attachment: Attachment, session: Session) -> None:
    """Give a client that has begun to count outputs what it needs to come back by itself."""
    manager = attachment.context.manager
    attachment.expect_proof(_UNTOLD)
    manager.void_tokens(session)
    await _tell_token(attachment, session, manager.issue_token(Claim(session, None)))


async def renew(attachment: Attachment, session: Session) -> None:
    """The session has become a user's: renew the rights to it."""
    manager, adapter = attachment.context.manager, attachment.adapter
    if not adapter.wants_code:
        manager.void_codes(session)
    if adapter.takes_tokens:
        attachment.expect_proof(_UNTOLD)
    token = manager.renew(session, new_token=adapter.takes_tokens)
    if token:
        await _tell_token(attachment, session, token)


async def _tell_token(attachment: Attachment, session: Session, token: str) -> None:
    if await _settle(attachment, session):
        row = session.row
        attachment.expect_proof(session.out.sent)
        attachment.adapter.tell_token(row.sid, token, row.epoch, session.out.sent)
        attachment.send()
