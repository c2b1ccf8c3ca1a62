"""The receiving commands of a stream: `rxreq`, `rxresp`, `rxhdrs` … and single frames."""

from __future__ import annotations

from holdfast.vtc.commands.stream.samples import CONTINUED, FRAMES, PUSHED, REQUEST, UPDATED
from holdfast.vtc.h2.connection import Http2Stream
from holdfast.vtc.h2.frames import Flag, Frame, FrameType, Setting, type_name
from holdfast.vtc.language.command import Args, Command, option
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import whole
from holdfast.vtc.run.scope import Scope

StreamScope = Scope[Http2Stream]

_MANY = (
    option("-all", "Go on until the last one."),
    option("-some NUMBER", "Receive so many."),
)


def _wrong(scope: StreamScope, args: Args, number: int, frame: Frame, wanted: FrameType) -> Failure:
    found = f"{type_name(frame.type)} ({frame.type})"
    text = (
        f"Frame #{number} for {args.name} was of type {found} instead of {wanted.name} ({wanted})"
    )
    scope.subject.frame = frame
    return scope.failure(text, None, *scope.subject.notes())


def _many(args: Args) -> tuple[int, bool]:
    """How many frames are wanted, and whether all are."""
    times, everything = 1, False
    for given in args.walk():
        if given.flag == "-all":
            everything = True
            continue
        times = whole(given.values[0]) or 0
        if times < 1:
            text = f'-some argument must be more than 0 (found "{given.values[0]}")'
            raise Failure(text, given.values[0].position())
    return times, everything


async def _receive_many(
    scope: StreamScope, args: Args, first: FrameType, others: FrameType, end: Flag
) -> None:
    stream = scope.subject
    times, everything = _many(args)
    wanted, number = first, 0
    while True:
        frame = await stream.receive()
        if frame is None:
            return
        number += 1
        if frame.type != wanted:
            raise _wrong(scope, args, number, frame, wanted)
        stream.frame = frame
        wanted = others
        if number >= times and not (everything and not frame.has(end)):
            return


async def _rxhdrs(scope: StreamScope, args: Args) -> None:
    await _receive_many(scope, args, FrameType.HEADERS, FrameType.CONTINUATION, Flag.END_HEADERS)


async def _rxcont(scope: StreamScope, args: Args) -> None:
    await _receive_many(
        scope, args, FrameType.CONTINUATION, FrameType.CONTINUATION, Flag.END_HEADERS
    )


async def _rxpush(scope: StreamScope, args: Args) -> None:
    await _receive_many(
        scope, args, FrameType.PUSH_PROMISE, FrameType.CONTINUATION, Flag.END_HEADERS
    )


async def _rxdata(scope: StreamScope, args: Args) -> None:
    await _receive_many(scope, args, FrameType.DATA, FrameType.DATA, Flag.END_STREAM)


async def _rxmessage(scope: StreamScope, args: Args) -> None:
    """HEADERS, CONTINUATION to the end of the fields, DATA to the end of the stream."""
    args.plain()
    stream = scope.subject
    _check_side(stream, args)
    frame = await stream.receive()
    while frame and frame.type == FrameType.WINDOW_UPDATE:
        frame = await stream.receive()
    number = 1
    wanted = FrameType.HEADERS
    over = False
    while frame:
        if frame.type != wanted:
            raise _wrong(scope, args, number, frame, wanted)
        stream.frame = frame
        over = over or (wanted is not FrameType.CONTINUATION and frame.has(Flag.END_STREAM))
        if wanted is not FrameType.DATA:
            wanted = FrameType.DATA if frame.has(Flag.END_HEADERS) else FrameType.CONTINUATION
        if over and wanted is FrameType.DATA:
            return
        frame = await stream.receive()
        number += 1


def _check_side(stream: Http2Stream, args: Args) -> None:
    wanted = "server" if args.name == "rxreq" else "client"
    if stream.connection.http.is_client != (wanted == "client"):
        raise Failure(f'"{args.name}" only possible in {wanted}', args.name.position())


async def _receive_one(scope: StreamScope, args: Args, wanted: FrameType) -> Frame | None:
    args.plain()
    stream = scope.subject
    frame = await stream.receive()
    if frame is None:
        return None
    stream.frame = frame
    if frame.type != wanted:
        text = f"Wrong frame type {type_name(frame.type)} ({frame.type}) wanted {wanted.name}"
        raise scope.failure(text, None, *stream.notes())
    return frame


def _needed(scope: StreamScope, frame: Frame | None) -> Frame:
    if frame is None:
        raise scope.failure("No frame received", None, *scope.subject.notes())
    return frame


async def _rxsettings(scope: StreamScope, args: Args) -> None:
    frame = _needed(scope, await _receive_one(scope, args, FrameType.SETTINGS))
    connection = scope.subject.connection
    initial = frame.settings.get(Setting.INITIAL_WINDOW_SIZE)
    if initial is not None:
        for stream in connection.streams.values():
            stream.peer_window += initial - connection.peer_window_initial
        connection.peer_window_initial = initial


async def _rxwinup(scope: StreamScope, args: Args) -> None:
    frame = _needed(scope, await _receive_one(scope, args, FrameType.WINDOW_UPDATE))
    stream = scope.subject
    if stream.number == 0:
        stream.connection.peer_window += frame.increment
    stream.peer_window += frame.increment


async def _rxprio(scope: StreamScope, args: Args) -> None:
    if scope.subject.connection.priorities_ignored:
        scope.log.line(4, "skipping rxprio: no_rfc7540_priorities is set")
        return
    await _receive_one(scope, args, FrameType.PRIORITY)


async def _rxrst(scope: StreamScope, args: Args) -> None:
    await _receive_one(scope, args, FrameType.RST_STREAM)


async def _rxping(scope: StreamScope, args: Args) -> None:
    await _receive_one(scope, args, FrameType.PING)


async def _rxgoaway(scope: StreamScope, args: Args) -> None:
    await _receive_one(scope, args, FrameType.GOAWAY)


async def _rxframe(scope: StreamScope, args: Args) -> None:
    args.plain()
    scope.subject.frame = _needed(scope, await scope.subject.receive())


COMMANDS = (
    Command(
        name="rxreq",
        run=_rxmessage,
        usage="",
        text="Server: receive a request, with all its frames.",
        example=REQUEST,
    ),
    Command(
        name="rxresp",
        run=_rxmessage,
        usage="",
        text="Client: receive a response, with all its frames.",
        example=REQUEST,
    ),
    Command(
        name="rxhdrs",
        run=_rxhdrs,
        usage="[-all | -some NUMBER]",
        text="Receive a HEADERS frame and the CONTINUATION frames that are asked for.",
        options=_MANY,
        unknown="Unknown rxhdrs spec: {}",
        example=CONTINUED,
    ),
    Command(
        name="rxcont",
        run=_rxcont,
        usage="[-all | -some NUMBER]",
        text="Receive CONTINUATION frames.",
        options=_MANY,
        unknown="Unknown rxcont spec: {}",
        example=CONTINUED,
    ),
    Command(
        name="rxpush",
        run=_rxpush,
        usage="[-all | -some NUMBER]",
        text="Receive a PUSH_PROMISE frame and the CONTINUATION frames that are asked for.",
        options=_MANY,
        unknown="Unknown rxpush spec: {}",
        example=PUSHED,
    ),
    Command(
        name="rxdata",
        run=_rxdata,
        usage="[-all | -some NUMBER]",
        text="Receive DATA frames.",
        options=_MANY,
        unknown="Unknown rxdata spec: {}",
        example=CONTINUED,
    ),
    Command(
        name="rxsettings",
        run=_rxsettings,
        usage="",
        text="Receive a SETTINGS frame.",
        example=FRAMES,
    ),
    Command(
        name="rxwinup",
        run=_rxwinup,
        usage="",
        text="Receive a WINDOW_UPDATE frame.",
        example=UPDATED,
    ),
    Command(
        name="rxprio",
        run=_rxprio,
        usage="",
        text="Receive a PRIORITY frame.",
        example=FRAMES,
    ),
    Command(
        name="rxrst",
        run=_rxrst,
        usage="",
        text="Receive a RST_STREAM frame.",
        example=FRAMES,
    ),
    Command(
        name="rxping",
        run=_rxping,
        usage="",
        text="Receive a PING frame.",
        example=FRAMES,
    ),
    Command(
        name="rxgoaway",
        run=_rxgoaway,
        usage="",
        text="Receive a GOAWAY frame.",
        example=FRAMES,
    ),
    Command(
        name="rxframe",
        run=_rxframe,
        usage="",
        text="Receive a frame of any type.",
        example=FRAMES,
    ),
)
