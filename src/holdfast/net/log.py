"""Logs: for people or for programs, and of defects without the values on their way."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

import structlog


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


def log_failure(log: Any, event: str, error: BaseException, **fields: object) -> None:
    """Log an exception at the root of a failure domain.

    The traceback is passed as text: a renderer that shows local variables would
    show secrets.
    """
    log.error(event, traceback="".join(traceback.format_exception(error)), **fields)
