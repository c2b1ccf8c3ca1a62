"""A defect at one terminal ends that terminal, and no other."""

from __future__ import annotations

import pytest
from tests.backends.pty.running import shells
from tests.backends.terminal.client import term_client
from tests.gateway.running import eventually

from holdfast.backends.pty.process import PtyChannel
from holdfast.backends.terminal.flow import Flow
from holdfast.backends.terminal.kind import Channel
from holdfast.backends.terminal.life import Life


@pytest.mark.parametrize("step", ["check", "output"])
async def test_a_failure_that_others_would_share(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The steps that the backend, or a callback of the event loop, takes for each terminal."""
    broken: list[str] = []
    told, grown = Life.tell_if_stuck, Flow.grown

    def checks(life: Life, seconds_max: float) -> None:
        if life._sid in broken:
            raise RuntimeError("the check has failed")
        told(life, seconds_max)

    def grows(flow: Flow, channel: Channel) -> None:
        if flow._session.sid in broken:
            raise RuntimeError("the output has failed")
        grown(flow, channel)

    if step == "check":
        monkeypatch.setattr(Life, "tell_if_stuck", checks)
    else:
        monkeypatch.setattr(Flow, "grown", grows)
    async with shells() as gateway, term_client(gateway) as ann, term_client(gateway) as ben:
        sid = (await ann.told("ready"))["sid"]
        await ann.told("opened")
        await ben.told("opened")
        broken.append(sid)
        if step == "output":
            await ann.types("echo x\r")
        assert (await ann.told("error"))["code"] == "internal"
        assert (await ann.ends())[0] == 4005
        await ben.types("echo FI''NISH\r")
        await ben.sees("FINISH")


async def test_a_failure_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two terminals, one is not closed as it should be. Its place is free again all the same."""
    close = PtyChannel.close
    broken: list[PtyChannel] = []

    async def closes(channel: PtyChannel) -> None:
        await close(channel)
        if not broken:
            broken.append(channel)
            raise RuntimeError("the end has failed")

    monkeypatch.setattr(PtyChannel, "close", closes)
    async with shells() as gateway, term_client(gateway) as ann, term_client(gateway) as ben:
        await ann.told("opened")
        await ben.told("opened")
        (terminal,) = gateway.backends.terminals
        await ann.types("exit\r")
        await ann.ends()
        await eventually(lambda: broken != [] and len(list(terminal.views())) == 1)
        await ben.types("echo FI''NISH\r")
        await ben.sees("FINISH")
        assert terminal.counts.active == 1
