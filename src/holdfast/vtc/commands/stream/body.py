"""The commands for received data of a stream: `expect`, `gunzip`, `write_body`."""

from __future__ import annotations

import zlib
from functools import partial

from holdfast.vtc.commands.stream.samples import REQUEST, ZIPPED
from holdfast.vtc.commands.stream.transmit import StreamScope
from holdfast.vtc.h2.values import NAMES, resolve
from holdfast.vtc.http.body import gunzip
from holdfast.vtc.io.files import write_file
from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.expectation import check_expect, expect


async def _expect(scope: StreamScope, args: Args) -> None:
    expect(scope, args, partial(resolve, scope.subject), scope.subject.notes())


async def _gunzip(scope: StreamScope, args: Args) -> None:
    args.plain()
    stream = scope.subject
    try:
        stream.body = bytearray(gunzip(bytes(stream.body)))
    except zlib.error as error:
        if stream.connection.http.fatal:
            raise scope.failure(f"Gunzip error: {error}", None, *stream.notes()) from None
        return
    scope.log.line(3, f"new bodylen {len(stream.body)}")
    scope.log.dump(4, "body", bytes(stream.body))


async def _write_body(scope: StreamScope, args: Args) -> None:
    (name,) = args.plain()
    write_file(scope, name, bytes(scope.subject.body))


COMMANDS = (
    Command(
        name="expect",
        run=_expect,
        check=check_expect,
        usage="LEFT OPERATOR RIGHT",
        text="Compare two words as `expect` of clients and servers does. The values are: "
        + ", ".join(f"`{name}`" for name in NAMES)
        + ". The name of an error of HTTP/2 stands for its number. What belongs to one type of "
        "frame can be asked for only while the last frame was of that type.",
        words_min=3,
        words_max=3,
        example=REQUEST,
    ),
    Command(
        name="gunzip",
        run=_gunzip,
        usage="",
        text="Unpack the body in place.",
        example=ZIPPED,
    ),
    Command(
        name="write_body",
        run=_write_body,
        usage="FILE",
        text="Write the body to a file.",
        words_min=1,
        words_max=1,
        example=ZIPPED,
    ),
)
