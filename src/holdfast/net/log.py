"""Logs: for people or for programs, and of defects without the values on their way."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

from holdfast.core.clock import Clock, monotonic
from holdfast.core.errors import is_peers_fault
from holdfast.core.rate import Rate, RateByKey
from holdfast.core.text import presentable
from holdfast.net.loggers import LazyLogger, import_structlog, lines_to

LINES_PER_MINUTE_MAX: Final = 60.0
"""Lines of one kind, sustained."""
LINES_BURST_MAX: Final = 100
TRACEBACK_CHARS_MAX: Final = 8_000
TRACEBACK: Final = "traceback"


def configure_logs(level: str) -> None:
    """Log to stderr: readable on a terminal, a JSON object a line otherwise.

    `level` is `debug`, `info`, `warning` or `error`. Raises `KeyError` for another.
    """
    import_structlog()
    import structlog

    structlog.configure(**lines_to(sys.stderr, level), cache_logger_on_first_use=True)


class RateLimitedLogger:
    """A logger for lines that clients can cause: so many a minute, each cut to a bound size.

    A flood must not fill the disk. Each kind of line (`event`) has its own count. What is left
    out is counted in the next line of its kind.
    """

    def __init__(
        self,
        name: str,
        per_minute: float = LINES_PER_MINUTE_MAX,
        burst: int = LINES_BURST_MAX,
        clock: Clock = monotonic,
    ) -> None:
        self._log = LazyLogger(name)
        self._rate = RateByKey(Rate(per_minute / 60.0, burst))
        self._clock = clock
        self._left_out: dict[str, int] = {}

    def debug(self, event: str, **fields: object) -> None:
        """Log a line, or count it."""
        self._say(self._log.debug, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log a line, or count it."""
        self._say(self._log.info, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log a line, or count it."""
        self._say(self._log.warning, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log a line, or count it."""
        self._say(self._log.error, event, fields)

    def _say(self, say: Callable[..., None], event: str, fields: dict[str, object]) -> None:
        if not self._rate.spend(event, self._clock()):
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        if left_out := self._left_out.pop(event, 0):
            fields["left_out"] = left_out
        say(event, **bounded(fields))


def bounded(fields: dict[str, object]) -> dict[str, object]:
    """The fields of a line, with texts cut to what a log may take of them."""
    return {name: _bounded(name, value) for name, value in fields.items()}


def _bounded(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if name == TRACEBACK:
        # The end says what went wrong, and where.
        return value[-TRACEBACK_CHARS_MAX:]
    return presentable(value)


def log_handler_failure(log: Any, event: str, error: BaseException, **fields: object) -> None:
    """Log what the handler of a peer has raised.

    The peer's fault is one line at `info`; anything else is logged as `log_failure` does.
    """
    if is_peers_fault(error):
        log.info("protocol error of a peer", fault=str(error), **fields)
    else:
        log_failure(log, event, error, **fields)


def log_failure(log: Any, event: str, error: BaseException, **fields: object) -> None:
    """Log an exception at the root of a failure domain.

    The traceback is passed as text: a renderer that shows local variables would
    show secrets. Give it a `RateLimitedLogger` where clients can cause the failure.
    """
    log.error(event, **{TRACEBACK: "".join(traceback.format_exception(error))}, **fields)
