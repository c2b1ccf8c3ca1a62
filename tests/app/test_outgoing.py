"""Whatever is accepted, lost and sent again: the gateway sees 1, 2, 3 … once and in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.app.outgoing import Outgoing
from holdfast.core.items import Text, size_of
from holdfast.link import messages as m

WINDOW = 200


class OutgoingMachine(RuleBasedStateMachine):
    """An application's outputs, a network that loses what is on its way, and a gateway."""

    def __init__(self) -> None:
        super().__init__()
        self.outgoing = Outgoing(WINDOW)
        self.said: list[str] = []
        self.sizes: list[int] = []
        self.network: list[tuple[str, Any]] = []
        self.heard: list[str] = []
        self.durable = 0
        self.told = 0
        """Up to where the application knows that its outputs are accepted."""

    # --- the application

    @rule(text=st.text("ab", max_size=20))
    def emit(self, text: str) -> None:
        item = Text(f"{len(self.said)} {text}")
        self.outgoing.emit("s", "must", item)
        self.said.append(item.text)
        self.sizes.append(size_of(item))

    @rule(size=st.integers(0, 50))
    def call(self, size: int) -> None:
        text = f"{len(self.said)} all"
        self.outgoing.call(
            m.BROADCAST, lambda bseq: m.Broadcast("g", bseq, "must", Text(text)), size
        )
        self.said.append(text)
        self.sizes.append(size + 64)

    @rule()
    def send(self) -> None:
        self.network += self.outgoing.take()

    # --- the gateway

    @precondition(lambda self: self.network)
    @rule()
    def deliver(self) -> None:
        _, params = self.network.pop(0)
        for output in params if isinstance(params, list) else [params]:
            if output.bseq <= len(self.heard):
                continue
            assert output.bseq == len(self.heard) + 1, "a gap: the link would be closed"
            self.heard.append(output.item.text)

    @rule(share=st.floats(0, 1))
    def commit(self, share: float) -> None:
        self.durable += round((len(self.heard) - self.durable) * share)

    @rule()
    def accept(self) -> None:
        self.outgoing.accepted(self.durable)
        self.told = self.durable

    @rule(lost_commits=st.booleans())
    def relink(self, lost_commits: bool) -> None:
        """The link broke, and with it went what was on its way; or the gateway itself died."""
        self.network.clear()
        if lost_commits:
            del self.heard[self.durable :]
        self.outgoing.relink(self.durable, WINDOW)
        self.told = self.durable

    # --- what must hold

    @invariant()
    def the_gateway_has_heard_what_was_said_once_and_in_order(self) -> None:
        assert self.heard == self.said[: len(self.heard)]

    @invariant()
    def the_window_counts_what_is_not_accepted(self) -> None:
        waiting = sum(self.sizes[self.told :])
        assert self.outgoing.full is (waiting >= WINDOW)
        assert self.outgoing.idle is (self.told == len(self.said))

    def teardown(self) -> None:
        """Once the network holds, everything arrives."""
        self.relink(lost_commits=False)
        self.send()
        while self.network:
            self.deliver()
        assert self.heard == self.said


TestOutgoing = OutgoingMachine.TestCase


def emit(outgoing: Outgoing, *texts: str) -> None:
    for text in texts:
        outgoing.emit("s", "must", Text(text))


def test_runs_of_emit_are_one_notification_and_other_calls_keep_their_place() -> None:
    outgoing = Outgoing(WINDOW)
    emit(outgoing, "a", "b")
    outgoing.call(m.JOIN, lambda bseq: m.Membership("g", bseq, ["s"]), 0)
    emit(outgoing, "c")
    assert outgoing.take() == [
        (m.EMIT, [m.Emit("s", 1, "must", Text("a")), m.Emit("s", 2, "must", Text("b"))]),
        (m.JOIN, m.Membership("g", 3, ["s"])),
        (m.EMIT, [m.Emit("s", 4, "must", Text("c"))]),
    ]
    assert outgoing.take() == []
    emit(outgoing, "d")
    assert outgoing.take() == [(m.EMIT, [m.Emit("s", 5, "must", Text("d"))])]


def test_what_was_ever_sent_counts_as_sent_on_a_link_that_sends_nothing() -> None:
    outgoing = Outgoing(WINDOW)
    outgoing.emit("s1", "must", Text("a"))
    assert outgoing.sent == 0
    outgoing.take()
    outgoing.emit("s1", "must", Text("b"))
    outgoing.relink(0, WINDOW)
    assert outgoing.sent == 1
    outgoing.take()
    assert outgoing.sent == 2


def test_a_new_link_has_a_window_of_its_own() -> None:
    outgoing = Outgoing(1)
    emit(outgoing, "a")
    assert outgoing.full
    outgoing.relink(0, 1_000)
    assert not outgoing.full
    outgoing.relink(0, 30)
    assert outgoing.full


@pytest.mark.parametrize("accepted", [0, 1, 3])
def test_what_is_accepted_is_not_sent_again(accepted: int) -> None:
    outgoing = Outgoing(WINDOW)
    emit(outgoing, "1", "2", "3")
    outgoing.take()
    outgoing.relink(accepted, WINDOW)
    sent = [output.item.text for _, batch in outgoing.take() for output in batch]
    assert sent == ["1", "2", "3"][accepted:]
    assert outgoing.idle is (accepted == 3)


def test_an_acceptance_of_what_was_never_said_does_no_harm() -> None:
    """A gateway that is wrong about its numbers must not take the application down."""
    outgoing = Outgoing(WINDOW)
    emit(outgoing, "1", "2")
    outgoing.accepted(1)
    assert [output.bseq for _, batch in outgoing.take() for output in batch] == [2]
    emit(outgoing, "3")
    outgoing.accepted(9)
    assert outgoing.take() == []
    emit(outgoing, "4")
    assert [output.bseq for _, batch in outgoing.take() for output in batch] == [4]
