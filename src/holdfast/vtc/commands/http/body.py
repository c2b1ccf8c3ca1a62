"""The commands for a received body: `gunzip`, `write_body`, `expect_pattern`."""

from __future__ import annotations

import zlib

from holdfast.vtc.http.body import c_string, first_off_pattern, gunzip
from holdfast.vtc.http.receive import HttpScope
from holdfast.vtc.io.files import write_file
from holdfast.vtc.language.command import Args, Command

_EXAMPLE = """\
vtest "bodies"

server s1 {
    rxreq
    gunzip
    expect req.body == "squeezed"
    txresp -nolen -hdr "Transfer-Encoding: chunked"
    chunkedlen 20
    chunkedlen 0
} -start

client c1 -connect ${s1_sock} {
    txreq -gzipbody "squeezed"
    rxresp
    expect_pattern
    write_body digits
    shell -expect "01234567" {cat digits}
} -run
"""


async def _gunzip(scope: HttpScope, args: Args) -> None:
    connection = scope.subject
    body = bytes(connection.body or b"")
    try:
        connection.body = bytearray(gunzip(body))
    except zlib.error as error:
        if connection.fatal:
            magic = "" if body.startswith(b"\x1f\x8b") else "body lacks gzip magic, "
            raise scope.failure(
                f"Gunzip error: {magic}{error}", None, *connection.notes()
            ) from None
        return
    connection.body_length = str(len(connection.body))
    scope.log.line(3, f"new bodylen {connection.body_length}")
    scope.log.dump(4, "body", bytes(connection.body))


async def _write_body(scope: HttpScope, args: Args) -> None:
    (name,) = args.plain()
    write_file(scope, name, bytes(scope.subject.body or b""))


async def _expect_pattern(scope: HttpScope, args: Args) -> None:
    args.plain()
    body = c_string(scope.subject.body or b"")
    place = first_off_pattern(body)
    if place >= 0:
        wanted, found = ord("0") + place % 8, body[place]
        text = f"EXPECT PATTERN FAIL @{place} should 0x{wanted:02x} is 0x{found:02x}"
        raise scope.failure(text, None, *scope.subject.notes())
    scope.log.line(4, "EXPECT PATTERN SUCCESS")
    scope.checked()


COMMANDS = (
    Command(
        name="gunzip",
        run=_gunzip,
        usage="",
        text="Unpack the body in place.",
        example=_EXAMPLE,
    ),
    Command(
        name="write_body",
        run=_write_body,
        usage="FILE",
        text="Write the body to a file.",
        words_min=1,
        words_max=1,
        example=_EXAMPLE,
    ),
    Command(
        name="expect_pattern",
        run=_expect_pattern,
        usage="",
        text="The body is what `chunkedlen` sends.",
        example=_EXAMPLE,
    ),
)
