"""What the commands write: logs for people or programs, and errors in one line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import structlog
import typer

from holdfast.core.errors import ConfigurationError, HoldfastError

EXIT_FAILED = 1
EXIT_MISCONFIGURED = 2


def configure_logs(level: str) -> None:
    """Log to stderr: readable on a terminal, a JSON object a line otherwise."""
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


@contextmanager
def reported() -> Iterator[None]:
    """What goes wrong on purpose is one line on stderr and an exit code."""
    try:
        yield
    except ConfigurationError as error:
        stop(str(error), EXIT_MISCONFIGURED)
    except HoldfastError as error:
        stop(str(error), EXIT_FAILED)


def stop(message: str, code: int) -> NoReturn:
    """End with one line of explanation."""
    typer.echo(f"holdfast: {message}", err=True)
    raise typer.Exit(code)
