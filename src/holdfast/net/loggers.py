"""Loggers of structlog, which is imported once there is something to log.

structlog imports rich, with Pygments and attrs, for tracebacks in colour, Twisted for its loggers
and greenlet for its oldest contexts, wherever these are installed: half of a start.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

_LEFT_OUT: Final = ("rich", "twisted", "greenlet")


class LazyLogger:
    """The logger of structlog with this name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger: Any = None

    def __getattr__(self, method: str) -> Any:
        if self._logger is None:
            self._logger = import_module("structlog").get_logger(self._name)
        return getattr(self._logger, method)


def is_configured() -> bool:
    """Whether this process has configured structlog."""
    structlog = sys.modules.get("structlog")
    return structlog is not None and structlog.is_configured()


def import_structlog() -> None:
    """Import structlog as if what it can do without were not installed.

    Does nothing where it is imported already: that program may want of it what the rest is for.
    """
    if "structlog" in sys.modules:
        return
    hidden = [name for name in _LEFT_OUT if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # as if it were not installed
    try:
        import_module("structlog")
    finally:
        for name in hidden:
            del sys.modules[name]
