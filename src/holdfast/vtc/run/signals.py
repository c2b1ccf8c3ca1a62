"""The signals of a run: which of them end it, and how children are born with them."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ending_signals() -> list[signal.Signals]:
    """The signals that would end this program; not those that it was started to ignore."""
    usual = (signal.SIG_DFL, signal.default_int_handler)
    return [number for number in _ENDING if signal.getsignal(number) in usual]


def unblock_child_signals() -> None:
    """See that children are born with SIGINT and SIGQUIT at their default.

    A shell starts background jobs with both ignored, and a daemon that inherits
    that cannot be stopped with SIGINT. A caught signal becomes its default in a
    child; we still do nothing about it ourselves.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)


def die_of(number: signal.Signals) -> NoReturn:
    """End as the signal would have ended us, so that our parent sees why."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
