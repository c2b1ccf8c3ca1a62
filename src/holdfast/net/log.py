"""Logging of defects: with the way that led to them, without the values on it."""

from __future__ import annotations

import traceback
from typing import Any


def log_failure(log: Any, event: str, error: BaseException, **fields: object) -> None:
    """Log an exception at the root of a failure domain.

    The traceback is passed as text: a renderer that shows local variables would
    show secrets.
    """
    log.error(event, traceback="".join(traceback.format_exception(error)), **fields)
