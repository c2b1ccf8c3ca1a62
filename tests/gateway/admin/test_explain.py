"""What an operator is told of one session, and what the log tells of its life."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs
from tests.gateway.admin.asking import administered, ask, told
from tests.gateway.clients import person, v1
from tests.gateway.running import (
    TCP,
    WS,
    Stage,
    configured,
    eventually,
    linked,
    serving,
    staged,
)

from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway

LIVES = frozenset(
    {
        "session opened", "session resumed", "session reset", "session moved", "session detached",
        "session closed",
    }
)  # fmt: skip


def lives(logs: list[Any], *fields: str) -> list[tuple[object, ...]]:
    """The events of sessions, with these fields."""
    return [
        (log["event"], *(log.get(field) for field in fields))
        for log in logs
        if log["event"] in LIVES
    ]


def config(tmp_path: Path) -> Config:
    return administered(configured(tmp_path, [WS, TCP]))


async def explained(gateway: Gateway, sid: str) -> Any:
    return await told(gateway, f"/api/sessions/{sid}/explain")


async def detaches(gateway: Gateway, sid: str) -> None:
    await eventually(lambda: not gateway.manager.sessions[sid].attached)


async def test_an_application_that_comes_and_goes_is_named_in_the_log(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with staged(config(tmp_path)):
            pass
    links = [entry for entry in logs if entry["event"].startswith("application ")]
    assert [(entry["event"], entry["app"]) for entry in links] == [
        ("application linked", "stage"),
        ("application unlinked", "stage"),
    ]


async def test_sessions_are_of_the_application_that_a_listener_for_any_serves(
    tmp_path: Path,
) -> None:
    with capture_logs() as logs:
        async with staged(config(tmp_path)) as (gateway, _), v1(gateway) as client:
            sid = (await client.expect("welcome"))["sid"]
            assert (await explained(gateway, sid))["app"] == "stage"
            (found,) = (await told(gateway, "/api/sessions?app=stage&search=stag"))["items"]
            assert found["app"] == "stage"
            assert (await told(gateway, f"/api/sessions/{sid}"))["app"] == "stage"
            assert (await told(gateway, "/api/sessions?app=other"))["items"] == []
    assert lives(logs, "app")[0] == ("session opened", "stage")


async def test_the_life_of_a_session_is_in_the_log(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with staged(config(tmp_path)) as (gateway, stage):
            async with v1(gateway) as client:
                welcome = await client.expect("welcome")
                sid, epoch = welcome["sid"], welcome["epoch"]
                await stage.noted("open")
                first = gateway.manager.sessions[sid]
                address = first.row.address
                await stage.session.identify("ada")
                token = (await client.expect("token"))["d"]
                await stage.session.text("one")
                await client.texts("one")
            await detaches(gateway, sid)
            async with v1(gateway, token=token, epoch=epoch, last=0) as client:
                token = (await client.expect("resumed"))["token"]
                async with v1(gateway, token=token, epoch="another", last=7) as other:
                    await other.expect("reset")
                    await stage.session.close()
                    await other.closed()
                    await stage.noted("close", "kicked")
    found = lives(logs, "sid", "connection", "protocol", "reason")
    assert [event[0] for event in found] == [
        "session opened",
        "session detached",
        "session resumed",
        "session moved",
        "session reset",
        "session closed",
    ]
    assert {event[1] for event in found} == {sid}
    assert [event[2] for event in found] == [1, 1, 2, 3, 3, 3]
    assert {event[3] for event in found} == {"websocket"}
    assert [event[4] for event in found][4:] == ["epoch", "kicked"]
    lines = {log["event"]: log for log in logs if log["event"] in LIVES}
    assert lines["session opened"]["address"] == address
    assert lines["session detached"]["user"] == "ada"
    assert lines["session resumed"]["missed"] == 1
    assert lines["session moved"]["from_connection"] == 2
    assert all(log["log_level"] == "info" for log in lines.values())


async def test_a_session_that_another_instance_gets_has_moved(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with serving(config(tmp_path)) as gateway, person(gateway, "tcp") as someone:
            async with linked(gateway) as first:
                await someone.shown_code()
                await first.noted("open")
                before = first.app.instance
            async with linked(gateway, Stage()) as second:
                await second.noted("adopt")
                after = second.app.instance
    assert ("session moved", after) in lives(logs, "instance")
    assert before != after


async def test_a_session_explained(tmp_path: Path) -> None:
    async with staged(config(tmp_path)) as (gateway, stage):
        async with v1(gateway) as client:
            welcome = await client.expect("welcome")
            sid, epoch = welcome["sid"], welcome["epoch"]
            await stage.noted("open")
            await stage.count(1, 5)
            await client.texts("5")
            await client.say("ack", n=3)
            await client.say("cmd", c=1, d="look")
            await stage.noted("text", "look")
            session = gateway.manager.sessions[sid]
            await eventually(lambda: session.out.acked == 3 and session.inbox.applied == 1)
            found = await explained(gateway, sid)
            assert (found["sid"], found["state"], found["epoch"]) == (sid, "active", epoch)
            assert found["generation"] == 1
            assert found["instance"] == stage.app.instance
            assert found["outputs"] == {
                "gone": 3,
                "acknowledged": 3,
                "maybe_delivered": 0,
                "written": 5,
                "deliverable": 5,
                "newest": 5,
            }
            assert found["commands"] == {
                "applied": 1,
                "newest": 1,
                "client": 1,
                "offset": 0,
                "waiting": 0,
            }
            assert [event["event"] for event in found["history"]] == ["session opened"]
        await detaches(gateway, sid)
        async with v1(gateway, token=welcome["token"], epoch=epoch, last=1) as client:
            assert (await client.expect("reset"))["reason"] == "trimmed"
            found = await explained(gateway, sid)
    sentences = "\n".join(found["sentences"])
    assert f"continues in the epoch {epoch} if it has those up to a number from 3 to 5" in sentences
    assert (
        "Connection 2 was reset (trimmed): the client has outputs up to 1; outputs up to 3 are gone"
        in sentences
    )


async def test_a_stored_session_is_explained_without_being_loaded(tmp_path: Path) -> None:
    async with staged(config(tmp_path)) as (gateway, stage), v1(gateway) as client:
        sid = (await client.expect("welcome"))["sid"]
        await stage.noted("open")
        await stage.count(1, 2)
        await client.texts("2")
        await stage.accepted()
    async with serving(config(tmp_path)) as gateway:
        found = await explained(gateway, sid)
        assert found["outputs"]["newest"] == 2
        assert found["history"] == []
        assert found["sentences"][0].startswith("No client has come for it since the gateway")
        assert sid not in gateway.manager.sessions
        answer = await ask(gateway, f"/api/sessions/{sid}", "DELETE")
        assert answer.status == 200
        answer = await ask(gateway, f"/api/sessions/{sid}/explain")
        assert answer.status == 404
        assert json.loads(answer.body)["error"].endswith(": kicked")
        assert (await ask(gateway, "/api/sessions/nobody/explain")).status == 404
