"""Gives a client back the session that it resumes: what it missed, or a new beginning.

`attach` has claimed the session for it.
"""

from __future__ import annotations

from typing import NamedTuple

from holdfast.core.items import LATEST_PROMPT, Binary, Prompt
from holdfast.gateway.adapters.notifications import CaughtUp, Restart, Resumption, SessionActive
from holdfast.gateway.conversation import login
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.conversation.phases import Move, after
from holdfast.gateway.conversation.ports import Conversation
from holdfast.gateway.conversation.rights import settle
from holdfast.sessions.life import Life
from holdfast.sessions.position import (
    ClientPosition,
    ResetReason,
    reset_position,
    reset_reason,
    why_reset,
)
from holdfast.sessions.records import Capabilities
from holdfast.sessions.states import SessionState


class Returning(NamedTuple):
    """The position of a client that resumes a session, and its new token and code."""

    position: ClientPosition | None
    cin: int
    """The newest command that was kept before it came."""
    token: str
    code: str
    fresh: bool
    """Whether the client itself begins afresh."""
    away_s: float
    """How long the session had no client."""


async def take_up(
    conversation: Conversation, attachment: Attachment, able: Capabilities, back: Returning
) -> None:
    if not await settle(conversation, attachment):
        return
    session, position = attachment.session, back.position
    admit(conversation, attachment)
    if session.row.capabilities != able:
        conversation.listener.backend.capabilities_changed(session)
        if session.viewers is not None:
            session.viewers.resize()
    reset = reset_reason(session, position) if position is not None else None
    if back.fresh:
        reset = ResetReason.FRESH
    if reset is not None:
        _restart(conversation, attachment, reset, back)
    else:
        _resume(conversation, attachment, back)
    opened_at = conversation.connection.opened_at
    now = conversation.context.runtime.timers.now
    conversation.context.manager.resume_seconds.observe(max(0.0, now - opened_at))
    attachment.change_input_mode()
    out = session.out
    prompt = out.open_prompt(out.top if reset is not None else out.base)
    if prompt and position is None:  # the client may be another one, which does not show it
        session.emit(Prompt(prompt), LATEST_PROMPT, conversation.context.wall())
    if session.state is SessionState.SELECTING:
        login.choose_profile(conversation, attachment)
    else:
        conversation.adapter.notify(SessionActive())
    if session.viewers is not None:
        attachment.change_viewers()
    conversation.go_on()


def _resume(conversation: Conversation, attachment: Attachment, back: Returning) -> None:
    """The client goes on where it says it is, or where the evidence says."""
    session, limits = attachment.session, conversation.context.limits
    out = session.out
    lost = unsure = 0
    assumed_seconds = 0.0
    if back.position is None:
        last, lost, unsure = max(out.base, out.acked), out.lost, out.unsure
        if out.assumed and out.assumed == out.acked:
            assumed_seconds = limits.session.unproven_seconds_max
    else:
        last = back.position.last
        out.maybe_delivered = last  # the client's own position is exact
    out.rewind(last)
    out.prove(out.base)  # a loss is reported once
    out.assumed = 0
    resumption = Resumption(
        sid=session.sid,
        epoch=session.row.epoch,
        token=back.token,
        code=back.code,
        heartbeat_seconds=limits.websocket.heartbeat_seconds_max,
        first=last + 1,
        last=session.deliverable(),
        maybe_delivered=out.maybe_delivered,
        lost=lost,
        unsure=unsure,
        assumed_seconds=assumed_seconds,
        cin=back.cin,
        keep_seconds=conversation.context.manager.population.keep_seconds(session),
    )
    conversation.context.manager.life.tell(
        Life.RESUMED,
        session,
        away_s=back.away_s,
        missed=session.deliverable() - last,
        **{name: count for name, count in (("lost", lost), ("unsure", unsure)) if count},
    )
    conversation.adapter.notify(resumption)
    conversation.send()
    attachment.deliver()
    conversation.adapter.notify(CaughtUp(resumption))
    conversation.send()
    if lost or unsure:
        conversation.listener.backend.resync(session, ResetReason.TRIMMED)
    else:
        conversation.listener.backend.resumed(session)


def _restart(
    conversation: Conversation, attachment: Attachment, reason: ResetReason, back: Returning
) -> None:
    """The client may have missed output that is gone: it begins afresh, with what is kept."""
    session = attachment.session
    top = reset_position(session, back.position, reason)
    prologue = session.out.beginning()[1]
    session.out.rewind(top)
    conversation.context.counts[f"resets_{reason.value}"] += 1
    conversation.context.manager.life.tell(
        Life.RESET,
        session,
        reason=reason.value,
        why=why_reset(session, back.position, reason),
        away_s=back.away_s,
    )
    conversation.adapter.notify(
        Restart(
            sid=session.sid,
            epoch=session.row.epoch,
            token=back.token,
            heartbeat_seconds=conversation.context.limits.websocket.heartbeat_seconds_max,
            reason=reason,
            top=top,
            cin=back.cin,
            keep_seconds=conversation.context.manager.population.keep_seconds(session),
        )
    )
    conversation.send()
    if prologue:
        conversation.connection.write(conversation.adapter.encode_volatile(Binary(prologue)))
    attachment.deliver()
    conversation.listener.backend.resync(session, reason)


def admit(conversation: Conversation, attachment: Attachment) -> None:
    """The session is durable and this connection's: it is live."""
    conversation.phase = after(conversation.phase, Move.ADMIT)
    conversation.connection.established()
    intake = conversation.intake
    intake.commands_due = max(intake.commands_due, attachment.session.paced)
    attachment.admit()
