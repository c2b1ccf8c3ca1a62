"""Taking up a session that was offered: its numbers are others than those of the own one."""

from __future__ import annotations

import json

import pytest

from holdfast.client import ClientCore, Online, ServerFaultError, Text


def told(core: ClientCore, t: str, **fields: object) -> list[object]:
    return [*core.receive(json.dumps({"t": t, **fields}))]


def entered(core: ClientCore, t: str, sid: str, **fields: object) -> list[object]:
    known = {"sid": sid, "token": f"{sid}-token", "epoch": f"{sid}-epoch", "heartbeat": 30}
    return told(core, t, **known, **fields)


def new_session() -> ClientCore:
    """A client whose own session has said one thing, and that has said one itself."""
    core = ClientCore()
    core.connected()
    entered(core, "welcome", "own", seq=0)
    told(core, "text", n=1, d="Hello.")
    core.command("look")
    core.take()
    return core


@pytest.mark.parametrize("first", [1, 2, 7])
def test_an_offered_session_goes_on_with_its_own_numbers(first: int) -> None:
    core = new_session()
    core.take_offer()
    came = entered(core, "resumed", "other", **{"from": first, "to": first, "cin": 5})
    assert came == [Online("other", fresh=False)]
    assert told(core, "text", n=first, d="more") == [Text(first, "more")]
    core.command("go on")
    *_, command = core.take()
    assert json.loads(command) == {"t": "cmd", "c": 6, "d": "go on"}
    core.connected()
    (hello,) = (json.loads(message) for message in core.take())
    assert (hello["token"], hello["epoch"], hello["last"]) == ("other-token", "other-epoch", first)


def test_the_own_session_must_go_on_where_it_was() -> None:
    core = new_session()
    core.connected()
    with pytest.raises(ServerFaultError, match="resumed from 7; expected 2"):
        entered(core, "resumed", "own", **{"from": 7, "to": 7, "cin": 1})
