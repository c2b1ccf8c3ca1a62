"""The metrics of the API and of applications that are URLs, against known exchanges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiohttp import web
from tests.backends.http.endpoints import QUICK, behind, endpoint
from tests.backends.http.endpoints import person as typist
from tests.gateway.admin.asking import administered
from tests.gateway.api.asking import http, with_api
from tests.gateway.counted.table import Meter
from tests.gateway.running import TCP, configured, eventually, serving


async def test_publications_are_counted_by_their_result(tmp_path: Path) -> None:
    config = administered(with_api(configured(tmp_path, [TCP], backend="echo")))
    async with serving(config) as gateway, http(gateway) as worker:
        session = gateway.addresses[0]
        async with typist(session.port):
            (sid,) = gateway.manager.sessions
            once = {"to": {"session": sid}, "items": ["a", "b"], "id": "1"}
            await worker.publish(**once)
            await worker.publish(**once)
            await worker.ask("/v1/publish", {**once, "items": ["c"]})
            await worker.ask("/v1/publish", {"to": {"session": "s0"}, "item": "x"})
            await worker.ask("/v1/publish", {"to": {"session": sid}})
            await worker.ask("/v1/publish", {**once, "id": "2", "app": "nope"})
            await worker.publish(to={"user": "nobody"}, item="x")
        async with http(gateway, "wrong" * 5) as stranger:
            assert (await stranger.ask("/v1/publish", once)).status == 401
        found = await Meter(gateway).read()
    assert {name: value for name, value in found.items() if name.startswith("api_")} == {
        "api_publications_total{carried_out}": 2,
        "api_publications_total{repeated}": 1,
        "api_publications_total{id_reused}": 1,
        "api_publications_total{unknown_session}": 1,
        "api_publications_total{bad_request}": 1,
        "api_publications_total{unknown_app}": 1,
        "api_publications_total{forbidden}": 0,
        "api_deliveries_total": 2,
        "api_wrong_keys_total": 1,
    }


async def test_requests_to_an_application_are_counted_by_their_result(tmp_path: Path) -> None:
    answers: dict[str, Any] = {"refuse": web.Response(status=400)}
    busy = [web.Response(status=429)]

    def answer(body: dict[str, Any]) -> Any:
        texts = [event.get("text") for event in body["events"]]
        if "busy" in texts and busy:
            return busy.pop()
        return answers.get(texts[-1], {"items": texts})

    async with endpoint() as app:
        app.answer = answer
        config = administered(behind(tmp_path, app.url, limits=QUICK))
        async with serving(config) as gateway:
            async with typist(gateway.addresses[0].port) as anna:
                await app.until("opened")
                anna.types("hello")
                await anna.hears("hello")
                anna.types("refuse")
                assert "refused" in await anna.line()
                anna.types("busy")
                await anna.until("busy")
                await app.stop()
                (session,) = gateway.manager.sessions.values()
                anna.types("away")
                await anna.until(
                    "*** The application is away. What you type is kept, and runs when it is back."
                )
                await app.start()
                await eventually(lambda: session.inbox.applied == 4)
            await app.until("detached")
            await eventually(lambda: not app.busy)
            found = await Meter(gateway).read()
    assert found["http_requests_total{app,refused}"] == 1
    assert found["http_requests_total{app,later}"] == 1
    assert found["http_requests_total{app,failed}"] >= 1
    assert found["http_requests_total{app,applied}"] >= 4
    results = ("applied", "refused", "later", "failed")
    total = sum(found[f"http_requests_total{{app,{result}}}"] for result in results)
    assert 0 < found["http_request_seconds_count{app}"] <= total
