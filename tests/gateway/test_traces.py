"""Traces: the span of a command, those of its handler and its outputs below it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.gateway.clients import person
from tests.gateway.running import TCP, configured, eventually, linked, serving, staged

from holdfast.app import Session
from holdfast.backends.http.requester import Requester
from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import HttpLimits, UpstreamLimits
from holdfast.gateway.gateway import Gateway
from holdfast.link import tracing

NEEDED = "opentelemetry.sdk.trace"


@pytest.fixture
def spans() -> Iterator[Any]:
    """The spans that have ended."""
    sdk = pytest.importorskip(NEEDED, reason="needs holdfast[otel]")
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    if not isinstance(trace.get_tracer_provider(), sdk.TracerProvider):
        trace.set_tracer_provider(sdk.TracerProvider())  # a process has one for its whole life
    processor = SimpleSpanProcessor(exporter)
    trace.get_tracer_provider().add_span_processor(processor)  # type: ignore[attr-defined]
    yield exporter
    processor.shutdown()


def ended(spans: Any) -> dict[str, Any]:
    return {span.name: span for span in spans.get_finished_spans()}


async def test_a_command_is_traced_to_its_handler_and_its_outputs(
    tmp_path: Path, spans: Any
) -> None:
    config = structs.replace(configured(tmp_path, [TCP]), traces=True)
    async with staged(config) as (gateway, stage):

        @stage.app.on_error
        async def failed(session: Session | None, error: BaseException) -> None: ...

        async def answers(session: Session, text: str) -> None:
            await session.text(f"You said {text}.")
            raise ValueError("a defect")

        stage.app._by_name["text"] = answers
        async with person(gateway, "tcp") as someone:
            await someone.shown_code()
            someone.types("hello")
            await someone.sees("You said hello.")
            await eventually(lambda: "command text" in ended(spans))
            (session,) = gateway.manager.sessions
    found = ended(spans)
    command, handler, output = (
        found[name] for name in ("command text", "handler text", "output text")
    )
    assert command.parent is None
    assert command.attributes == {
        "holdfast.sid": session, "holdfast.cseq": 1, "holdfast.app": "stage",
    }  # fmt: skip
    assert handler.parent.span_id == command.context.span_id
    assert output.parent.span_id == handler.context.span_id
    assert {span.context.trace_id for span in (handler, output)} == {command.context.trace_id}
    assert handler.status.status_code.name == "ERROR"
    assert [event.attributes["exception.message"] for event in handler.events] == ["a defect"]


async def test_a_command_that_its_application_did_not_apply_is_an_error(
    tmp_path: Path, spans: Any
) -> None:
    config = structs.replace(configured(tmp_path, [TCP]), traces=True)
    async with (
        serving(config) as gateway,
        person(gateway, "tcp") as someone,
        linked(gateway) as stage,
    ):
        await someone.shown_code()
        await stage.noted("open")
        (backend,) = gateway.backends.links.values()
        (instance,) = backend.assignment.linked.values()
        (sid,) = gateway.manager.sessions
        assert instance._traces is not None
        assert instance._traces.begin(sid, 99, "text", "stage").startswith("00-")
    await eventually(lambda: "command text" in ended(spans))
    assert ended(spans)["command text"].status.status_code.name == "ERROR"


async def test_without_it_nothing_is_begun(tmp_path: Path, spans: Any) -> None:
    async with (
        staged(configured(tmp_path, [TCP])) as (gateway, stage),
        person(gateway, "tcp") as someone,
    ):
        await someone.shown_code()
        someone.types("hello")
        await stage.heard("hello")
    assert ended(spans) == {}


async def test_a_request_to_an_application_brings_its_context(spans: Any) -> None:
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        traces = tracing.CommandTraces()
        async with Requester("x", [url], HttpLimits(), UpstreamLimits(), None, traces) as it:
            assert (await it.post("s1", b"", {})).status == 204
    (span,) = spans.get_finished_spans()
    context = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"
    assert f"traceparent: {context}".encode() in heads[0].lower()
    assert span.attributes == {"holdfast.sid": "s1"}


async def test_it_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    tracing.api.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match=r"holdfast\[otel\]"):
            Gateway(structs.replace(configured(tmp_path, [TCP]), traces=True))
    finally:
        tracing.api.cache_clear()


@pytest.mark.parametrize("context", ["", "nonsense", "00-1-2", "00-zz-1-01"])
async def test_a_malformed_context_is_none(context: str) -> None:
    ran = []

    async def work() -> None:
        ran.append(1)

    await tracing.handled(context, "text", work())
    assert ran == [1]
