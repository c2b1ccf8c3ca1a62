"""A conversation as it stands, written down: another process can go on with it.

Everything of it and of its adapter that is not the connection's or the session's own. Times are the
runtime's; those of the other process are reckoned from `at`, the time of the snapshot.
"""

from __future__ import annotations

from typing import Final, TypeVar

from msgspec import Struct

from holdfast.core.errors import BusyError
from holdfast.core.identity import Identity
from holdfast.gateway.adapters.events import Event
from holdfast.gateway.adapters.snapshot import AdapterSnapshot
from holdfast.gateway.conversation.acks import AckPacer
from holdfast.gateway.conversation.evidence import Evidence, Written
from holdfast.gateway.conversation.intake import Held, Intake
from holdfast.gateway.conversation.memory import reserve_input
from holdfast.gateway.conversation.output import Attachment
from holdfast.gateway.conversation.phases import ConversationPhase
from holdfast.gateway.conversation.ports import Conversation
from holdfast.gateway.conversation.proof import Wanted
from holdfast.sessions.records import Capabilities
from holdfast.sessions.session import Session

_NEVER: Final = float("inf")

T = TypeVar("T")


class HeldSnapshot(Struct):
    """Input that waits (`intake.Held`)."""

    events: list[Event]
    unread: bytes
    cost: int
    eof: bool
    full: bool
    turn: float
    tell_at: float


class IntakeSnapshot(Struct):
    """The input and its place in the rates (`intake.Intake`)."""

    bytes_due: float
    commands_due: float
    owed: int
    told: bool
    held: HeldSnapshot | None


class AcksSnapshot(Struct):
    """What the client was told of its commands (`acks.AckPacer`)."""

    told: int
    newest: int
    at: float
    due: float
    asked: int
    refused: bool


class EvidenceSnapshot(Struct):
    """What proves that the client has its output (`evidence.Evidence`)."""

    numbers: list[int]
    offsets: list[int]
    times: list[float]
    asked: int
    pending: int
    next: float
    misses: int
    mute: bool
    exact: bool


class AttachmentSnapshot(Struct):
    """The connection's part in its session (`output.Attachment`)."""

    sid: str
    live: bool
    proof: float | None
    greeted: bool
    pinged: float
    acks: AcksSnapshot | None
    evidence: EvidenceSnapshot | None


class ProofSnapshot(Struct):
    """What the client has proved of itself (`proof.Proof`)."""

    identity: Identity | None
    judged: bool
    waiting: Wanted | None
    failures: int
    asked: bool
    due: float
    expires: float


class ConversationSnapshot(Struct):
    """A whole conversation (`driver.Driver`)."""

    at: float
    phase: str
    wake: float
    capabilities: Capabilities
    login_attempts: int
    wrong_code: bool
    proof: ProofSnapshot | None
    intake: IntakeSnapshot
    adapter: AdapterSnapshot
    attachment: AttachmentSnapshot | None


def snapshot(conversation: Conversation) -> ConversationSnapshot:
    """Return a snapshot of the conversation.

    Raises `BusyError` while a step of it waits for the store or the backend: its answer would
    find nobody; `SnapshotError` while the adapter's state cannot be written down.
    """
    if conversation.waiting:
        raise BusyError(
            f"{conversation.connection.peer}: expected no step that waits for an answer; found"
            f" {conversation.waiting}"
        )
    now, attachment = conversation.context.runtime.timers.now, conversation.attachment
    proof = conversation.proof
    return ConversationSnapshot(
        at=now,
        phase=conversation.phase.name,
        wake=conversation.wake,
        capabilities=conversation.capabilities,
        login_attempts=conversation.login_attempts,
        wrong_code=conversation.wrong_code,
        proof=_copy(ProofSnapshot, proof) if proof is not None else None,
        intake=_of_intake(conversation.intake),
        adapter=conversation.adapter.snapshot(now),
        attachment=_of_attachment(attachment) if attachment is not None else None,
    )


def restore(
    conversation: Conversation, taken: ConversationSnapshot, session: Session | None
) -> None:
    """Restore a snapshot into a new conversation.

    Its adapter is new; its connection is restored already. `session` is the one with the
    snapshot's `sid`, and has no other connection. Raises `SnapshotError` for the snapshot of a
    client of another kind of listener. Whether the client must prove who it is depends on the
    listener as it is now.
    """
    now = conversation.context.runtime.timers.now
    shift = now - taken.at
    conversation.adapter.restore(taken.adapter, now)
    conversation.phase = ConversationPhase[taken.phase]
    conversation.capabilities = taken.capabilities
    conversation.login_attempts = taken.login_attempts
    conversation.wrong_code = taken.wrong_code
    _restore_intake(conversation.intake, taken.intake, shift)
    if taken.proof is not None:
        _restore_proof(conversation, taken.proof, shift)
    if taken.attachment is not None:
        assert session is not None, "a session is restored before its connection"
        conversation.attachment = _restore_attachment(
            conversation, session, taken.attachment, shift
        )
    conversation.wake_by(taken.wake + shift)
    reserve_input(conversation)


def _restore_proof(conversation: Conversation, taken: ProofSnapshot, shift: float) -> None:
    proof, now = conversation.proof, conversation.context.runtime.timers.now
    if proof is not None:
        _give(proof, taken)
        proof.due += shift
        proof.expires += shift
    elif taken.waiting is not None:  # no token is asked for any more: it enters without one
        held = conversation.intake.block()
        held.events.insert(0, taken.waiting)
        held.turn = min(held.turn, now)
        conversation.wake_by(now)


def _of_intake(intake: Intake) -> IntakeSnapshot:
    held = intake.held
    return IntakeSnapshot(
        bytes_due=intake.bytes_due,
        commands_due=intake.commands_due,
        owed=intake.owed,
        told=intake.told,
        held=_copy(HeldSnapshot, held) if held is not None else None,
    )


def _restore_intake(intake: Intake, taken: IntakeSnapshot, shift: float) -> None:
    intake.bytes_due = taken.bytes_due + shift
    intake.commands_due = taken.commands_due + shift
    intake.owed, intake.told = taken.owed, taken.told
    if taken.held is not None:
        held = intake.held = Held()
        _give(held, taken.held)
        held.turn += shift
        if held.turn == _NEVER and not held.full:
            held.turn = 0.0  # it waited for its turn in the loop, which is another one now
        held.tell_at += shift


def _of_attachment(attachment: Attachment) -> AttachmentSnapshot:
    acks, evidence = attachment.acks, attachment.evidence
    return AttachmentSnapshot(
        sid=attachment.session.sid,
        live=attachment.live,
        proof=attachment.proof,
        greeted=attachment.greeted,
        pinged=attachment.pinged,
        acks=_copy(AcksSnapshot, acks) if acks is not None else None,
        evidence=_of_evidence(evidence) if evidence is not None else None,
    )


def _restore_attachment(
    conversation: Conversation, session: Session, taken: AttachmentSnapshot, shift: float
) -> Attachment:
    context = conversation.context
    attachment = Attachment(
        conversation, conversation.connection, conversation.adapter, context, session
    )
    session.consumer = attachment
    session.connection = conversation.connection.id
    session.hides = conversation.intake.held is not None
    attachment.live, attachment.proof = taken.live, taken.proof
    attachment.greeted = taken.greeted
    attachment.pinged = taken.pinged + shift if taken.pinged else 0.0
    if taken.acks is not None:
        acks = attachment.acks = AckPacer(0)
        _give(acks, taken.acks)
        acks.at += shift
        acks.due += shift
    if taken.evidence is not None:
        limits = context.limits.session
        attachment.evidence = Evidence(limits, session.out)
        _restore_evidence(attachment.evidence, taken.evidence, shift)
    context.pool.register(session.sid, attachment)
    return attachment


def _of_evidence(evidence: Evidence) -> EvidenceSnapshot:
    written = evidence.written or Written()
    return EvidenceSnapshot(
        numbers=list(written.numbers),
        offsets=list(written.offsets),
        times=list(written.times),
        asked=evidence.asked,
        pending=evidence.pending,
        next=evidence.next,
        misses=evidence.misses,
        mute=evidence.mute,
        exact=evidence.exact,
    )


def _restore_evidence(evidence: Evidence, taken: EvidenceSnapshot, shift: float) -> None:
    if taken.numbers:
        written = evidence.written = Written()
        written.numbers, written.offsets = taken.numbers, taken.offsets
        written.times = [time + shift for time in taken.times]
    evidence.asked, evidence.pending = taken.asked, taken.pending
    evidence.next = taken.next + shift
    evidence.misses, evidence.mute, evidence.exact = taken.misses, taken.mute, taken.exact


def _copy(kind: type[T], source: object) -> T:
    """Return a `kind` with the values of the fields that `source` has of the same names."""
    names = kind.__struct_fields__  # type: ignore[attr-defined]
    return kind(**{name: getattr(source, name) for name in names})


def _give(target: object, taken: Struct) -> None:
    """Give `target` the fields of a snapshot."""
    for name in taken.__struct_fields__:
        setattr(target, name, getattr(taken, name))
