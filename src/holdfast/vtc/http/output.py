"""Writing to a connection, in the words of the reference's log."""

from __future__ import annotations

from holdfast.vtc.http.session import Session
from holdfast.vtc.interpreter import Scope


async def write(
    scope: Scope[Session], prefix: str, data: bytes, trouble: str = "Write failed", flags: int = 0
) -> None:
    """Send `data` and log it as `prefix`. Raises `Failure` where errors are fatal."""
    scope.log.dump(4, prefix, data)
    await write_silently(scope, data, trouble, flags)


async def write_silently(
    scope: Scope[Session], data: bytes, trouble: str = "Write failed", flags: int = 0
) -> None:
    """Send `data`. Raises `Failure` where errors are fatal."""
    session = scope.subject
    try:
        await session.open_wire(scope).send(data, flags)
    except OSError as error:
        if session.fatal:
            raise session.trouble(scope, f"{trouble}: {error.strerror}") from None
