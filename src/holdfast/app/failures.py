"""What an application learns of errors: of its handlers, and of calls that are not carried out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, Protocol

from holdfast.app.outgoing import Kept
from holdfast.core.errors import HoldfastError, Source
from holdfast.core.items import Output
from holdfast.link.messages import Broadcast, Emit
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.loop import is_cancelled

_log: Final = RateLimitedLogger("holdfast.app")


class RefusedError(HoldfastError):
    """Calls of the application are not carried out: most often, another instance has held the
    session since."""

    source = Source.REMOTE

    def __init__(self, fault: str, calls: Iterable[Kept] = ()) -> None:
        super().__init__(fault)
        self.outputs: list[Output] = [
            call.params.item for call in calls if isinstance(call.params, Emit | Broadcast)
        ]
        """What was to be sent, oldest first; empty if only the session was to be changed."""


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
