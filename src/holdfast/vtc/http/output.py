"""Writing to a connection, in the words of the reference's log."""

from __future__ import annotations

from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.language.registry import find
from holdfast.vtc.run.scope import Scope

TROUBLE = "Write failed"


def is_continued(scope: Scope[HttpConnection]) -> bool:
    """Whether the next command only writes, too: then nothing is gained by a segment for each."""
    following = find(scope.context, scope.next_name) if scope.next_name else None
    return following is not None and following.writes


async def write(
    scope: Scope[HttpConnection],
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
    scope: Scope[HttpConnection],
    data: bytes,
    trouble: str = TROUBLE,
    *,
    urgent: bool = False,
    more: bool = False,
) -> None:
    """Send `data` as `Wire.send` does. Raises `Failure` where errors are fatal."""
    connection = scope.subject
    try:
        await connection.open_socket(scope).send(data, urgent=urgent, more=more)
    except OSError as error:
        if connection.fatal:
            raise connection.trouble(scope, f"{trouble}: {error.strerror}") from None
