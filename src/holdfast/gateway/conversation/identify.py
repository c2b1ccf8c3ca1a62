"""Finds out who the client of a connection is, on a listener with `auth`.

Before it gets a session: nobody else's session is resumed for it. While it has one: it is asked for
a newer token before the one that it has expires; after that the session is detached.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from holdfast.core.errors import Reason
from holdfast.core.identity import Identity
from holdfast.gateway.adapters.events import CredentialGiven, Enter, LoginGiven, Watch
from holdfast.gateway.adapters.notifications import CredentialNeeded
from holdfast.gateway.auth.base import CredentialJudge
from holdfast.gateway.auth.errors import CredentialError, KeysUnavailableError
from holdfast.gateway.auth.facts import facts_of
from holdfast.gateway.conversation import attach, login, viewing
from holdfast.gateway.conversation.entering import resume, wait
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.conversation.phases import ConversationPhase
from holdfast.gateway.conversation.ports import Conversation
from holdfast.gateway.conversation.proof import Proof, Wanted
from holdfast.net.security_log import SecurityEvent
from holdfast.sessions.states import SessionState

_NEEDED: Final = "a token is needed"
_NO_KEYS: Final = "tokens cannot be checked now; try later"
_NOT_ASKED: Final = "expected no token: this listener does not ask for one"
_ANOTHERS: Final = "the token is another user's"
_ANONYMOUS: Final = "this session is anonymous; connect anew with the token"


def enter(conversation: Conversation, event: Wanted) -> None:
    """Attach the connection to its session, once it is known who its client is."""
    proof = conversation.proof
    if proof is None or proof.judged:
        _enter(conversation, event)
        return
    adapter = conversation.adapter
    token = (event.credential if isinstance(event, Enter) else "") or adapter.credential
    if adapter.credential:
        adapter.credential = ""  # it is not kept for longer than it is needed
    wait(conversation, _identify(conversation, proof, event, token))


def give(conversation: Conversation, event: CredentialGiven) -> None:
    """A client without a session gives the token that it was asked for."""
    proof = conversation.proof
    if proof is None or proof.waiting is None:
        conversation.goodbye(Reason.PROTOCOL_ERROR, "expected hello first")
        return
    wait(conversation, _identify(conversation, proof, proof.waiting, event.token))


def log_in(
    conversation: Conversation, attachment: Attachment, event: LoginGiven | CredentialGiven
) -> None:
    """A client with a session says who it is: by a token for the gateway, or to the backend."""
    proof = conversation.proof
    if isinstance(event, LoginGiven) and (proof is None or event.username or not event.token):
        login.log_in(conversation, attachment, event)
    elif proof is None:
        conversation.goodbye(Reason.PROTOCOL_ERROR, _NOT_ASKED)
    elif proof.waiting is not None:
        wait(conversation, _identify(conversation, proof, proof.waiting, event.token))
    else:
        conversation.run(_renew(conversation, attachment, proof, event.token))


def expire(conversation: Conversation, proof: Proof, now: float) -> None:
    """Ask for a newer token, or end a connection whose token has expired."""
    if proof.asked:
        conversation.goodbye(Reason.EXPIRED)
        return
    proof.asked, proof.due = True, proof.expires
    if _can_ask(conversation):
        conversation.adapter.notify(CredentialNeeded(seconds=proof.expires - now))
        conversation.send()


async def _identify(conversation: Conversation, proof: Proof, event: Wanted, token: str) -> None:
    judge = _judge(conversation)
    try:
        if token:
            identity: Identity | None = await judge.judge_token(token)
        else:
            facts = facts_of(conversation.connection, conversation.adapter.facts)
            identity = judge.judge_certificate(facts)
    except CredentialError as error:
        _refused(conversation, proof, error)
        _ask(conversation, proof, event, error.told)
        return
    except KeysUnavailableError:
        conversation.goodbye(Reason.INTERNAL_ERROR, _NO_KEYS)
        return
    if identity is None and not judge.options.anonymous:
        _ask(conversation, proof, event, _NEEDED)
    elif conversation.phase is ConversationPhase.ENTERING:
        _accept(conversation, proof, identity)
        resume(conversation, partial(_enter, conversation, event))


def _enter(conversation: Conversation, event: Wanted) -> None:
    if isinstance(event, Watch):
        viewing.watch(conversation, event)
    else:
        attach.enter(conversation, event)


def _ask(conversation: Conversation, proof: Proof, event: Wanted, text: str) -> None:
    """Ask a client for a token that has given none, or one that is not accepted."""
    if conversation.phase is not ConversationPhase.ENTERING:
        return  # it has left meanwhile
    failures_max = conversation.context.limits.session.login_attempts_max
    if not _can_ask(conversation) or proof.failures >= failures_max:
        conversation.goodbye(Reason.UNAUTHENTICATED, text)
        return
    proof.waiting = event
    resume(conversation, partial(_tell_need, conversation, text))


def _tell_need(conversation: Conversation, text: str) -> None:
    conversation.adapter.notify(CredentialNeeded(text))
    conversation.send()


async def _renew(
    conversation: Conversation, attachment: Attachment, proof: Proof, token: str
) -> None:
    error = ""
    try:
        identity = await _judge(conversation).judge_token(token)
    except CredentialError as refused:
        _refused(conversation, proof, refused)
        error = refused.told
    except KeysUnavailableError:
        error = _NO_KEYS
    else:
        if conversation.attachment is attachment:
            error = _take(conversation, attachment, proof, identity)
    if not error or conversation.attachment is not attachment:
        return
    if proof.failures >= conversation.context.limits.session.login_attempts_max:
        conversation.goodbye(Reason.UNAUTHENTICATED, error)
        return
    left = proof.expires - conversation.connection.time() if proof.identity is not None else 0.0
    conversation.adapter.notify(CredentialNeeded(error, left))
    conversation.send()


def _take(
    conversation: Conversation, attachment: Attachment, proof: Proof, identity: Identity
) -> str:
    """Take the identity of a token that has come while there is a session.

    Returns why it is refused, or nothing.
    """
    session = attachment.session
    if proof.identity is None and session.state is SessionState.AUTHENTICATING:
        if login.log_in_proven(conversation, attachment, identity):
            _accept(conversation, proof, identity)
        return ""
    if proof.identity is None:
        return _ANONYMOUS
    if identity.user != session.row.user:
        proof.failures += 1
        _tell(conversation, "a token of another user", identity.user)
        return _ANOTHERS
    _accept(conversation, proof, identity)
    attach.refresh(session, identity)
    return ""


def _accept(conversation: Conversation, proof: Proof, identity: Identity | None) -> None:
    judge = _judge(conversation)
    left = 0.0
    if identity is not None:
        left = identity.expires + judge.options.leeway_seconds - judge.wall()
    renew = judge.options.renew_seconds + judge.options.leeway_seconds
    proof.accept(identity, left, renew, conversation.connection.time())
    conversation.wake_by(proof.due)


def _refused(conversation: Conversation, proof: Proof, error: CredentialError) -> None:
    proof.failures += 1
    _tell(conversation, str(error), "")


def _tell(conversation: Conversation, why: str, user: str) -> None:
    conversation.context.counts["credentials_refused"] += 1
    conversation.tell(SecurityEvent.CREDENTIAL_REFUSED, why=why, user=user)


def _can_ask(conversation: Conversation) -> bool:
    judge = _judge(conversation)
    return judge.options.takes_tokens and conversation.adapter.takes_credentials


def _judge(conversation: Conversation) -> CredentialJudge:
    judge = conversation.listener.auth
    assert judge is not None, "only a listener with `auth` has a proof"
    return judge
