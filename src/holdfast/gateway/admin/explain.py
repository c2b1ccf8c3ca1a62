"""A session explained: its numbers, its epochs, what has happened to it, and what would happen.

The sentences say what the numbers mean, for people; the numbers are there for programs.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from holdfast.gateway.view import GatewayView
from holdfast.sessions.dormant import DormantSession
from holdfast.sessions.folding import fold
from holdfast.sessions.life import Field, Life
from holdfast.sessions.records import EpochEnd, Record, Row
from holdfast.sessions.session import Session


class OutputNumbers(Struct, frozen=True):
    """Where a session stands in its output log. Each is the number of an output."""

    gone: int
    """The newest that is not kept any more."""
    acknowledged: int
    """The newest that the client provably has."""
    maybe_delivered: int
    """The newest that the client may have beyond that, by the evidence of a lost connection."""
    written: int
    """The newest that was given to the connection; 0 for a session that was not loaded."""
    deliverable: int
    """The newest that may be written: of a durable session, the newest that is stored."""
    newest: int


class CommandNumbers(Struct, frozen=True):
    """Where a session stands in its log of commands."""

    applied: int
    """The newest that the backend has applied, by the backend's number."""
    newest: int
    """The newest that was taken from the client, by the backend's number."""
    client: int
    """The same by the client's own number, if it numbers its commands."""
    offset: int
    """The backend's number of a command less the client's."""
    waiting: int
    """How many are kept: taken, and not applied."""


class EpochView(Struct, frozen=True):
    """An earlier output log, and its last number: who has no more continues without a loss."""

    epoch: str
    ended: int


class LifeView(Struct, frozen=True):
    """One event of the session. Times are wall clock, in seconds."""

    time: float
    event: str
    connection: int
    fields: dict[str, Field]


class Explanation(Struct, frozen=True):
    """A session explained."""

    sid: str
    state: str
    user: str
    properties: dict[str, str]
    """The application's own, from the login."""
    app: str
    instance: str
    """The run of the application that held it last."""
    durability: str
    epoch: str
    epochs: list[EpochView]
    era: int
    """The run of the gateway, as far as it ended uncleanly, that began its logs."""
    generation: int
    """How many connections have had it."""
    attempt: int
    """The client's own count of its connections."""
    numbered: bool
    """Whether the client numbers its commands."""
    connection: int
    """The id of its connection, or of the one before."""
    attached: bool
    outputs: OutputNumbers
    commands: CommandNumbers
    viewers: list[str]
    """The addresses of those who watch it."""
    history: list[LifeView]
    """The events of this run that are still known, oldest first."""
    sentences: list[str]


async def explain(view: GatewayView, session: Session | DormantSession) -> Explanation | None:
    """Explain a session; `None` if it has ended meanwhile. Raises `StoreError`."""
    if isinstance(session, DormantSession):
        stored = (await view.manager.loader.find([session.sid])).get(session.sid)
        found = view.manager.find(session.sid)
        if isinstance(found, Session):
            return _explain_loaded(view, found)
        if stored is None or found is None:
            return None
        record = fold(stored.records) if stored.records else None
        return _explain(view, session, stored.row, *_stored_numbers(record))
    return _explain_loaded(view, session)


def _explain_loaded(view: GatewayView, session: Session) -> Explanation:
    out, inbox = session.out, session.inbox
    outputs = OutputNumbers(
        gone=out.base,
        acknowledged=out.acked,
        maybe_delivered=out.maybe_delivered,
        written=out.sent,
        deliverable=session.deliverable(),
        newest=out.top,
    )
    commands = CommandNumbers(
        applied=inbox.applied,
        newest=inbox.top,
        client=inbox.cin,
        offset=inbox.offset,
        waiting=len(inbox.entries),
    )
    return _explain(view, session, session.row, outputs, commands)


def _stored_numbers(record: Record | None) -> tuple[OutputNumbers, CommandNumbers]:
    if record is None:
        return OutputNumbers(0, 0, 0, 0, 0, 0), CommandNumbers(0, 0, 0, 0, 0)
    outputs = OutputNumbers(
        gone=record.base,
        acknowledged=record.acked,
        maybe_delivered=record.maybe_delivered,
        written=0,
        deliverable=record.top,
        newest=record.top,
    )
    commands = CommandNumbers(
        applied=record.applied,
        newest=record.cin + record.offset,
        client=record.cin,
        offset=record.offset,
        waiting=len(record.ins),
    )
    return outputs, commands


def _explain(
    view: GatewayView,
    session: Session | DormantSession,
    row: Row,
    outputs: OutputNumbers,
    commands: CommandNumbers,
) -> Explanation:
    history = [
        LifeView(event.time, event.event.value, event.connection, event.fields)
        for event in view.manager.life.of(session.sid)
    ]
    attached = isinstance(session, Session) and session.attached
    sentences = [
        _where(session, attached=attached),
        *_output_sentences(row, outputs),
        *_command_sentences(commands),
        *_resets(history),
    ]
    return Explanation(
        sid=row.sid,
        state=session.state.value,
        user=session.user,
        properties=dict(row.properties),
        app=view.backends.app_of(row.app),
        instance=row.instance,
        durability=row.durability,
        epoch=row.epoch,
        epochs=[EpochView(end.epoch, end.top) for end in row.ends],
        era=row.era,
        generation=row.gen,
        attempt=row.attempt,
        numbered=row.numbered,
        connection=session.connection,
        attached=attached,
        outputs=outputs,
        commands=commands,
        viewers=_viewers(session),
        history=history,
        sentences=sentences,
    )


def _viewers(session: Session | DormantSession) -> list[str]:
    viewers = session.viewers if isinstance(session, Session) else None
    return [viewer.address for viewer in viewers] if viewers is not None else []


def _where(session: Session | DormantSession, *, attached: bool) -> str:
    client = f"a client at {session.address} ({session.protocol})"
    if attached:
        return f"Connection {session.connection} has the session: {client}."
    if isinstance(session, DormantSession):
        return f"No client has come for it since the gateway started. The last was {client}."
    return f"It waits for its client. The last was {client}."


def _output_sentences(row: Row, outputs: OutputNumbers) -> Iterator[str]:
    gone, last = outputs.gone, outputs.deliverable
    yield (
        f"Outputs 1 to {outputs.newest} exist; the client has acknowledged those up to"
        f" {outputs.acknowledged}."
        if outputs.newest
        else "There was no output yet."
    )
    if outputs.acknowledged < outputs.maybe_delivered:
        yield f"It may have those up to {outputs.maybe_delivered}."
    if outputs.acknowledged < gone:
        yield f"Outputs {outputs.acknowledged + 1} to {gone} are gone without being acknowledged."
    yield (
        f"A client that counts outputs continues in the epoch {row.epoch} if it has those up to a"
        f" number from {gone} to {last}; otherwise it is reset."
    )
    for end in row.ends:
        yield _of_epoch(end, gone)


def _of_epoch(end: EpochEnd, gone: int) -> str:
    if end.top < gone:
        return f"One of the earlier epoch {end.epoch} is reset, because what followed it is gone."
    return f"One of the earlier epoch {end.epoch} continues from a number from {gone} to {end.top}."


def _command_sentences(commands: CommandNumbers) -> Iterator[str]:
    if not commands.newest:
        yield "There was no command yet."
    elif commands.waiting:
        yield (
            f"{commands.waiting} of its commands wait for the backend, which has applied those up"
            f" to {commands.applied} of {commands.newest}."
        )
    else:
        yield f"The backend has applied all commands, up to {commands.newest}."


def _resets(history: list[LifeView]) -> Iterator[str]:
    for event in history:
        if event.event == Life.RESET.value:
            yield (
                f"Connection {event.connection} was reset ({event.fields['reason']}):"
                f" {event.fields['why']}."
            )
