"""Logs: for people or for programs, and of defects without the values on their way."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any

import structlog

from holdfast.core.rate import Rate, RateByKey


def configure_logs(level: str) -> None:
    """Log to stderr: readable on a terminal, a JSON object a line otherwise.

    `level` is `debug`, `info`, `warning` or `error`. Raises `KeyError` for another.
    """
    terminal = sys.stderr.isatty()
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal),
    ]
    if terminal:
        processors.append(structlog.dev.ConsoleRenderer(pad_event_to=0))
    else:
        processors.append(structlog.processors.JSONRenderer())
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


class Seldom:
    """Lines that clients can cause: so many a minute, then only how many were left out.

    A flood must not fill the disk. Each kind of line (`event`) has its own count.
    """

    def __init__(self, log: Any, per_minute: float, burst: int) -> None:
        self._log = log
        self._rate = RateByKey(Rate(per_minute / 60.0, burst))
        self._left_out: dict[str, int] = {}

    def info(self, event: str, now: float, **fields: object) -> None:
        """Log a line, or count it. `now` is in seconds, always of the same clock."""
        self._say(self._log.info, event, now, fields)

    def warning(self, event: str, now: float, **fields: object) -> None:
        """As `info`, for what is worse."""
        self._say(self._log.warning, event, now, fields)

    def _say(
        self, say: Callable[..., None], event: str, now: float, fields: dict[str, object]
    ) -> None:
        if not self._rate.spend(event, now):
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        if left_out := self._left_out.pop(event, 0):
            fields["left_out"] = left_out
        say(event, **fields)


def log_failure(log: Any, event: str, error: BaseException, **fields: object) -> None:
    """Log an exception at the root of a failure domain.

    The traceback is passed as text: a renderer that shows local variables would
    show secrets.
    """
    log.error(event, traceback="".join(traceback.format_exception(error)), **fields)
