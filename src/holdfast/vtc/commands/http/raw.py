"""Raw bytes: `send`, `sendhex`, `recv` and the like, and hand-made chunks."""

from __future__ import annotations

from holdfast.vtc.http.body import digits
from holdfast.vtc.http.message import GENERATED_BYTES_MAX
from holdfast.vtc.http.output import is_continued, write, write_silently
from holdfast.vtc.http.receive import RECEIVE_BYTES_MAX, HttpScope
from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.numbers import decimal, integer, unhex, unsigned
from holdfast.vtc.language.source import ENCODING

SEND_TIMES_MAX = 1_000_000

_EXAMPLE = r"""
vtest "bytes as they are"

server s1 {
    timeout 5
    recv 4
    send "+OK\r\n"
    recv 6
    rxreq
    expect req.http.x == 1
    txresp -nolen -hdr "Transfer-Encoding: chunked"
    chunked "hello "
    chunkedlen 10
    chunkedlen 0
} -start

client c1 -connect ${s1_sock} {
    sendhex "00 01 02 ff"
    recv 5
    send_n 3 "ab"
    send "GET / HTTP/1.1\r\nX: 1\r\n\r\n"
    rxresp
    expect resp.body == "hello 0123456701"
} -run
"""
_URGENT = r"""
vtest "urgent data"

server s1 {
    recv 1
    send "."
} -start

client c1 -connect ${s1_sock} {
    send "x"
    send_urgent "!"
    recv 1
} -run
"""


_TROUBLE = "Write error in http_send()"
_JOINED = " Together with writing commands that follow at once it leaves in one piece."


async def _send(scope: HttpScope, args: Args) -> None:
    (text,) = args.plain()
    data = text.encode(ENCODING)
    await write(scope, "send", data, _TROUBLE, more=is_continued(scope))


async def _send_n(scope: HttpScope, args: Args) -> None:
    number, text = args.plain()
    times = unsigned(number)
    if times > SEND_TIMES_MAX:
        raise scope.failure(f"send_n: at most {SEND_TIMES_MAX} times", number)
    scope.log.dump(4, "send_n", text)
    data, more = text.encode(ENCODING), is_continued(scope)
    for turn in range(1, times + 1):
        await write_silently(scope, data, _TROUBLE, more=more or turn < times)


async def _send_urgent(scope: HttpScope, args: Args) -> None:
    (text,) = args.plain()
    data = text.encode(ENCODING)
    await write(scope, "send_urgent", data, "Write error in http_send_urgent()", urgent=True)


async def _sendhex(scope: HttpScope, args: Args) -> None:
    (text,) = args.plain()
    data = unhex(text)
    if data is None:
        raise scope.failure("Illegal hex string", text)
    scope.log.hexdump(4, "sendhex", data)
    await write_silently(scope, data, more=is_continued(scope))


async def _recv(scope: HttpScope, args: Args) -> None:
    (number,) = args.plain()
    missing = unsigned(number)
    connection = scope.subject
    while missing > 0:
        try:
            data = await connection.open_socket(scope).recv(min(missing, RECEIVE_BYTES_MAX), None)
        except OSError as error:
            raise scope.failure(f"recv() got -1 ({error.strerror})", number) from None
        if not data:
            raise scope.failure(f"recv() got 0 (end of the stream, {missing} missing)", number)
        scope.log.dump(4, "recv", data)
        missing -= len(data)


async def _chunked(scope: HttpScope, args: Args) -> None:
    (text,) = args.plain()
    data = f"{len(text):x}\r\n{text}\r\n".encode(ENCODING)
    await write(scope, "chunked", data, more=is_continued(scope))


async def _chunkedlen(scope: HttpScope, args: Args) -> None:
    (number,) = args.plain()
    length = integer(number)
    if not 0 <= length <= GENERATED_BYTES_MAX:
        raise scope.failure(f"chunkedlen: 0 to {GENERATED_BYTES_MAX}", number)
    data = digits(length) + b"\r\n" if length else b"\r\n"
    data = f"{length:x}\r\n".encode() + data
    await write(scope, "chunked", data, more=is_continued(scope))


async def _timeout(scope: HttpScope, args: Args) -> None:
    (number,) = args.plain()
    seconds = decimal(number)
    if seconds is None:
        raise scope.failure(f"timeout is not a number ({number})", number)
    scope.subject.seconds_max = seconds


COMMANDS = (
    Command(
        name="send",
        run=_send,
        usage="STRING",
        text="Send STRING." + _JOINED,
        writes=True,
        words_min=1,
        words_max=1,
        example=_EXAMPLE,
    ),
    Command(
        name="send_n",
        run=_send_n,
        usage="NUMBER STRING",
        text="Send STRING so many times." + _JOINED,
        writes=True,
        words_min=2,
        words_max=2,
        example=_EXAMPLE,
    ),
    Command(
        name="send_urgent",
        run=_send_urgent,
        usage="STRING",
        text="Send STRING as TCP's urgent data.",
        words_min=1,
        words_max=1,
        example=_URGENT,
    ),
    Command(
        name="sendhex",
        run=_sendhex,
        usage="HEXDIGITS",
        text="Send bytes given in hexadecimal. White space is ignored." + _JOINED,
        writes=True,
        words_min=1,
        words_max=1,
        example=_EXAMPLE,
    ),
    Command(
        name="recv",
        run=_recv,
        usage="NUMBER",
        text="Receive so many bytes.",
        words_min=1,
        words_max=1,
        example=_EXAMPLE,
    ),
    Command(
        name="chunked",
        run=_chunked,
        usage="STRING",
        text="Send STRING as a chunk." + _JOINED,
        writes=True,
        words_min=1,
        words_max=1,
        example=_EXAMPLE,
    ),
    Command(
        name="chunkedlen",
        run=_chunkedlen,
        usage="NUMBER",
        text="Send a chunk of NUMBER digits, `01234567…`; 0 is the last chunk." + _JOINED,
        writes=True,
        words_min=1,
        words_max=1,
        example=_EXAMPLE,
    ),
    Command(
        name="timeout",
        run=_timeout,
        usage="SECONDS",
        text="How long this connection waits for its peer, else half of the test's time.",
        words_min=1,
        words_max=1,
        example=_EXAMPLE,
    ),
)
