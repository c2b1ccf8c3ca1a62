"""Where a failure ends, and what is held: one driver on a transport of lists."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from tests.gateway.conversation.test_snapshot import Line, begin, foreseeable

from holdfast.core.errors import Reason
from holdfast.core.items import Text
from holdfast.core.login import Policy
from holdfast.gateway.adapters.events import LoginGiven
from holdfast.gateway.conversation import events
from holdfast.gateway.conversation.phases import Phase


class DefectError(Exception):
    """What nobody has thought of."""


def live(kind: str = "v1", **policy: bool) -> Line:
    """A client with its session; what came of that is forgotten."""
    with foreseeable():
        line = Line(kind, restored=False)
        line.world.backend.policy = Policy(**policy)
        begin(line)
        line.step(("passes", 0.1))
    return line


def told(line: Line) -> list[Any]:
    told, line.world.backend.told = line.world.backend.told, []
    return told


def test_a_step_that_fails_ends_its_connection_alone() -> None:
    line = live(login=True, profiles=True)
    attachment = line.driver.attachment
    assert attachment is not None
    attachment.session.row.user = "ann"
    events.react(line.driver, attachment, LoginGiven("ann", "right"))
    with structlog.testing.capture_logs() as logs:
        line.world.answer(DefectError())
    (failure,) = (log for log in logs if log["event"] == "a connection failed")
    assert failure["session"] == attachment.session.sid
    assert line.world.bench.transport.aborted
    assert line.driver.phase is Phase.LEAVING
    assert line.driver.attachment is None
    assert attachment.session.consumer is None
    assert len(line.world.context.pool) == 0


def test_what_the_session_says_to_a_broken_adapter_ends_the_connection() -> None:
    line = live()
    attachment = line.driver.attachment
    assert attachment is not None
    adapter = attachment.adapter
    broken = {"__slots__": (), "encode": lambda *_: (_ for _ in ()).throw(DefectError())}
    adapter.__class__ = type("Broken", (type(adapter),), broken)
    line.says(2)
    line.world.bench.loop.tick()
    assert line.world.bench.transport.aborted
    assert ("detached", Reason.INTERNAL_ERROR) in told(line)
    assert attachment.session.out.maybe_delivered == 2  # it may have come so far


def test_a_connection_that_is_lost_detaches_its_session_once() -> None:
    line = live()
    line.connection.connection_lost(None)
    assert told(line) == [("detached", Reason.CLIENT_LEFT)]
    line.driver.goodbye(Reason.SHUTDOWN)
    assert told(line) == []


@pytest.mark.parametrize("kind", ["tcp", "telnet"])
def test_what_waits_is_handled_in_order_when_its_turn_comes(kind: str) -> None:
    line = live(kind)
    line.types(7)  # the queue has room for six
    held = line.driver.intake.held
    assert held is not None
    assert held.events
    assert not line.world.bench.transport.reading
    line.arrives(b"last\r\n")
    line.connection.eof_received()
    (session,) = line.world.manager.sessions.values()
    while line.driver.intake.held is not None:
        session.applied(session.inbox.top)
        line.passes(0.5)
    assert session.inbox.top == 8
    assert [queued.item for queued in session.inbox.since(7)] == [Text("last")]
    assert told(line)[-1] == ("detached", Reason.CLIENT_LEFT)


def test_nothing_is_kept_of_what_waited_once_it_is_handled() -> None:
    line = live("plain")
    line.types(7)
    assert line.driver.intake.held is not None
    (session,) = line.world.manager.sessions.values()
    session.applied(session.inbox.top)
    assert line.driver.intake.held is None
    assert line.world.bench.transport.reading
    assert session.inbox.top == 7
    assert [queued.item for queued in session.inbox.since(6)] == [Text("look 7")]
