"""The HTTP API of a real gateway: publications, their answers, rights, and bad input."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import structlog
from tests.gateway.api.asking import (
    API,
    READ_KEY,
    Http,
    echoing,
    found,
    http,
    person,
    with_api,
)
from tests.gateway.running import TCP, configured, eventually, serving
from tests.gateway.test_store_failures import IMPATIENT, fails

from holdfast.core.items import Text
from holdfast.core.limits import Limits
from holdfast.sessions.publishing import Publishing


async def test_a_publication_reaches_sessions_users_and_groups(tmp_path: Path) -> None:
    async with (
        echoing(tmp_path) as gateway,
        http(gateway) as api,
        person(gateway, "anna", "buyers") as anna,
        person(gateway, "ben") as ben,
    ):
        assert await api.publish(to={"session": anna.sid}, item="one") == {
            "reached": 1,
            "attached": 1,
        }
        await api.publish(to={"user": ["anna", "ben"]}, items=["two", {"notice": "three"}])
        told = await api.publish(to={"group": "buyers", "user": "zoe"}, item={"text": "four"})
        assert told == {"reached": 1, "attached": 1, "unknown": {"user": ["zoe"]}}
        await anna.hears("one", "two", "*** three", "four")
        await ben.hears("two", "*** three")


async def test_a_batch_is_carried_out_in_order_and_each_has_its_answer(tmp_path: Path) -> None:
    async with echoing(tmp_path) as gateway, http(gateway) as api, person(gateway, "anna") as anna:
        batch = [
            {"to": {"user": "anna"}, "item": "1"},
            {"to": {"session": "s0"}, "item": "2"},
            {"to": {}, "item": "3"},
            {"to": {"user": "anna"}, "item": {"binary": "?"}},
            {"to": {"user": "anna"}, "item": "4", "app": "other"},
            {"to": {"user": "anna"}, "item": "5", "id": "five"},
            {"to": {"user": "anna"}, "item": "5", "id": "five"},
            {"to": {"user": "anna"}, "item": "6", "id": "five"},
        ]
        answer = await api.ask("/v1/publish", batch)
        assert answer.status == 200
        results = found(answer)
        assert [one.get("code", "") for one in results] == [
            "", "unknown_session", "bad_request", "bad_request", "unknown_app", "", "", "id_reused",
        ]  # fmt: skip
        assert results[6] == {"reached": 1, "attached": 1, "repeated": True}
        await anna.hears("1", "5")


async def test_an_id_is_known_to_the_next_gateway(tmp_path: Path) -> None:
    async with (
        echoing(tmp_path) as gateway,
        http(gateway) as api,
        person(gateway, "anna") as anna,
    ):
        await api.publish(to={"user": "anna"}, item="once", id="7", durability="durable")
        await anna.hears("once")
    async with echoing(tmp_path) as gateway, http(gateway) as api:
        again = await api.publish(to={"user": "anna"}, item="once", id="7")
        assert again == {"reached": 1, "attached": 1, "repeated": True}
        # The session is in the store, and is loaded for what is new.
        assert await api.publish(to={"user": "anna"}, item="twice") == {"reached": 1}
        (session,) = gateway.manager.sessions.values()
        assert session.out.entries[-1].item.text == "twice"  # type: ignore[union-attr]


async def test_members_of_a_group_that_are_in_the_store_are_reached(tmp_path: Path) -> None:
    async with echoing(tmp_path) as gateway, person(gateway, "anna", "buyers") as anna:
        pass
    async with echoing(tmp_path) as gateway, http(gateway) as api:
        group = found(await api.ask("/v1/groups/buyers"))
        assert group == {"group": "buyers", "members": [anna.sid], "count": 1, "attached": 0}
    async with echoing(tmp_path) as gateway, http(gateway) as api:
        assert await api.publish(to={"group": "buyers"}, item="x") == {"reached": 1}


async def test_sessions_are_listed_and_closed(tmp_path: Path) -> None:
    async with (
        echoing(tmp_path) as gateway,
        http(gateway) as api,
        person(gateway, "anna") as one,
        person(gateway, "anna") as other,
    ):
        page = found(await api.ask("/v1/sessions?user=anna&limit=1"))
        assert page["more"] is True
        (first,) = page["sessions"]
        assert first["sid"] == one.sid
        assert first["app"] == "echo"
        assert first["attached"] is True
        rest = found(await api.ask(f"/v1/sessions?user=anna&after={one.sid}"))
        assert [view["sid"] for view in rest["sessions"]] == [other.sid]
        closed = await api.ask(f"/v1/sessions/{one.sid}/close", {"reason": "kicked"})
        assert found(closed) == {"closed": one.sid}
        assert (await one.reader.read()).startswith(b"***")
        again = await api.ask(f"/v1/sessions/{one.sid}/close", b"", "POST")
        assert (again.status, found(again)["code"]) == (404, "unknown_session")


REFUSED: dict[str, tuple[str, Any, int, str]] = {
    "no JSON": ("/v1/publish", b"{", 400, "expected a publication: Input data was truncated"),
    "no UTF-8": ("/v1/publish", b'{"to": {"user": "\xff"}}', 400, "expected a publication"),
    "deep": ("/v1/publish", b"[" * 5000, 400, "expected a publication"),
    "no target": ("/v1/publish", {"item": "x"}, 400, "missing required field `to`"),
    "empty target": ("/v1/publish", {"to": {}, "item": "x"}, 400, "to: expected 1 to 1000"),
    "another key": ("/v1/publish", {"to": {"user": "a"}, "item": "x", "now": 1}, 400, "`now`"),
    "no item": ("/v1/publish", {"to": {"user": "a"}}, 400, "either item or items, found neither"),
    "two": ("/v1/publish", {"to": {"user": "a"}, "item": "x", "items": ["y"]}, 400, "found both"),
    "half a pair": ("/v1/publish", {"to": {"user": "a"}, "item": "\ud800"}, 400, "publication"),
    "no batch": ("/v1/publish", [], 400, "expected 1 to 1000 publications, found 0"),
    "a batch too many": ("/v1/publish", [{"to": {}}] * 1001, 400, "found 1001"),
    "no session": ("/v1/publish", {"to": {"session": "s"}, "item": "x"}, 404, "no session s"),
    "no application": (
        "/v1/publish", {"to": {"user": "a"}, "item": "x", "app": "b"}, 404, "no application b",
    ),
    "no path": ("/v2/publish", {}, 404, "there is no '/v2/publish'"),
    "no reason": ("/v1/sessions/s/close", {"reason": "because"}, 400, "reason: expected one of"),
    "no user": ("/v1/sessions", None, 400, "expected ?user=NAME, found none"),
    "no limit": ("/v1/sessions?user=a&limit=0", None, 400, "limit: expected 1 to 1000, found '0'"),
}  # fmt: skip


async def test_a_bad_request_is_answered_with_what_was_found(tmp_path: Path) -> None:
    async with echoing(tmp_path) as gateway, http(gateway) as api:
        for name, (target, body, status, words) in REFUSED.items():
            answer = await api.ask(target, body)
            assert answer.status == status, name
            assert words in found(answer)["error"], (name, answer.body)
        assert (await api.publish(to={"user": "a"}, item="x"))["reached"] == 0
        answer = await api.ask("/v1/publish", [{"to": {"user": "a"}, "item": "x"}] * 1000)
        assert (answer.status, len(json.loads(answer.body))) == (200, 1000)


async def test_methods_and_the_document(tmp_path: Path) -> None:
    async with echoing(tmp_path) as gateway, http(gateway, "no key at all") as stranger:
        document = found(await stranger.ask("/v1/openapi.json"))
        async with http(gateway) as api, person(gateway, "anna") as anna:
            answer = await api.ask("/v1/publish", None, "DELETE")
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")
            assert (await api.ask("/v1/sessions", {})).headers["Allow"] == "GET"
            bodies = {
                "PublishRequest": {"to": {"user": "anna"}, "items": ["x", {"notice": "y"}]},
                "PublishResult": await api.publish(to={"user": ["anna", "ben"]}, item="x"),
                "SessionList": found(await api.ask("/v1/sessions?user=anna")),
                "GroupView": found(await api.ask("/v1/groups/g")),
                "Fault": found(await api.ask("/v1/nothing")),
                "Closed": found(await api.ask(f"/v1/sessions/{anna.sid}/close", {})),
            }
    schemas = document["components"]["schemas"]
    for name, body in bodies.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
        jsonschema.validate(body, schema)
    served = {(path, method) for path, item in document["paths"].items() for method in item}
    assert served == {
        ("/v1/publish", "post"),
        ("/v1/sessions", "get"),
        ("/v1/sessions/{sid}/close", "post"),
        ("/v1/groups/{name}", "get"),
    }
    json.dumps(document)


async def test_a_key_may_do_what_it_is_for(tmp_path: Path) -> None:
    limits = Limits().but(api={"wrong_key_burst_max": 2, "wrong_keys_per_minute_max": 0.001})
    with structlog.testing.capture_logs() as lines:
        async with echoing(tmp_path, limits) as gateway:
            async with http(gateway, READ_KEY) as api:
                answer = await api.ask("/v1/publish", {"to": {"user": "a"}, "item": "x"})
                assert (answer.status, found(answer)["code"]) == (403, "forbidden")
                assert "may not publish; it may read" in found(answer)["error"]
                answer = await api.ask("/v1/groups/g?app=echo")
                assert (answer.status, found(answer)["code"]) == (403, "forbidden")
                answer = await api.ask("/v1/groups/g")
                assert (answer.status, found(answer)["code"]) == (404, "unknown_app")
                assert found(await api.ask("/v1/sessions?user=a")) == {"sessions": []}
            async with http(gateway, "wrong") as api:
                statuses = [(await api.ask("/v1/groups/g")).status for _ in range(3)]
                assert statuses == [401, 401, 429]
                answer = await api.ask("/v1/groups/g", Authorization="")
                assert (answer.status, answer.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
            async with http(gateway) as api:  # the right key is taken nevertheless
                assert (await api.ask("/v1/groups/g")).status == 200
    refused = [line for line in lines if line["event"] == "api_refused"]
    assert len(refused) >= 6
    assert not any("wrong" in str(line.get("key")) for line in lines)


async def test_several_applications_are_told_apart(tmp_path: Path) -> None:
    linked = configured(tmp_path, [TCP], app="shop")
    echoed = configured(tmp_path, [TCP], backend="echo")
    both = with_api(
        type(linked)(
            listener=echoed.listener + linked.listener, store=linked.store, link=linked.link
        )
    )
    async with serving(both) as gateway, http(gateway) as api, person(gateway, "anna") as anna:
        answer = await api.ask("/v1/publish", {"to": {"user": "anna"}, "item": "x"})
        assert (answer.status, found(answer)["error"]) == (
            400,
            "app: expected one of echo, shop; found none",
        )
        assert (await api.publish(to={"user": "anna"}, item="x", app="echo"))["reached"] == 1
        answer = await api.ask(
            "/v1/publish", {"to": {"session": anna.sid}, "item": "y", "app": "shop"}
        )
        assert answer.status == 404
        async with http(gateway, READ_KEY) as reader:
            assert found(await reader.ask("/v1/sessions?user=anna")) == {"sessions": []}
        await anna.hears("x")


async def test_requests_on_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    async with echoing(tmp_path) as gateway, http(gateway) as api, person(gateway, "anna") as anna:
        for number in range(300):
            api.write("/v1/publish", {"to": {"user": "anna"}, "item": str(number)})
        api.write("/v1/groups/g", None, "", {"Connection": "close"})
        text = (await api.until_closed()).decode()
        assert text.count("HTTP/1.1 200 OK") == 301
        assert text.endswith('"count":0,"attached":0}')
        await anna.hears(*map(str, range(300)))


async def test_many_requests_that_are_answered_at_once(tmp_path: Path) -> None:
    async with echoing(tmp_path) as gateway, http(gateway) as api, person(gateway, "anna") as anna:
        body = {"to": {"user": "anna"}, "item": "x", "durability": "memory"}
        for _ in range(500):
            api.write("/v1/sessions?user=anna")
            api.write("/v1/publish", body)
        api.writer.write_eof()
        text = (await api.until_closed()).decode()
        assert text.count("HTTP/1.1 200 OK") == 1_000
        assert text.count('{"reached":1,"attached":1}') == 500
        await anna.hears(*["x"] * 500)


@pytest.mark.parametrize("where", ["load", "publish"])
async def test_a_defect_is_answered_with_500(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("a defect")

    async with echoing(tmp_path) as gateway, person(gateway, "anna"):
        pass
    async with echoing(tmp_path) as gateway, http(gateway) as api:
        monkeypatch.setattr(Publishing, where, broken)  # the session is in the store
        answer = await api.ask("/v1/publish", {"to": {"user": "anna"}, "item": "x"})
        assert (answer.status, found(answer)["code"]) == (500, "internal")
        monkeypatch.undo()
        assert await api.publish(to={"user": "anna"}, item="x") == {"reached": 1}


async def test_a_request_that_is_not_answered_in_time_may_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = asyncio.Event()

    async def stuck(*args: object) -> None:
        await goes_on.wait()

    limits = Limits().but(api={"answer_seconds_max": 0.3})
    async with echoing(tmp_path) as gateway, person(gateway, "anna"):
        pass
    async with echoing(tmp_path, limits) as gateway, http(gateway) as api:
        monkeypatch.setattr(Publishing, "load", stuck)
        answer = await api.ask("/v1/publish", {"to": {"user": "anna"}, "item": "x"})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert found(answer)["code"] == "unavailable"
        goes_on.set()
        assert await api.until_closed() == b""


BYTES: dict[str, tuple[bytes, bytes, bytes]] = {
    "chunked": (b"Transfer-Encoding: chunked", b"0\r\n\r\n", b"411"),
    "two lengths": (b"Content-Length: 1\r\nContent-Length: 2", b"{}", b"400"),
    "a large body": (b"Content-Length: 99999999", b"", b"413"),
    "a negative length": (b"Content-Length: -1", b"", b"400"),
    "a header of two lines": (b"X: a\r\n b", b"", b"400"),
    "many headers": (b"\r\n".join([b"X: y"] * 101), b"", b"431"),
    "a large head": (b"X: " + b"y" * 20_000, b"", b"431"),
    "a null": (b"X: a\x00b", b"", b"400"),
}


@pytest.mark.parametrize("name", BYTES)
async def test_what_is_no_http_is_refused_and_ends_the_connection(
    name: str, tmp_path: Path
) -> None:
    fields, body, status = BYTES[name]
    async with echoing(tmp_path) as gateway, http(gateway) as api:
        api.writer.write(b"POST /v1/publish HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n" + body)
        assert (await api.until_closed()).startswith(b"HTTP/1.1 " + status)


async def test_a_slow_request_is_ended_and_one_in_pieces_is_answered(tmp_path: Path) -> None:
    limits = Limits().but(api={"request_seconds_max": 0.3, "idle_seconds_max": 30.0})
    async with (
        echoing(tmp_path, limits) as gateway,
        http(gateway) as slow,
        http(gateway) as api,
    ):
        slow.writer.write(b"POST /v1/publish HTTP/1.1\r\nContent-Le")
        assert (await slow.until_closed()).startswith(b"HTTP/1.1 408")
        body = json.dumps({"to": {"user": "a"}, "item": "x"}).encode()
        api.write(
            "/v1/publish",
            body[:1],
            headers={"Content-Length": str(len(body)), "Expect": "100-continue"},
        )
        api.writer.write(body[1:])
        async with asyncio.timeout(20):
            first = await api.reader.readuntil(b"\r\n\r\n")
            if first == b"HTTP/1.1 100 Continue\r\n\r\n":
                first = await api.reader.readuntil(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200")


async def test_while_the_store_cannot_be_written_to_nothing_is_promised(tmp_path: Path) -> None:
    async with (
        echoing(tmp_path, IMPATIENT) as gateway,
        http(gateway) as api,
        person(gateway, "anna") as anna,
    ):
        body = {"to": {"user": "anna"}, "item": "x", "id": "1"}
        await fails(gateway, now=True)
        for _ in range(2):  # the one that finds it out, and the one that knows
            answer = await api.ask("/v1/publish", body)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert found(answer)["code"] == "unavailable"
        entries = gateway.manager.sessions[anna.sid].out.entries
        sent = any(entry.item == Text("x") for entry in entries)  # not if a check found it out
        await fails(gateway, now=False)
        await eventually(lambda: gateway.journal.broken is None)
        told = found(await api.ask("/v1/publish", body))
        repeated = {"repeated": True} if sent else {}
        assert told == {"reached": 1, "attached": 1, **repeated}
        await api.publish(to={"user": "anna"}, item="y")
        await anna.hears("x", "y")  # once, though it was sent several times


async def test_a_drain_answers_the_request_under_way(tmp_path: Path) -> None:
    async with echoing(tmp_path) as gateway, http(gateway) as api, http(gateway) as idle:
        assert (await idle.ask("/v1/groups/g")).status == 200
        api.write("/v1/publish", {"to": {"user": "a"}, "item": "x"})
        text = await read_one(api)
        gateway.stop()
        assert text.startswith(b"HTTP/1.1 200")
        assert await idle.until_closed() == b""


async def read_one(api: Http) -> bytes:
    async with asyncio.timeout(20):
        return await api.reader.readuntil(b"}")


def test_the_configuration_of_keys() -> None:
    assert API.key[0].actions == ("publish", "read", "close")
