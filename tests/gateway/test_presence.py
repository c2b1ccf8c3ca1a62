"""Who is in a group, and which other sessions a user has."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
from tests.gateway.clients import v1
from tests.gateway.running import WS, Stage, acting, configured, eventually, linked, staged

from holdfast.app import App, MemberCount, UnsendableError
from holdfast.app.node import Node
from holdfast.link import messages as m


async def test_the_members_of_a_group_and_how_many_are_there(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, [WS])) as (gateway, stage):
        assert await stage.app.members("room") == []
        assert await stage.app.count_members("room") == MemberCount(0, 0)
        async with v1(gateway) as away:
            first = (await away.expect("welcome"))["sid"]
            await stage.noted("open")
            await stage.session.join("room")
        await stage.noted("detach", "client_left")
        async with v1(gateway) as here, linked(gateway, Stage("stage")) as other:
            second = (await here.expect("welcome"))["sid"]
            app, joined = stage, stage.app.sessions.get(second)
            if joined is None:
                await other.until(lambda: second in other.app.sessions)
                app, joined = other, other.app.sessions[second]
            await joined.join("room")
            await app.accepted()
            for one in (stage, other):  # whichever instance holds them
                found = await one.app.members("room")
                assert [member.sid for member in found] == sorted([first, second])
                assert {member.sid: member.attached for member in found} == {
                    first: False,
                    second: True,
                }
                assert await one.app.count_members("room") == MemberCount(2, 1)


async def test_many_members_come_in_parts(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, [WS])) as (gateway, stage):
        for number in range(5):
            async with v1(gateway) as client:
                await client.expect("welcome")
                await stage.until(lambda: len(stage.app.sessions) == number + 1)  # noqa: B023
        for session in stage.app.sessions.values():
            await session.join("room")
        await stage.accepted()
        asked = []
        request = Node.request

        async def counting(
            node: Node, method: str, params: object, result: type[m.Members]
        ) -> m.Members:
            asked.append(params)
            return await request(node, method, params, result)

        with (
            mock.patch.object(m, "MEMBERS_MAX", 2),
            mock.patch.object(Node, "request", counting),
        ):
            found = await stage.app.members("room")
        assert [one.sid for one in found] == sorted(stage.app.sessions)
        assert len(asked) == 3


async def test_the_other_sessions_of_a_user(tmp_path: Path) -> None:
    async with (
        staged(configured(tmp_path, [WS])) as (gateway, stage),
        v1(gateway) as one,
        v1(gateway) as two,
        v1(gateway) as stranger,
    ):
        sids = [(await each.expect("welcome"))["sid"] for each in (one, two, stranger)]
        for _ in sids:
            await stage.noted("open")
        mine, other, third = (stage.app.sessions[sid] for sid in sids)
        assert await stage.app.others_of(mine) == []  # nobody's
        for session, user in ((mine, "anna"), (other, "anna"), (third, "bert")):
            await session.identify(user)
        await stage.accepted()
        assert [found.sid for found in await stage.app.others_of(mine)] == [other.sid]
        assert await stage.app.others_of(third) == []


async def test_an_instance_that_serves_no_sessions_asks_as_well(tmp_path: Path) -> None:
    worker = App("stage", serves=False)
    async with (
        staged(configured(tmp_path, [WS], app="stage")) as (gateway, stage),
        v1(gateway) as client,
        acting(worker, str(gateway.link_address)),
    ):
        await client.expect("welcome")
        await stage.noted("open")
        await stage.session.join("room")
        await stage.accepted()
        await eventually(lambda: worker.linked)
        assert await worker.count_members("room") == MemberCount(1, 1)
        assert [one.sid for one in await worker.members("room")] == [stage.session.sid]
        with pytest.raises(UnsendableError, match="group: "):
            await worker.members("x" * 10_000)
