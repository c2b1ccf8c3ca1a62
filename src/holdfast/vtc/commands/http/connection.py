"""The connection itself: `accept`, `close`, `expect_close`, `shutdown`, `fatal`, `non_fatal`."""

from __future__ import annotations

import errno
import socket

from holdfast.vtc.http.guards import only_server
from holdfast.vtc.http.receive import HttpScope
from holdfast.vtc.language.command import Args, Command, option

_SHUT = {
    "": (socket.SHUT_RDWR, "RDWR"),
    "-read": (socket.SHUT_RD, "RD"),
    "-write": (socket.SHUT_WR, "WR"),
}
_WHITE = b" \t\r\n"

_EXAMPLE = """\
vtest "one server, two connections in turn"

server s1 {
    rxreq
    txresp
    accept
    rxreq
    txresp
    close
    accept
    rxreq
    txresp
} -start

client c1 -connect ${s1_sock} {
    txreq
    rxresp
    expect_close
} -run

client c1 -run

client c2 -connect ${s1_sock} {
    txreq
    shutdown -write
    rxresp
} -run
"""
_NON_FATAL = """\
vtest "an end that is not a failure"

server s1 {
    rxreq
} -start

client c1 -connect ${s1_sock} {
    txreq
    non_fatal
    rxresp
    fatal
    expect resp.status == <undef>
} -run
"""


async def _close(scope: HttpScope, args: Args) -> None:
    only_server(scope, args)
    args.plain()
    scope.subject.open_socket(scope).close()
    scope.subject.sock = None
    scope.log.line(4, "Closed")


async def _accept(scope: HttpScope, args: Args) -> None:
    only_server(scope, args)
    args.plain()
    connection = scope.subject
    if connection.listener is None:
        raise scope.failure("a server that another dispatched has one connection only", args.name)
    if connection.sock:
        connection.sock.close()
        connection.sock = None
    scope.log.line(4, "Accepting")
    connection.sock = await connection.listener.accept()
    scope.log.line(3, f"Accepted socket fd is {connection.fd}")


async def _expect_close(scope: HttpScope, args: Args) -> None:
    args.plain()
    connection = scope.subject
    sock = connection.open_socket(scope)
    scope.log.line(4, f"Expecting close (fd = {sock.fd})")
    if connection.h2:
        await connection.h2.stop()
        connection.h2 = None
    while data := await _receive(scope):
        rest = data.lstrip(_WHITE)
        if rest and connection.fatal:
            text = f"Expecting close: read = 1, c = 0x{rest[0]:02x}"
            raise scope.failure(text, None, *connection.notes())
    scope.log.line(4, f"fd={sock.fd} EOF, as expected")
    scope.checked()


async def _receive(scope: HttpScope) -> bytes:
    """Return data that came instead of the end; `b""` is the end, or a broken connection."""
    connection = scope.subject
    while True:
        try:
            return await connection.open_socket(scope).recv(1, connection.seconds_max)
        except TimeoutError:
            if connection.fatal:
                raise scope.failure("Expected close: timeout", None, *connection.notes()) from None
        except OSError:
            return b""


async def _shutdown(scope: HttpScope, args: Args) -> None:
    which, not_connected = "", False
    for given in args.walk():
        if given.flag == "-notconn":
            not_connected = True
        else:
            which = given.flag
    how, shown = _SHUT[which]
    connection = scope.subject
    sock = connection.open_socket(scope)
    scope.log.line(4, f"Shutting down fd ({shown}): {sock.fd}")
    gone = ""
    try:
        sock.shutdown(how)
    except OSError as error:
        if error.errno == errno.ENOTCONN and not_connected:
            gone = ", (was already closed)"
    scope.log.line(3, f"Shutdown({shown}) socket fd {sock.fd}{gone}")


async def _fatal(scope: HttpScope, args: Args) -> None:
    args.plain()
    scope.subject.fatal = True


async def _non_fatal(scope: HttpScope, args: Args) -> None:
    args.plain()
    scope.subject.fatal = False


COMMANDS = (
    Command(
        name="accept",
        run=_accept,
        usage="",
        text="Server: close the connection, if it is open, and take the next one. It speaks "
        "HTTP/1 again.",
        example=_EXAMPLE,
    ),
    Command(
        name="close",
        run=_close,
        usage="",
        text="Server: close the connection. An `accept` must follow.",
        example=_EXAMPLE,
    ),
    Command(
        name="expect_close",
        run=_expect_close,
        usage="",
        text="The peer closes the connection and sends nothing more but white space.",
        example=_EXAMPLE,
    ),
    Command(
        name="shutdown",
        run=_shutdown,
        usage="[-read|-write] [-notconn]",
        text="Shut the connection down, both directions or one.",
        options=(
            option("-read", "Only what is received."),
            option("-write", "Only what is sent."),
            option("-notconn", "The connection may be gone already."),
        ),
        unknown="Unknown http shutdown spec: {}",
        example=_EXAMPLE,
    ),
    Command(
        name="fatal",
        run=_fatal,
        usage="",
        text="From here on an I/O error of this connection ends the test. So it is at first.",
        example=_NON_FATAL,
    ),
    Command(
        name="non_fatal",
        run=_non_fatal,
        usage="",
        text="From here on an I/O error of this connection is ignored.",
        example=_NON_FATAL,
    ),
)
