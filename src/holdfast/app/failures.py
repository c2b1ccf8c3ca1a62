"""What an application learns of an error in one of its handlers."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.loop import is_cancelled

_log: Final = RateLimitedLogger("holdfast.app")


class ErrorHandler(Protocol):
    """The application, as far as errors of handlers concern it."""

    async def call(self, name: str, *args: Any) -> Any:
        """Call the handler `on_NAME`, if there is one."""


async def report(app: ErrorHandler, session: Any, error: BaseException) -> None:
    """Call `on_error`, if there is one. Its own error is logged."""
    try:
        await app.call("error", session, error)
    except (Exception, asyncio.CancelledError) as fault:
        if is_cancelled(fault):
            raise
        log_failure(_log, "on_error failed", fault)
