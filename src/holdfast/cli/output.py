"""Error output of the commands: one line, and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from holdfast.core.errors import ConfigurationError, HoldfastError

EXIT_FAILED = 1
EXIT_MISCONFIGURED = 2


@contextmanager
def reported() -> Iterator[None]:
    """Turns expected errors into one line on stderr and an exit code."""
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
