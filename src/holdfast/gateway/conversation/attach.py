"""Attaches a connection to its session.

A token or a code resumes an existing session; otherwise a new one is made. Both are durable
before the client gets them, so a gateway that is killed at any moment still honours them.
`login` makes a new session active.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from holdfast.core.errors import BusyError, LimitExceededError, Reason
from holdfast.core.identity import Identity
from holdfast.core.items import Notice
from holdfast.gateway.adapters.events import Enter, ResumeOwn
from holdfast.gateway.adapters.notifications import ClaimRefused, Welcomed
from holdfast.gateway.auth.facts import facts_of
from holdfast.gateway.conversation import login
from holdfast.gateway.conversation.entering import resume, wait
from holdfast.gateway.conversation.fetch import fetch, fetching_ends, is_elsewhere, may_fetch
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.conversation.phases import ConversationPhase
from holdfast.gateway.conversation.ports import Conversation, Work
from holdfast.gateway.conversation.returning import Returning, admit, take_up
from holdfast.gateway.conversation.rights import CANNOT_KEEP, can_keep, settle
from holdfast.net.addresses import network_of
from holdfast.net.log import RateLimitedLogger
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.claims import Claim, ClaimRefusal
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.life import Life
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability
from holdfast.sessions.stores.base import StoreError
from holdfast.sessions.tokens import split_token

_log: Final = RateLimitedLogger("holdfast.gateway")

_TOLD: Final = {
    ClaimRefusal.UNKNOWN: SecurityEvent.TOKEN_REFUSED,
    ClaimRefusal.REPLACED: SecurityEvent.TOKEN_REPLACED,
    ClaimRefusal.REVOKED: SecurityEvent.TOKEN_REVOKED,
    ClaimRefusal.OTHER_USER: SecurityEvent.USER_REFUSED,
    ClaimRefusal.RATE: SecurityEvent.CODE_LIMITED,
}
"""What the security log says of a refusal, with the sessions that the tokens name."""
_ONE_CODE: Final = "after a wrong code a connection takes no other; connect again"
_GONE: Final = Notice("That session is not there any more.")
_REPLACED: Final = Notice(
    "This browser's cookie is an older one: its session goes on where the newer one is."
    " This is a new session."
)


def enter(
    conversation: Conversation,
    event: Enter | ResumeOwn,
    *,
    unknown: bool = False,
    until: float | None = None,
) -> None:
    """Attach the connection to its session. Other input waits until that is done.

    `unknown`: no other node has it. Whatever else was waited for, it may have moved meanwhile.
    `until`: when a session that moves again and again is not fetched once more; `None` before it
    was fetched.
    """
    if not unknown and type(event) is Enter and is_elsewhere(conversation, event):
        until = fetching_ends(conversation) if until is None else until
        if may_fetch(conversation, until):
            again = partial(enter, conversation, event, until=until)
            wait(conversation, fetch(conversation, event, again))
        return
    dormant = _dormant(conversation, event)
    if dormant:
        again = partial(enter, conversation, event, until=until)
        wait(conversation, _load(conversation, again, dormant))
        return
    work = _begin(conversation, event)
    if work is not None:
        wait(conversation, work)


def _dormant(conversation: Conversation, event: Enter | ResumeOwn) -> list[str]:
    """Return the ids of the sessions that must be loaded before the event can be handled."""
    claims, attachment = conversation.context.manager.claims, conversation.attachment
    if isinstance(event, ResumeOwn):
        now = conversation.context.wall()
        newest = claims.newest_of_user(attachment.session, now) if attachment is not None else None
        return [newest.sid] if isinstance(newest, DormantSession) else []
    if event.code:
        wanted = [claims.dormant_of_code(event.code)]
    else:
        wanted = [claims.dormant_of_token(token) for token in (event.token, *event.cookies)]
    return [sid for sid in wanted if sid is not None]


async def _load(conversation: Conversation, again: Callable[[], None], sids: Sequence[str]) -> None:
    """Load these sessions, and let the client enter by `again`.

    The store is read in its own thread: the connection waits for it, and nobody else.
    """
    context = conversation.context
    try:
        await context.manager.loader.load(sids, context.wall())
    except StoreError as error:
        _log.error("session not loaded", error=str(error))
        conversation.goodbye(Reason.INTERNAL_ERROR, CANNOT_KEEP)
    if conversation.phase is ConversationPhase.ENTERING:
        resume(conversation, again)


def _begin(conversation: Conversation, event: Enter | ResumeOwn) -> Work | None:
    """Claim the session or make it, in one step; what waits for the store is returned.

    `None` if there is no session for the client: then it has been told.
    """
    if type(event) is Enter and event.code and conversation.wrong_code:
        conversation.goodbye(Reason.REFUSED, _ONE_CODE)
        return None
    before = conversation.attachment
    claimed = _claim(conversation, event)
    if isinstance(claimed, ClaimRefusal):
        _tell_refusal(conversation, event, claimed)
        if before is not None or isinstance(event, ResumeOwn) or not event.or_new:
            return None
    if not isinstance(claimed, Claim):
        attempt = event.attempt if type(event) is Enter else 0
        return _enter_new(conversation, attempt, replaced=claimed is ClaimRefusal.REPLACED)
    if _is_overtaken(event, claimed.session):
        conversation.goodbye(Reason.SUPERSEDED)
        return None
    if not can_keep(conversation.context, claimed.session):
        conversation.goodbye(Reason.INTERNAL_ERROR, CANNOT_KEEP)
        return None
    if before is not None:
        _give_up(conversation, before)
    if claimed.secret is None:
        how = "code" if claimed.code else "offer"
        conversation.tell(SecurityEvent.TAKEN_OVER, how=how, of=claimed.session.sid)
    if type(event) is Enter:
        claimed.session.row.attempt = event.attempt
        return _enter_claimed(conversation, claimed, event)
    claimed.session.row.attempt = before.session.row.attempt if before is not None else 0
    return _enter_claimed(conversation, claimed, Enter())


def _give_up(conversation: Conversation, before: Attachment) -> None:
    """Close the session that the connection had before it resumed another one."""
    before.session.release(before)
    before.release()
    conversation.context.manager.close(before.session, Reason.CLIENT_LEFT)


def _tell_refusal(
    conversation: Conversation, event: Enter | ResumeOwn, refusal: ClaimRefusal
) -> None:
    conversation.context.counts["claims_refused"] += 1
    if type(event) is Enter and refusal in _TOLD:
        told = _TOLD[refusal]
        if event.code and refusal is ClaimRefusal.UNKNOWN:
            conversation.wrong_code = True
            told = SecurityEvent.CODE_REFUSED
        tokens = [split_token(token) for token in (event.token, *event.cookies)]
        conversation.tell(told, of=[token[0] for token in tokens if token is not None])
    attachment = conversation.attachment
    if isinstance(event, ResumeOwn):
        if attachment is not None:
            attachment.show(_GONE)
    else:
        conversation.adapter.notify(
            ClaimRefused(refusal.value, _retry_seconds(conversation, refusal))
        )
    if attachment is not None:
        login.ask_again(conversation, attachment)


def _retry_seconds(conversation: Conversation, refusal: ClaimRefusal) -> float | None:
    """Return the seconds after which the same code may be tried again; `None` if it was checked."""
    if refusal is not ClaimRefusal.RATE:
        return None
    now = conversation.context.wall()
    return conversation.context.manager.claims.code_wait(_network(conversation), now)


def _network(conversation: Conversation) -> str:
    return network_of(conversation.connection.peer)


def _is_overtaken(event: Enter | ResumeOwn, session: Session) -> bool:
    """Whether a later connection of the same client was here before this one.

    Who comes with a code or takes an offer is another client, and has counted otherwise.
    """
    if type(event) is not Enter or event.code:
        return False
    return 0 < event.attempt <= session.row.attempt


def _claim(conversation: Conversation, event: Enter | ResumeOwn) -> Claim | ClaimRefusal | None:
    """Claim the session that the client may resume; `None` for a new one."""
    manager, now = conversation.context.manager, conversation.context.wall()
    attachment = conversation.attachment
    own = attachment.session if attachment is not None else None
    if not conversation.listener.resumes:
        wanted = isinstance(event, ResumeOwn) or event.code or event.token
        return ClaimRefusal.ELSEWHERE if wanted else None
    if isinstance(event, ResumeOwn):
        claim = manager.claims.by_user(own, now) if own is not None else None
        return _served_here(conversation, claim or ClaimRefusal.UNKNOWN)
    if event.code:
        network = _network(conversation)
        claimed = manager.claims.by_code(event.code, network, now, exclude=own)
        return _served_here(conversation, claimed)
    if event.token:
        return _served_here(conversation, manager.claims.by_token(event.token, now, exclude=own))
    if own is not None:
        return ClaimRefusal.ENTERED
    return _claim_by_cookies(conversation, event.cookies)


def _served_here(conversation: Conversation, claimed: Claim | ClaimRefusal) -> Claim | ClaimRefusal:
    backend, proof = conversation.listener.backend, conversation.proof
    if not isinstance(claimed, Claim):
        return claimed
    if claimed.session.backend is not backend or not claimed.session.resumable:
        return ClaimRefusal.ELSEWHERE
    if claimed.session.row.proven if proof is None else not proof.may_resume(claimed.session.row):
        return ClaimRefusal.OTHER_USER
    return claimed


def _claim_by_cookies(
    conversation: Conversation, cookies: Sequence[str]
) -> Claim | ClaimRefusal | None:
    """The first good token counts; `ClaimRefusal.REPLACED` before any other reason."""
    manager, now = conversation.context.manager, conversation.context.wall()
    refusal: ClaimRefusal | None = None
    for token in cookies:
        claimed = _served_here(conversation, manager.claims.by_token(token, now, revoke=False))
        if isinstance(claimed, Claim):
            return claimed
        if refusal is not ClaimRefusal.REPLACED:
            refusal = claimed
    return refusal


def _enter_new(conversation: Conversation, attempt: int, *, replaced: bool = False) -> Work | None:
    context, listener = conversation.context, conversation.listener
    durability = listener.durability
    if context.memory_on_failure and context.journal.broken is not None:
        durability = Durability.MEMORY
    try:
        network = _network(conversation)
        session = context.manager.create(
            listener.backend, durability, context.wall(), network, listener.new_session
        )
    except BusyError as error:
        conversation.tell(SecurityEvent.LIMITED, why=f"no room for a session: {error}")
        conversation.goodbye(Reason.CROWDED)
        return None
    if not _enter_as_user(conversation, session):
        return None
    session.resumable = listener.resumes
    attachment = _attachment(conversation, session)
    session.open(attachment, numbered=conversation.adapter.numbered)
    session.row.attempt = attempt
    _introduce(conversation, attachment)
    at = str(conversation.connection.listener)
    context.manager.life.tell(Life.OPENED, session, app=listener.backend.app, listener=at)
    token, code = _issue(conversation, Claim(session, None))
    return _welcome(conversation, attachment, (token, code), replaced=replaced)


def _enter_as_user(conversation: Conversation, session: Session) -> bool:
    """A new session is the user's who the client has proved to be. False if that user has too
    many."""
    proof, manager = conversation.proof, conversation.context.manager
    if proof is None or proof.identity is None:
        return True
    try:
        manager.set_user(session, proof.identity.user)
    except LimitExceededError:
        manager.close(session, Reason.CROWDED)
        conversation.goodbye(Reason.CROWDED, login.TOO_MANY_SESSIONS)
        return False
    refresh(session, proof.identity)
    return True


def refresh(session: Session, identity: Identity) -> None:
    """The client of this session has proved to be its user."""
    row = session.row
    if not row.proven or row.properties != identity.properties:
        row.proven, row.properties = True, identity.properties
        session.mark_row_dirty()


async def _welcome(
    conversation: Conversation, attachment: Attachment, rights: tuple[str, str], *, replaced: bool
) -> None:
    if not await settle(conversation, attachment):
        return
    admit(conversation, attachment)
    row, limits = attachment.session.row, conversation.context.limits
    conversation.adapter.notify(
        Welcomed(
            sid=row.sid,
            epoch=row.epoch,
            token=rights[0],
            code=rights[1],
            heartbeat_seconds=limits.websocket.heartbeat_seconds_max,
            keep_seconds=conversation.context.manager.population.keep_seconds(attachment.session),
        )
    )
    conversation.send()  # before any notice, which is written at once
    if replaced:
        attachment.show(_REPLACED)
    login.begin(conversation, attachment)
    conversation.go_on()


def _enter_claimed(conversation: Conversation, claim: Claim, event: Enter) -> Work:
    session = claim.session
    if conversation.proof is not None and conversation.proof.identity is not None:
        refresh(session, conversation.proof.identity)
    attachment = _attachment(conversation, session)
    before = session.connection if session.attached else 0
    away_s = round(conversation.context.wall() - session.detached, 1) if session.detached else 0.0
    session.attach(attachment, numbered=conversation.adapter.numbered)
    cin, _ = session.inbox.kept()
    if session.skip_commands(event.acked):
        _log.warning(
            "client has acknowledgements that the store lacks",
            sid=session.sid,
            first=cin + 1,
            last=event.acked,
        )
    conversation.context.manager.attached(session, _network(conversation))
    able = session.row.capabilities
    _introduce(conversation, attachment)
    if before:
        conversation.context.manager.life.tell(Life.MOVED, session, from_connection=before)
    rights = _issue(conversation, claim)
    fresh = event.position is None and conversation.adapter.numbered and claim.secret is not None
    return take_up(
        conversation, attachment, able, Returning(event.position, cin, *rights, fresh, away_s)
    )


def _attachment(conversation: Conversation, session: Session) -> Attachment:
    return Attachment(
        conversation, conversation.connection, conversation.adapter, conversation.context, session
    )


def _introduce(conversation: Conversation, attachment: Attachment) -> None:
    """The session is this connection's, as soon as it is durable."""
    conversation.attachment = attachment
    row = attachment.session.row
    attachment.session.connection = conversation.connection.id
    attachment.session.facts = facts_of(conversation.connection, conversation.adapter.facts)
    row.address = conversation.connection.peer
    row.protocol = conversation.adapter.protocol
    row.app = conversation.listener.backend.name
    row.capabilities = conversation.capabilities
    attachment.session.mark_row_dirty()


def _issue(conversation: Conversation, claim: Claim) -> tuple[str, str]:
    """A new token and a new code, as far as the client can use them."""
    manager, adapter = conversation.context.manager, conversation.adapter
    if not claim.session.resumable:
        return "", ""
    if claim.secret is None:
        # Taken up by other means: older tokens are void, not stolen, whether or not the new
        # holder can use one.
        manager.claims.void_tokens(claim.session)
    token = manager.claims.issue_token(claim) if adapter.wants_token else ""
    code = ""
    if adapter.wants_code:
        code = manager.claims.issue_code(claim)
    elif claim.secret is None:
        manager.claims.use_up_code(claim)
    return token, code
