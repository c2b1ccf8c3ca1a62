"""Viewers of a terminal: they see what its owner sees, and change nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.backends.pty.running import shells
from tests.backends.terminal.client import TermClient, term_client, viewer
from tests.gateway.clients import person
from tests.gateway.running import eventually
from websockets.exceptions import ConnectionClosed

from holdfast.core.items import MUST, Binary
from holdfast.core.limits import KIB, Limits
from holdfast.gateway.gateway import Gateway
from holdfast.net.security_log import SecurityEvent

Started = tuple[Gateway, TermClient]


@pytest.fixture
async def started() -> AsyncIterator[Started]:
    async with shells() as gateway, term_client(gateway) as owner:
        await owner.told("opened")
        yield gateway, owner


async def invites(owner: TermClient, seconds: float = 60.0) -> str:
    await owner.say("invite", seconds=seconds)
    token = (await owner.told("invitation"))["token"]
    assert isinstance(token, str)
    return token


async def counts(owner: TermClient, viewers: int) -> list[str]:
    """Wait until the owner is told of so many viewers. Returns where they are."""
    while True:
        (one,) = (await owner.told("viewers"))["invitations"]
        found: list[str] = one["viewers"]
        if len(found) == viewers:
            return found


def told(gateway: Gateway, event: SecurityEvent) -> int:
    return gateway.context.security.counts[event]


async def test_a_viewer_sees_what_was_shown_and_what_comes(started: Started) -> None:
    gateway, owner = started
    await owner.types("echo BE''FORE\r")
    await owner.sees("BEFORE\r\n")
    token = await invites(owner)
    async with viewer(gateway, token) as watching:
        begun = await watching.told("watching")
        assert (begun["n"], begun["gap"], begun["cols"], begun["rows"]) == (0, 0, 80, 24)
        await watching.sees("BEFORE\r\n")
        (address,) = await counts(owner, 1)
        assert address == "{}:{}".format(*watching.socket.local_address[:2])
        await owner.types("echo AF''TER\r")
        await watching.sees("AFTER\r\n")
        await owner.say("resize", cols=100, rows=30)
        size = await watching.told("size")
        assert (size["cols"], size["rows"]) == (100, 30)
        offset = watching.offset
    await counts(owner, 0)
    await owner.types("echo MIS''SED\r")
    await owner.sees("MISSED\r\n")
    async with viewer(gateway, token, offset) as watching:
        assert (await watching.told("watching"))["n"] == offset
        assert b"AFTER" not in await watching.sees("MISSED\r\n"), "it goes on where it was"
    assert told(gateway, SecurityEvent.INVITED) == 1
    assert told(gateway, SecurityEvent.WATCHED) == 2


@pytest.mark.parametrize(
    "message",
    [{"t": "answer", "c": 1, "text": "x"}, {"t": "resize", "cols": 9, "rows": 9},
     {"t": "code"}, {"t": "invite"}, {"t": "open"}, b"\0\0\0\0\1touch /tmp/x\r"],
    ids=["answer", "resize", "code", "invite", "open", "input"],
)  # fmt: skip
async def test_a_viewer_can_do_nothing(started: Started, message: object) -> None:
    gateway, owner = started
    async with viewer(gateway, await invites(owner)) as watching:
        await watching.told("watching")
        (session,) = gateway.manager.sessions.values()
        before = (session.inbox.top, session.row.capabilities, session.consumer)
        if isinstance(message, bytes):
            await watching.socket.send(message)
        else:
            await watching.say(**message)  # type: ignore[arg-type]
        assert await watching.ends() == (
            1002,
            "a viewer may acknowledge output and leave, and nothing else",
        )
        assert (session.inbox.top, session.row.capabilities, session.consumer) == before
    await counts(owner, 0)


async def test_an_invitation_that_is_revoked(started: Started) -> None:
    gateway, owner = started
    token = await invites(owner)
    async with viewer(gateway, token) as watching:
        await watching.told("watching")
        await owner.say("revoke", id=1)
        assert await watching.ends() == (4002, "the invitation was revoked")
    while (await owner.told("viewers"))["invitations"]:
        pass
    async with viewer(gateway, token) as watching:
        assert "revoked" in (await watching.told("refused"))["text"]
    assert told(gateway, SecurityEvent.INVITATION_REFUSED) == 1
    await owner.types("echo STI''LL\r")
    await owner.sees("STILL")


async def test_an_invitation_ends_with_its_time(started: Started) -> None:
    gateway, owner = started
    token = await invites(owner, 0.3)
    async with viewer(gateway, token) as watching:
        await watching.told("watching")
        assert await watching.ends() == (4003, "the time of the invitation is over")
    async with viewer(gateway, token) as watching:
        await watching.told("refused")


async def test_tokens_of_the_other_kind(started: Started) -> None:
    gateway, owner = started
    invitation = await invites(owner)
    (session,) = gateway.manager.sessions.values()
    async with term_client(gateway, token=invitation, n=0) as thief:
        await thief.told("refused")
    assert session.attached, "an invitation is no right to the session, and no evidence of theft"
    async with viewer(gateway, "no token") as watching:
        await watching.told("refused")


async def test_viewers_are_no_sign_of_life() -> None:
    async with shells() as gateway:
        async with term_client(gateway) as owner:
            await owner.told("opened")
            token = await invites(owner)
            await owner.types("sleep 0.1; echo A''LONE\r")
            await owner.sees("A''LONE")
        async with viewer(gateway, token) as watching:
            await watching.sees("ALONE\r\n")
            (session,) = gateway.manager.sessions.values()
            await eventually(lambda: session.state.detached)
            limits = gateway.context.limits.session
            gateway.manager.expire(session.detached + limits.detached_seconds_max + 1)
            assert await watching.ends() == (1000, "the session has ended")
        assert not gateway.manager.sessions


async def test_a_stalled_viewer_holds_nobody_back() -> None:
    most = 64 * KIB
    limits = Limits().but(session={"viewer_unacknowledged_max": most})
    first, size = 2 * most, 1_500_000
    output = "head -c {} /dev/zero | tr '\\0' x"
    both = f"{output.format(first)}; read go; {output.format(size - first)}"
    command = ("sh", "-c", f"read go; {both}; echo 'THE END'; read go")
    async with shells(*command, limits=limits) as gateway, term_client(gateway) as owner:
        await owner.told("opened")
        token = await invites(owner)
        async with (
            viewer(gateway, token) as stalled,
            viewer(gateway, token) as second,
            viewer(gateway, token) as third,
        ):
            stalled.acks = False
            for one in (stalled, second, third):
                await one.told("watching")
            await owner.types("\r")
            # A viewer that is behind by more than the terminal keeps is shown the rest alone.
            while stalled.offset < most:
                await stalled.reads()
            await owner.types("\r")
            async with asyncio.TaskGroup() as tasks:
                for one in (owner, second, third):
                    tasks.create_task(_reads_all(one))
            assert owner.output.count(b"x") == size
            (session,) = gateway.manager.sessions.values()
            await eventually(lambda: session.out.acked == session.out.top)
            await stalled.say("ack", n=stalled.offset)
            stalled.acks = True
            again = await stalled.told("watching")
            assert len(stalled.output) == most, "no more goes to who acknowledges nothing"
            assert again["gap"] > 0, "what is not there any more is told"
            await _reads_all(stalled)


async def _reads_all(client: TermClient) -> None:
    while b"THE END" not in client.output[-64:]:
        await client.reads()


async def test_how_many_there_may_be() -> None:
    """The owner is told, also where output waits to be sent."""
    limits = Limits().but(session={"viewers_max": 1, "invitations_max": 1})
    async with shells(limits=limits) as gateway, term_client(gateway) as owner:
        await owner.told("opened")
        token = await invites(owner)
        (session,) = gateway.manager.sessions.values()
        session.out.append(Binary(b"not sent yet"), MUST, 0.0)
        await owner.say("invite")
        assert "no more at one time" in (await owner.told("notify"))["text"]
        async with viewer(gateway, token) as first:
            await first.told("watching")
            async with viewer(gateway, token) as second:
                assert (await second.ends())[0] == 4504


async def test_an_owner_who_moves_is_told_who_watches(started: Started) -> None:
    gateway, owner = started
    token = await invites(owner)
    async with viewer(gateway, token) as watching:
        await watching.told("watching")
        await owner.say("code")
        code = (await owner.told("code"))["d"]
        async with person(gateway, "telnet") as ann:
            await ann.sees("resume")
            ann.types(f"resume {code}")
            await ann.sees("Viewers of this session: 1.")
            assert (await owner.ends())[0] == 4001
            ann.types("echo EVE''RYWHERE")
            await watching.sees("EVERYWHERE")


async def test_the_end_of_the_session_is_the_viewers_end(started: Started) -> None:
    gateway, owner = started
    async with viewer(gateway, await invites(owner)) as watching:
        await watching.told("watching")
        await owner.types("echo LA''ST; exit 3\r")
        await owner.ends()
        with pytest.raises(ConnectionClosed):
            await watching.sees("never")
        assert b"LAST" in watching.output
        assert watching.closed == (1000, "the session has ended")
    await eventually(lambda: not gateway.manager.sessions)
