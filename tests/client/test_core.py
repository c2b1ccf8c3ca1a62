"""The core of the client against a model of the gateway, over connections that are cut anywhere.

The model is small enough to be seen to be right: a list of outputs, a list of
commands, how much of each is durable, and two tokens.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.client.exchanges import Json

from holdfast.client.core import Began, ClientCore, Online, may_return
from holdfast.client.position import ACK_EACH
from holdfast.client.queue import PENDING_MAX
from holdfast.client.state import State
from holdfast.core.errors import DISCONNECTS, BusyError, Reason
from holdfast.protocols import holdfast_v1 as wire


class Gateway:
    """A gateway with one session, after sessions.md."""

    def __init__(self) -> None:
        self.outputs: list[str] = []
        self.applied: list[str] = []
        self.durable = (0, 0)
        """How many outputs and commands a crash leaves."""
        self.base = 0
        self.crashes = 0
        self.epoch = "e0"
        self.ends: dict[str, int] = {}
        self.known = False
        """Whether the client has heard of its session."""
        self.tokens: list[str] = []
        """The valid ones, the newest last."""
        self.made = 0
        self.live = False
        self.sent = 0
        self.overlooks = False
        self.out: deque[Json] = deque()

    def hear(self, message: Json) -> None:
        match message:
            case {"t": "hello", "token": "", "epoch": "", "last": 0}:
                assert not self.known, "the client has forgotten its session"
                self.outputs.clear()
                self.sent = 0
                self._enter("", t="welcome", seq=0)
            case {"t": "hello", "token": token, "epoch": epoch, "last": last}:
                assert token in self.tokens, f"{token!r} was replaced; valid: {self.tokens}"
                self._resume(token, epoch, last)
            case {"t": "ack" | "ping", "n": n}:
                assert n <= self.sent
                self.base = max(self.base, n)
                del self.tokens[:-1]
                if message["t"] == "ping":
                    self.out.append({"t": "pong"})
            case {"t": "cmd", "c": c, "d": text}:
                self._command(c, text)
            case _:
                raise AssertionError(message)

    def _enter(self, shown: str, **fields: Any) -> None:
        self.made += 1
        self.tokens = [shown, f"t{self.made}"]
        self.durable = (len(self.outputs), len(self.applied))  # before anything is promised
        self.live = True
        entrance = {"sid": "S", "token": self.tokens[-1], "epoch": self.epoch, "heartbeat": 30}
        self.out.append({**entrance, **fields})

    def _resume(self, token: str, epoch: str, last: int) -> None:
        top, cin = len(self.outputs), len(self.applied)
        if not epoch:
            last = self.base
        if self.base <= last <= self.ends.get(epoch or self.epoch, top):
            self._enter(token, t="resumed", **{"from": last + 1, "to": top, "cin": cin})
            self.sent = last
        else:
            self._enter(token, t="reset", reason="epoch", top=top, cin=cin)
            self.sent = self.base = top

    def _command(self, c: int, text: str) -> None:
        if self.overlooks:
            self.overlooks = False
        elif c > len(self.applied) + 1:
            self.out.append({"t": "resend", "c": len(self.applied) + 1})
        elif c == len(self.applied) + 1:
            self.applied.append(text)

    def deliver(self, *, skip: bool) -> None:
        """Send the next output, or go over it."""
        self.sent += 1
        if skip:
            self.out.append({"t": "skip", "n": self.sent})
        else:
            self.out.append({"t": "text", "n": self.sent, "d": self.outputs[self.sent - 1]})

    def commit(self) -> None:
        self.durable = (len(self.outputs), len(self.applied))
        if self.live:
            self.out.append({"t": "ack", "c": self.durable[1]})

    def cut(self) -> None:
        self.live = False
        self.out.clear()

    def crash(self) -> None:
        """Lose what is not durable; what was said to be never is."""
        self.cut()
        outputs, applied = self.durable
        self.ends = {epoch: min(end, outputs) for epoch, end in self.ends.items()}
        self.ends[self.epoch] = outputs
        self.crashes += 1
        self.epoch = f"e{self.crashes}"
        del self.outputs[outputs:], self.applied[applied:]
        self.base = min(self.base, outputs)


class Machine(RuleBasedStateMachine):
    """A person who types, an application that answers, and a network that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.gateway = Gateway()
        self.core = ClientCore()
        self.connected = False
        self.to_gateway: deque[Json] = deque()
        self.position: int | None = None
        """The output that the screen shows last; `None` if nothing of the session is shown."""
        self.typed: list[str] = []
        self.said = 0

    # --- what people do

    @rule()
    def type(self) -> None:
        self.typed.append(f"command {len(self.typed)}")
        self.core.command(self.typed[-1])
        self._take()

    @rule(count=st.sampled_from([1, 2, ACK_EACH + 1]))
    def output(self, count: int) -> None:
        for _ in range(count):
            self.said += 1
            self.gateway.outputs.append(f"output {self.said}")

    # --- what the gateway does

    @precondition(lambda self: self.gateway.live)
    @rule(count=st.sampled_from([1, ACK_EACH + 1]), skip=st.booleans())
    def deliver(self, count: int, skip: bool) -> None:
        for _ in range(min(count, len(self.gateway.outputs) - self.gateway.sent)):
            self.gateway.deliver(skip=skip)

    @rule()
    def commit(self) -> None:
        self.gateway.commit()

    @rule()
    def overlook(self) -> None:
        self.gateway.overlooks = True

    # --- what the network and the machines do

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        self.connected = True
        self.core.connected()
        self._take()

    @precondition(lambda self: self.connected)
    @rule()
    def cut(self) -> None:
        self._cut()
        self.gateway.cut()

    @rule()
    def crash(self) -> None:
        self._cut()
        self.gateway.crash()

    @rule()
    def restart(self) -> None:
        """The client ends, and another begins with what it kept and an empty screen."""
        self._cut()
        self.gateway.cut()
        kept = msgspec.json.encode(self.core.state)
        self.core = ClientCore(msgspec.json.decode(kept, type=State))
        self.position = None

    @precondition(lambda self: self.to_gateway)
    @rule(count=st.sampled_from([1, 1000]))
    def upwards(self, count: int) -> None:
        for _ in range(min(count, len(self.to_gateway))):
            self.gateway.hear(self.to_gateway.popleft())

    @precondition(lambda self: self.connected and self.gateway.out)
    @rule(count=st.sampled_from([1, 1000]))
    def downwards(self, count: int) -> None:
        for _ in range(min(count, len(self.gateway.out))):
            self._show(self.gateway.out.popleft())
            self._take()

    @rule(times=st.integers(1, 3))
    def all_goes_well(self, times: int) -> None:
        """So that there are long stories, too."""
        if not self.connected:
            self.connect()
        for _ in range(times):
            self.upwards(1000)
            self.deliver(1000, skip=False)
            self.downwards(1000)
            if self.core.unacknowledged:
                self.time_passes(beat=False)

    @precondition(lambda self: self.core.unacknowledged)
    @rule(beat=st.booleans())
    def time_passes(self, beat: bool) -> None:
        self.core.ping() if beat else self.core.acknowledge()
        self._take()

    # --- what must hold

    @invariant()
    def it_knows_what_is_on_the_screen(self) -> None:
        if self.position is not None:
            assert self.core.state.last == self.position

    @invariant()
    def commands_are_done_once_and_in_order(self) -> None:
        assert self.gateway.applied == self.typed[: len(self.gateway.applied)]

    def teardown(self) -> None:
        """Once the network holds, everything arrives."""
        if not self.connected:
            self.connect()
        self.gateway.overlooks = False
        self.all_goes_well(3)
        self.type()
        self.all_goes_well(3)
        self.gateway.commit()
        self.downwards(1000)
        assert self.gateway.applied == self.typed
        assert self.core.state.pending == []
        assert self.position == len(self.gateway.outputs)

    def _cut(self) -> None:
        self.connected = self.core.online = False
        self.to_gateway.clear()

    def _take(self) -> None:
        if self.connected:
            self.to_gateway.extend(json.loads(message) for message in self.core.take())

    def _show(self, message: Json) -> None:
        """What is shown is what the gateway has sent: once, in order, and nothing left out."""
        events = self.core.receive(json.dumps(message))
        match message:
            case {"t": "welcome"}:
                self.gateway.known = True
                self.position = 0
                assert events == [Online("S", fresh=True)]
            case {"t": "resumed", "from": first}:
                assert first - 1 == (self.gateway.base if self.position is None else self.position)
                self.position = first - 1
                assert events == [Online("S", fresh=False)]
            case {"t": "reset", "top": top}:
                self.position = top
                assert events == [Online("S", fresh=False), Began("epoch")]
            case {"t": "text", "n": n, "d": text}:
                assert self.position is not None
                self.position += 1
                assert events == [wire.Text(self.position, self.gateway.outputs[n - 1])]
                assert events == [wire.Text(n, text)]
            case {"t": "skip", "n": n}:
                self.position = n
                assert events == []
            case _:
                assert events == []


TestCore = Machine.TestCase
TestCore.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


@pytest.mark.parametrize("reason", DISCONNECTS, ids=lambda reason: reason.value)
def test_a_close_code_says_whether_to_come_back(reason: Reason) -> None:
    disconnect = DISCONNECTS[reason]
    assert may_return(disconnect.code) is disconnect.reconnect


@pytest.mark.parametrize(
    ("code", "returns"),
    [
        (1000, False),
        (1001, True),
        (1002, False),
        (1003, False),
        (1005, True),
        (1006, True),
        (1007, False),
        (1008, False),
        (1009, False),
        (1010, False),
        (1011, True),
        (1012, True),
        (1013, True),
        (1014, True),
        (1015, False),
        (3000, False),
        (4000, False),
        (4499, False),
        (4500, True),
        (4999, True),
    ],
)
def test_every_close_code(code: int, returns: bool) -> None:
    assert may_return(code) is returns


def test_only_so_many_commands_wait() -> None:
    core = ClientCore()
    for number in range(PENDING_MAX):
        core.command(str(number))
    with pytest.raises(BusyError, match="1000 commands wait for the gateway"):
        core.command("x")
    with pytest.raises(BusyError):
        core.data("P", 1)
    with pytest.raises(BusyError):
        core.interrupt()
    assert core.state.sent == len(core.state.pending) == PENDING_MAX
