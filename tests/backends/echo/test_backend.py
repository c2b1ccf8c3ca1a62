from __future__ import annotations

from pathlib import Path

import pytest
from tests.backends.node import Client, Node, node

from holdfast.backends.echo.backend import EchoBackend
from holdfast.core.errors import Reason
from holdfast.core.items import Binary, Command, Data, Interrupt, Resized, Text
from holdfast.core.login import LoginRefusedError, Policy
from holdfast.link.messages import Authenticate
from holdfast.sessions.position import ResetReason
from holdfast.sessions.session import Session
from holdfast.sessions.states import Durability, SessionInput


def opened(it: Node) -> tuple[EchoBackend, Session, Client]:
    backend = EchoBackend(it.services)
    session = it.manager.create(backend, Durability.MEMORY, it.time)
    client = Client(session)
    session.open(client, numbered=False)
    for given in (SessionInput.NEGOTIATED, SessionInput.AUTHENTICATED, SessionInput.SELECTED):
        session.apply(given)
    backend.opened(session)
    return backend, session, client


async def test_an_echo_says_back_what_it_is_told_once_and_in_order(tmp_path: Path) -> None:
    said: list[Command] = [Text("one"), Interrupt(), Binary(b"\x00"), Data("A", "1"), Text("two")]
    async with node(tmp_path) as it:
        _, session, client = opened(it)
        for item in said:
            session.receive(item)
        assert client.outputs == []
        await it.journal.settled()
        assert client.outputs == [item for item in said if not isinstance(item, Interrupt)]
        assert session.inbox.applied == len(said)
        session.receive(Text("three"))
        await it.journal.settled()
        assert client.outputs[-1] == Text("three")
        assert session.inbox.entries == []


async def test_an_echo_wants_neither_login_nor_profile(tmp_path: Path) -> None:
    async with node(tmp_path) as it:
        backend, session, _ = opened(it)
        assert backend.policy == Policy(login=False, profiles=False)
        assert await backend.profiles(session) == []
        for asking in (
            backend.authenticate(session, Authenticate(session.sid)),
            backend.create_profile(session, "x", {}),
            backend.select_profile(session, "x"),
        ):
            with pytest.raises(LoginRefusedError):
                await asking


async def test_an_echo_says_nothing_of_what_becomes_of_its_sessions(tmp_path: Path) -> None:
    async with node(tmp_path) as it:
        backend, session, client = opened(it)
        backend.resized(session, Resized(1, 1))
        backend.capabilities_changed(session)
        backend.detached(session, Reason.TIMEOUT)
        backend.resumed(session)
        backend.resync(session, ResetReason.EPOCH)
        await it.journal.settled()
        assert client.outputs == client.shown == []


async def test_a_session_that_ends_gets_no_echo_any_more(tmp_path: Path) -> None:
    async with node(tmp_path) as it:
        _, session, client = opened(it)
        session.receive(Text("one"))
        it.manager.close(session, Reason.KICKED)
        await it.journal.settled()
        assert client.outputs == []
        assert session.out.top == 0
