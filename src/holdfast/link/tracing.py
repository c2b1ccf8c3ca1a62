"""Traces of OpenTelemetry: from a command over the link to its handler and its outputs.

The gateway begins a span when it sends a command to an application, and ends it when the
application has applied it. The span's context goes with the command (`traceparent`, W3C Trace
Context); the application's spans are its children. Only here is OpenTelemetry imported, and only
where it is turned on, or where a command brings a context.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from holdfast.core.errors import ConfigurationError

TRACEPARENT: Final = "traceparent"
_OPEN_MAX: Final = 10_000
"""Spans of commands that are under way: those of more commands are not recorded."""


@cache
def api() -> Any:
    """OpenTelemetry's `trace`; `None` where it is not installed."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace


class CommandTraces:
    """The spans of the commands that applications have not applied. Raises `ConfigurationError`
    where OpenTelemetry is not installed."""

    def __init__(self) -> None:
        if api() is None:
            raise ConfigurationError(
                "traces: expected opentelemetry to be installed (holdfast[otel]); found none"
            )
        self._tracer = api().get_tracer("holdfast.gateway")
        self._open: dict[str, deque[tuple[int, Any]]] = {}
        self._count = 0

    def begin(self, sid: str, cseq: int, kind: str, app: str) -> str:
        """Begin the span of a command. Returns its context; empty if it is not recorded."""
        if self._count >= _OPEN_MAX:
            return ""
        span = self._tracer.start_span(
            f"command {kind}",
            kind=api().SpanKind.PRODUCER,
            attributes={"holdfast.sid": sid, "holdfast.cseq": cseq, "holdfast.app": app},
        )
        if not span.is_recording():
            return ""
        self._open.setdefault(sid, deque()).append((cseq, span))
        self._count += 1
        return _context_of(span)

    def applied(self, sid: str, cseq: int) -> None:
        """The application has applied the commands of a session up to `cseq`."""
        waiting = self._open.get(sid)
        while waiting and waiting[0][0] <= cseq:
            self._end(waiting.popleft()[1])
        if waiting is not None and not waiting:
            del self._open[sid]

    def lost(self, sid: str) -> None:
        """The application is gone, or does not hold the session any more."""
        for _, span in self._open.pop(sid, ()):
            span.set_status(api().StatusCode.ERROR, "not applied by this run of the application")
            self._end(span)

    def _end(self, span: Any) -> None:
        self._count -= 1
        span.end()

    @contextmanager
    def request(self, sid: str) -> Iterator[dict[str, str]]:
        """The span of a request to an application that is a URL. Gives its header fields."""
        with self._tracer.start_as_current_span(
            "request", kind=api().SpanKind.CLIENT, attributes={"holdfast.sid": sid}
        ) as span:
            context = _context_of(span)
            yield {TRACEPARENT: context} if span.is_recording() else {}


def _context_of(span: Any) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


async def handled(context: str, kind: str, work: Awaitable[None]) -> None:
    """Run a handler in a span below the context that came with its command."""
    trace = api()
    parent = _parent(context) if trace is not None else None
    if parent is None:
        await work
        return
    tracer = trace.get_tracer("holdfast.app")
    with tracer.start_as_current_span(
        f"handler {kind}", context=parent, kind=trace.SpanKind.CONSUMER
    ):
        await work


def note_output(kind: str) -> None:
    """A handler in a span has sent an output."""
    span = api().get_current_span()
    if span.is_recording():
        api().get_tracer("holdfast.app").start_span(f"output {kind}").end()


def note_failure(error: BaseException) -> None:
    """A handler in a span has raised `error`."""
    span = api().get_current_span()
    if span.is_recording():
        span.record_exception(error)
        span.set_status(api().StatusCode.ERROR, type(error).__name__)


def _parent(context: str) -> Any:
    """The context that a `traceparent` says; `None` if it is malformed."""
    trace = api()
    try:
        _, trace_id, span_id, flags = context.split("-")
        parent = trace.SpanContext(
            int(trace_id, 16), int(span_id, 16), is_remote=True,
            trace_flags=trace.TraceFlags(int(flags, 16)),
        )  # fmt: skip
    except ValueError:
        return None
    return trace.set_span_in_context(trace.NonRecordingSpan(parent))
