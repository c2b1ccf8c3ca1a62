"""Gets the session of a client from the node that has it.

A session that is not known here may be another node's. Its client waits until it is here; it is
told to connect again if that takes too long, or if the session cannot move.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Final, Protocol

from holdfast.core.errors import Reason
from holdfast.core.ids import read_resume_code
from holdfast.gateway.adapters.events import Enter
from holdfast.gateway.conversation.entering import resume
from holdfast.gateway.conversation.phases import ConversationPhase
from holdfast.gateway.conversation.ports import Conversation
from holdfast.gateway.conversation.rights import CANNOT_KEEP
from holdfast.net.addresses import network_of
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.fetching import Fetched, Fetching
from holdfast.sessions.stores.base import StoreError
from holdfast.sessions.tokens import hash_code, split_token

_log: Final = RateLimitedLogger("holdfast.gateway")


def is_elsewhere(conversation: Conversation, event: Enter) -> bool:
    """Whether another node may have the session that the client wants."""
    context = conversation.context
    if context.fetching is None or not conversation.listener.resumes:
        return False
    if event.code:
        claims = context.manager.claims
        network = network_of(conversation.connection.peer)
        return not claims.knows_code(event.code) and claims.may_try(network, context.wall())
    return bool(list(_unknown(conversation, event)))


def _unknown(conversation: Conversation, event: Enter) -> Iterator[tuple[str, bytes]]:
    """The sessions of the client's tokens, with their secrets, if this node has none of them."""
    parts = [split_token(token) for token in (event.token, *event.cookies)]
    known = [part for part in parts if part is not None]
    if not any(conversation.context.manager.find(sid) for sid, _ in known):
        yield from known


def fetching_ends(conversation: Conversation) -> float:
    """When a client that begins to wait now has waited for long enough, whatever moves where."""
    return asyncio.get_running_loop().time() + conversation.context.limits.store.claim_seconds_max


def may_fetch(conversation: Conversation, until: float) -> bool:
    """Whether the client may wait once more. Otherwise it has been told to connect again."""
    if asyncio.get_running_loop().time() < until:
        return True
    _log.warning("session moves again and again: its client is to come again")
    conversation.goodbye(Reason.ELSEWHERE)
    return False


class Again(Protocol):
    """Lets the client enter once more. `unknown`: no node has its session."""

    def __call__(self, *, unknown: bool) -> None: ...


async def fetch(conversation: Conversation, event: Enter, again: Again) -> None:
    """Get the session, and let the client enter by `again`."""
    fetching = conversation.context.fetching
    assert fetching is not None, "`is_elsewhere` has looked"
    try:
        found = await _fetch(conversation, fetching, event)
    except StoreError as error:
        _log.error("session not looked for at other nodes", error=str(error))
        conversation.goodbye(Reason.INTERNAL_ERROR, CANNOT_KEEP)
        return
    if found in (Fetched.KEPT, Fetched.LATER):
        conversation.goodbye(Reason.ELSEWHERE)
    elif conversation.phase is ConversationPhase.ENTERING:
        resume(conversation, partial(again, unknown=found is Fetched.UNKNOWN))


async def _fetch(conversation: Conversation, fetching: Fetching, event: Enter) -> Fetched:
    if event.code:
        code = read_resume_code(event.code)
        sid = await fetching.of_code(hash_code(code)) if code is not None else None
        return await fetching.fetch(sid, None) if sid is not None else Fetched.UNKNOWN
    found = Fetched.UNKNOWN
    for sid, secret in list(_unknown(conversation, event)):
        found = await fetching.fetch(sid, secret)
        if found is not Fetched.UNKNOWN:
            break
    return found
