"""HTTP/2 on a client's or a server's connection: the preface, streams, upgrades."""

from __future__ import annotations

import asyncio

from holdfast.vtc.h2.frames import PREFACE
from holdfast.vtc.h2.upgrade import accept_upgrade, exchange_settings, start
from holdfast.vtc.http.guards import only_client, only_server
from holdfast.vtc.http.head import find_field
from holdfast.vtc.http.output import write_silently
from holdfast.vtc.http.receive import HttpScope, read_exactly
from holdfast.vtc.language.command import Args, Command, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import whole

_FIRST_PART = 18
_DRIBBLE_SECONDS = 0.01

EXAMPLE = """\
vtest "a request on a stream"

server s1 {
    stream 1 {
        rxreq
        expect req.method == GET
        txresp -body "hello"
    } -run
} -start

client c1 -connect ${s1_sock} {
    stream 1 {
        txreq -url "/greeting" -hdr "accept" "text/plain"
        rxresp
        expect resp.status == 200
        expect resp.body == "hello"
    } -run
} -run
"""
_BY_HAND = """\
vtest "the start of a connection by hand"

server s1 {
    expect h2.state == false
    rxpri
    expect h2.state == true
    stream 0 {
        rxsettings
        txsettings -ack
    } -run
} -start

client c1 -connect ${s1_sock} {
    txpri
    settings -dectbl 1024
    stream 0 {
        txsettings -hdrtbl 1024
        rxsettings
        expect settings.ack == true
        expect tbl.dec.maxsize == 1024
    } -run
} -run
"""
_UPGRADE = """\
vtest "an upgrade from HTTP/1.1"

server s1 {
    rxreq
    upgrade
    stream 1 {
        txresp
    } -run
} -start

client c1 -connect ${s1_sock} {
    txreq -up AAMAAABkAAQAAP__
    stream 1 {
        rxresp
        expect resp.status == 200
    } -run
} -run
"""


async def _txpri(scope: HttpScope, args: Args) -> None:
    only_client(scope, args)
    args.plain()
    scope.log.dump(4, "txpri", PREFACE)
    # In two parts, as the reference does: a server must not need it whole.
    await write_silently(scope, PREFACE[:_FIRST_PART])
    await asyncio.sleep(_DRIBBLE_SECONDS)
    await write_silently(scope, PREFACE[_FIRST_PART:])
    start(scope)


async def _rxpri(scope: HttpScope, args: Args) -> None:
    only_server(scope, args)
    args.plain()
    if await read_exactly(scope, len(PREFACE)) != PREFACE:
        raise scope.failure("Received invalid preface")
    start(scope)


async def _settings(scope: HttpScope, args: Args) -> None:
    connection = scope.subject.h2
    if connection is None:
        raise Failure("Only possible in H/2 mode", args.name.position())
    for given in args.walk():
        size = whole(given.values[0])
        if size is None:
            text = f"-dectbl takes an integer as argument (found {given.values[0]})"
            raise Failure(text, given.values[0].position())
        connection.decoding.resize(size)


async def _stream(scope: HttpScope, args: Args) -> None:
    if scope.subject.h2 is None:
        await exchange_settings(scope, args)
    connection = scope.subject.h2
    assert connection is not None
    name = args.instance()
    try:
        stream = connection.stream(name)
    except ValueError:
        text = f"Stream id must be a 31-bits integer (found {name})"
        raise Failure(text, name.position()) from None
    for given in args.walk():
        if given.flag == "-wait" or stream.task.running:
            await stream.wait()
        if given.flag in ("-start", "-run"):
            stream.start(scope.position)
        if given.flag == "-run":
            await stream.wait()
        if not given.flag:
            stream.spec = given.values[0]


async def _upgrade(scope: HttpScope, args: Args) -> None:
    only_server(scope, args)
    args.plain()
    request = scope.subject.request
    for name, value in (("Upgrade", "h2c"), ("Connection", "Upgrade, HTTP2-Settings")):
        if find_field(request, name) != value:
            raise scope.failure(
                f'Req misses "{name}: {value}" header', None, *scope.subject.notes()
            )
    settings = find_field(request, "HTTP2-Settings")
    if not settings:
        text = 'Req misses "HTTP2-Settings" header'
        raise scope.failure(text, None, *scope.subject.notes())
    await accept_upgrade(scope, args, settings)


COMMANDS = (
    Command(
        name="txpri",
        run=_txpri,
        usage="",
        text="Client: send the preface of HTTP/2 and speak it from there on.",
        example=_BY_HAND,
    ),
    Command(
        name="rxpri",
        run=_rxpri,
        usage="",
        text="Server: receive the preface of HTTP/2 and speak it from there on.",
        example=_BY_HAND,
    ),
    Command(
        name="settings",
        run=_settings,
        usage="-dectbl NUMBER",
        text="Change a setting of our own side of HTTP/2, without telling the peer.",
        options=(option("-dectbl NUMBER", "The size of the table that decodes headers."),),
        example=_BY_HAND,
    ),
    Command(
        name="stream",
        run=_stream,
        usage="NUMBER|next [SPEC] [-start|-wait|-run]",
        text="An HTTP/2 stream runs its specification. `next` is the last number plus two. The "
        "first stream of a connection that does not speak HTTP/2 yet sends or receives the "
        "preface and exchanges settings on stream 0 before. What a stream has not received when "
        "it was waited for is lost.",
        words_max=None,
        label="Stream",
        spec=Context.STREAM,
        options=(
            option("-start", "Begin in the background."),
            option("-wait", "Wait for the end."),
            option("-run", "`-start` and `-wait`."),
        ),
        unknown="Unknown stream argument: {}",
        example=EXAMPLE,
    ),
    Command(
        name="upgrade",
        run=_upgrade,
        usage="",
        text="Server: the request that was received asks to upgrade to HTTP/2; do it.",
        example=_UPGRADE,
    ),
)
