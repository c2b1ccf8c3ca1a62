"""Another handler stands on a connection from here on."""

from __future__ import annotations

from tests.net.fakes import Bench, Recorder

from holdfast.core.limits import ConnectionLimits
from holdfast.net.connection.handover import hand_over


def test_the_next_handler_hears_what_came_before_in_order_and_alone() -> None:
    before, after = Recorder(), Recorder()
    it = Bench(ConnectionLimits(), before)
    it.connect()
    it.connection.pause_reading()
    hand_over(it.connection, after, [b"a", b"b"])
    it.connection.data_received(b"c")
    assert before.calls == []
    assert after.calls == ["connected", ("received", b"a"), ("received", b"b"), ("received", b"c")]
    assert it.transport.reading
