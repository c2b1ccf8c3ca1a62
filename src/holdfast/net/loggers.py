"""Loggers of structlog, which is imported once there is something to log.

structlog imports rich, with Pygments and attrs, for tracebacks in colour, Twisted for its loggers
and greenlet for its oldest contexts, wherever these are installed: half of a start.

A log that cannot be written (a full disk, a broken pipe, a closed stderr) costs its
lines and nothing else: they are dropped and counted.
"""

from __future__ import annotations

import logging
import sys
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, TextIO

_LEFT_OUT: Final = ("rich", "twisted", "greenlet")


class Unconfigured:
    """The settings of a program that has not configured structlog."""

    level = "info"


class LazyLogger:
    """The logger of structlog with this name.

    As long as the program has not configured structlog, lines go to stderr, from `info` on
    (`set_level`): a program's own output stays its own.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger: Any = None

    def __getattr__(self, method: str) -> Any:
        if not is_configured():
            if _number(method) < _number(Unconfigured.level):
                return _leave_out
            return getattr(_unconfigured(sys.stderr), method)
        if self._logger is None:
            self._logger = import_module("structlog").get_logger(self._name)
        return getattr(self._logger, method)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping().get(level.upper(), logging.CRITICAL)


def _leave_out(*_: object, **__: object) -> None:
    """Log nothing: the line is below the level."""


@lru_cache(maxsize=1)
def _unconfigured(file: TextIO | None) -> Any:
    import_structlog()
    structlog = import_module("structlog")
    lines = lines_to(file, Unconfigured.level)
    return structlog.wrap_logger(
        lines["logger_factory"](),
        processors=lines["processors"],
        wrapper_class=lines["wrapper_class"],
    )


def set_level(level: str) -> None:
    """Log to stderr from this level on, in a program that does not use structlog itself.

    structlog is imported for the first line. `level` is `debug`, `info`, `warning` or `error`.
    Raises `KeyError` for another.
    """
    logging.getLevelNamesMapping()[level.upper()]
    Unconfigured.level = level
    _unconfigured.cache_clear()


def lines_to(file: TextIO | None, level: str) -> dict[str, Any]:
    """How structlog writes lines to a file: readable on a terminal, a JSON object otherwise.

    `file` is `None` where a process was started with its stderr closed. structlog must have been
    imported. Raises `KeyError` for a level that there is not.
    """
    structlog = import_module("structlog")
    terminal = _is_terminal(file)
    processors = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal),
    ]
    if terminal:
        processors.append(structlog.dev.ConsoleRenderer(pad_event_to=0))
    else:
        processors.append(structlog.processors.JSONRenderer())
    return {
        "processors": processors,
        "wrapper_class": structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        "logger_factory": _Lines(file),
    }


def _is_terminal(file: TextIO | None) -> bool:
    try:
        return file is not None and file.isatty()
    except ValueError:  # it is closed
        return False


class LostLines:
    """Lines of this process that could not be written."""

    count = 0


class _Lines:
    """The factory of structlog's loggers, and the one logger: it writes lines to a file."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self._untold = 0

    def __call__(self, *_: object) -> _Lines:
        return self

    def msg(self, message: str) -> None:
        try:
            if self._file is None:
                raise ValueError("stderr is closed")
            self._file.write(message + "\n")
            self._file.flush()
        except (OSError, ValueError):  # ValueError: it is closed, or this cannot be encoded
            self._untold += 1
            LostLines.count += 1
            return
        untold, self._untold = self._untold, 0
        if untold:
            LazyLogger("holdfast.net").warning("log lines lost", lines=untold)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


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
