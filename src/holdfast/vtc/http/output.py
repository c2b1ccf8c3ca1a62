"""Writing to a connection, in the words of the reference's log."""

from __future__ import annotations

from holdfast.vtc.http.connection import Session
from holdfast.vtc.language.interpreter import Scope
from holdfast.vtc.language.registry import find

TROUBLE = "Write failed"


def is_continued(scope: Scope[Session]) -> bool:
    """Whether the next command only writes, too: then nothing is gained by a segment for each."""
    following = find(scope.context, scope.next_name) if scope.next_name else None
    return following is not None and following.writes


async def write(
    scope: Scope[Session],
    prefix: str,
    data: bytes,
    trouble: str = TROUBLE,
    *,
    urgent: bool = False,
    more: bool = False,
) -> None:
    """Send `data` as `Wire.send` does and log it as `prefix`.

    Raises `Failure` where errors are fatal.
    """
    scope.log.dump(4, prefix, data)
    await write_silently(scope, data, trouble, urgent=urgent, more=more)


async def write_silently(
    scope: Scope[Session],
    data: bytes,
    trouble: str = TROUBLE,
    *,
    urgent: bool = False,
    more: bool = False,
) -> None:
    """Send `data` as `Wire.send` does. Raises `Failure` where errors are fatal."""
    session = scope.subject
    try:
        await session.open_wire(scope).send(data, urgent=urgent, more=more)
    except OSError as error:
        if session.fatal:
            raise session.trouble(scope, f"{trouble}: {error.strerror}") from None
