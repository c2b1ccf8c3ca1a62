"""Options that several commands have."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer


class LogLevel(Enum):
    """How much is logged."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


Level = Annotated[LogLevel, typer.Option("--log-level", help="How much to log, to stderr.")]
