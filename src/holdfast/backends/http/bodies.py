"""The bodies of requests and answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, field

from holdfast.backends.http.notes import StateEvent
from holdfast.core.errors import REASONS
from holdfast.core.items import INPUT_MODES, LATEST_PROMPT, MUST, Output, Prompt
from holdfast.core.limits import HttpLimits, SessionLimits
from holdfast.core.validation import (
    UnsendableError,
    check_choice,
    check_data,
    check_delivery,
    check_output,
    check_text,
)
from holdfast.protocols.json_items import JsonOutput, read_output, write_command
from holdfast.sessions.inbox import Queued
from holdfast.sessions.session import Session

_ERROR_CHARS_MAX: Final = 500


class AnswerItem(JsonOutput, frozen=True, omit_defaults=True):
    """An output, and its delivery class."""

    delivery: str = ""


class Answer(Struct, frozen=True, forbid_unknown_fields=True):
    """What an application answers: everything may be absent."""

    items: list[AnswerItem | str] = []
    """Outputs for the client, in this order."""
    identify: str | None = None
    """The session is this user's."""
    profile: str | None = None
    join: list[str] = []
    leave: list[str] = []
    store: Raw = field(default_factory=Raw)
    """Anything in JSON, which comes with each later request."""
    input_mode: str | None = None
    close: str | None = None
    """The session ends, for this reason."""


class CheckedAnswer(Struct, frozen=True):
    """An answer that can be carried out."""

    answer: Answer
    outputs: Sequence[tuple[Output, str]] = ()


NOTHING: Final = CheckedAnswer(Answer())
_read: Final = msgspec.json.Decoder(Answer).decode


def read_answer(body: bytes, bounds: SessionLimits, limits: HttpLimits) -> CheckedAnswer:
    """The answer in a body; an empty one is nothing. Raises `UnsendableError` for what cannot be
    carried out as a whole."""
    if not body.strip():
        return NOTHING
    try:
        answer = _read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnsendableError(str(error)) from None
    if len(answer.items) > limits.items_max:
        raise UnsendableError(
            f"items: expected at most {limits.items_max}, found {len(answer.items)}"
        )
    outputs = []
    for item in answer.items:
        output = read_output(item)
        delivery = (item.delivery if isinstance(item, AnswerItem) else "") or (
            LATEST_PROMPT if isinstance(output, Prompt) else MUST
        )
        check_output(output, bounds.output_bytes_max)
        check_delivery(delivery, bounds.name_bytes_max)
        outputs.append((output, delivery))
    for name, text in (("identify", answer.identify), ("profile", answer.profile)):
        check_text(name, text or "", bounds.name_bytes_max)
    for group in (*answer.join, *answer.leave):
        check_text("group", group, bounds.name_bytes_max)
    check_data("store", bytes(answer.store), bounds.application_data_bytes_max)
    if answer.input_mode is not None:
        check_choice("input_mode", answer.input_mode, INPUT_MODES)
    if answer.close is not None:
        check_choice("close", answer.close, REASONS)
    return CheckedAnswer(answer, outputs)


def read_error(body: bytes) -> str:
    """What a refusal says to the user: its `error`, if it has one."""
    try:
        said = msgspec.json.decode(body, type=dict[str, Any]).get("error", "")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return said[:_ERROR_CHARS_MAX] if isinstance(said, str) else ""


def write_request(
    app: str, session: Session, states: Sequence[StateEvent], commands: Sequence[Queued]
) -> bytes:
    """The body of a request: the session, and events in their order."""
    return msgspec.json.encode(
        {"app": app, "session": session_of(session), "events": _events(states, commands)}
    )


def session_of(session: Session) -> dict[str, Any]:
    """A session as an application sees it, at the time of the request."""
    row = session.row
    return {
        "sid": row.sid,
        "user": row.user,
        "properties": dict(row.properties),
        "profile": row.profile,
        "groups": list(row.groups),
        "stored": Raw(row.data or b"null"),
        "attached": session.attached,
        "capabilities": row.capabilities,
        "address": row.address,
        "protocol": row.protocol,
    }


def _events(states: Sequence[StateEvent], commands: Sequence[Queued]) -> list[dict[str, Any]]:
    """All events: a change of state stands behind the commands that came before it."""
    events: list[dict[str, Any]] = []
    waiting = list(commands)
    for state in states:
        while waiting and waiting[0].cseq <= state.after:
            events.append(_command(waiting.pop(0)))
        event: dict[str, Any] = {"e": state.number, "type": state.kind}
        if state.reason:
            event["reason"] = state.reason
        events.append(event)
    events += map(_command, waiting)
    return events


def _command(queued: Queued) -> dict[str, Any]:
    return write_command(queued.cseq, queued.item)
