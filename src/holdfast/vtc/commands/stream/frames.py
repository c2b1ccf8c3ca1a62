"""Single frames that a stream sends."""

from __future__ import annotations

import struct

from holdfast.vtc.commands.stream.samples import FRAMES, UPDATED
from holdfast.vtc.commands.stream.transmit import StreamScope, encode_priority
from holdfast.vtc.h2.frames import STREAM_MASK, Flag, Frame, FrameType, Priority, Setting
from holdfast.vtc.h2.numbers import error_code, number
from holdfast.vtc.language.command import Args, Command, ParsedOption, option
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import unhex
from holdfast.vtc.language.source import ENCODING

_PING_BYTES = 8
_TRUTH = {"true": 1, "false": 0}
_SETTINGS = {
    "-hdrtbl": Setting.HEADER_TABLE_SIZE,
    "-push": Setting.ENABLE_PUSH,
    "-maxstreams": Setting.MAX_CONCURRENT_STREAMS,
    "-winsize": Setting.INITIAL_WINDOW_SIZE,
    "-framesize": Setting.MAX_FRAME_SIZE,
    "-hdrsize": Setting.MAX_HEADER_LIST_SIZE,
}


async def _send(scope: StreamScope, kind: FrameType, payload: bytes, flags: int = 0) -> None:
    stream = scope.subject
    await stream.connection.send(stream, Frame(kind, flags, stream.number, payload))


async def _txrst(scope: StreamScope, args: Args) -> None:
    code = 0
    for given in args.walk():
        code = error_code(given)
    await _send(scope, FrameType.RST_STREAM, code.to_bytes(4))


async def _txprio(scope: StreamScope, args: Args) -> None:
    priority = Priority(0, False, 0)
    for given in args.walk():
        match given.flag:
            case "-stream":
                priority.stream = number(given, 31)
            case "-ex":
                priority.exclusive = True
            case _:
                priority.weight = number(given, 8)
    scope.subject.prioritise(priority)
    await _send(scope, FrameType.PRIORITY, encode_priority(priority))


async def _txsettings(scope: StreamScope, args: Args) -> None:
    payload, flags = b"", 0
    for given in args.walk():
        if given.flag == "-ack":
            flags = Flag.ACK
        else:
            setting, value = _setting(given)
            _adopt(scope, setting, value)
            payload += struct.pack("!HI", setting, value)
    await _send(scope, FrameType.SETTINGS, payload, flags)


def _setting(given: ParsedOption) -> tuple[int, int]:
    if given.flag in _SETTINGS:
        return _SETTINGS[given.flag], _setting_value(given)
    digits = given.token.removeprefix("-0x")
    code = unhex(digits.zfill(4))
    if code is None or len(code) != 2:
        raise Failure(f"Invalid settings tag {digits}", given.token.position())
    return int.from_bytes(code), number(given)


def _setting_value(given: ParsedOption) -> int:
    if given.flag != "-push":
        return number(given)
    word = given.values[0]
    if word not in _TRUTH:
        text = f'Push parameter is either "true" or "false", not {word}'
        raise Failure(text, word.position())
    return _TRUTH[word]


def _adopt(scope: StreamScope, setting: int, value: int) -> None:
    """Apply a setting that this side announces."""
    connection = scope.subject.connection
    if setting == Setting.HEADER_TABLE_SIZE:
        connection.decoding.resize(value)
    elif setting == Setting.INITIAL_WINDOW_SIZE:
        for stream in connection.streams.values():
            stream.window += value - connection.window_initial
        connection.window_initial = value


async def _txping(scope: StreamScope, args: Args) -> None:
    data, flags = bytes(_PING_BYTES), 0
    for given in args.walk():
        if given.flag == "-ack":
            flags = Flag.ACK
            continue
        word = given.values[0]
        data = word.encode(ENCODING)
        if len(data) != _PING_BYTES:
            raise Failure(f"data must be a 8-char string, found  ({word})", word.position())
    await _send(scope, FrameType.PING, data, flags)


async def _txgoaway(scope: StreamScope, args: Args) -> None:
    code, last, debug = 0, 0, b""
    for given in args.walk():
        match given.flag:
            case "-err":
                code = error_code(given)
            case "-laststream":
                last = number(given, 31)
            case _:
                debug = given.values[0].encode(ENCODING)
    await _send(scope, FrameType.GOAWAY, struct.pack("!II", last & STREAM_MASK, code) + debug)


async def _txwinup(scope: StreamScope, args: Args) -> None:
    size: int | None = None
    for given in args.walk():
        size = number(given)
    if size is None:
        raise Failure("txwinup: -size is missing", args.name.position(), (args.usage(),))
    stream = scope.subject
    if stream.number == 0:
        stream.connection.window += size
    stream.window += size
    await _send(scope, FrameType.WINDOW_UPDATE, size.to_bytes(4))


async def _sendhex(scope: StreamScope, args: Args) -> None:
    (text,) = args.plain()
    data = unhex(text)
    if data is None:
        raise scope.failure("Illegal hex string", text)
    scope.log.hexdump(4, "sendhex", data)
    await scope.subject.connection.send_bytes(data)


COMMANDS = (
    Command(
        name="txrst",
        run=_txrst,
        usage="[-err ERROR]",
        text="Send a RST_STREAM frame.",
        options=(option("-err ERROR", "The error, by number or name, else NO_ERROR."),),
        unknown="Unknown txrst spec: {}",
        example=FRAMES,
    ),
    Command(
        name="txprio",
        run=_txprio,
        usage="[-stream NUMBER] [-ex] [-weight NUMBER]",
        text="Send a PRIORITY frame.",
        options=(
            option("-stream NUMBER", "The stream to depend on."),
            option("-ex", "Depend on it exclusively."),
            option("-weight NUMBER", "The weight."),
        ),
        unknown="Unknown txprio spec: {}",
        example=FRAMES,
    ),
    Command(
        name="txsettings",
        run=_txsettings,
        usage="[-ack] [SETTINGS]",
        text="Send a SETTINGS frame.",
        options=(
            option("-hdrtbl NUMBER", "HEADER_TABLE_SIZE"),
            option("-push BOOL", "ENABLE_PUSH, `true` or `false`"),
            option("-maxstreams NUMBER", "MAX_CONCURRENT_STREAMS"),
            option("-winsize NUMBER", "INITIAL_WINDOW_SIZE"),
            option("-framesize NUMBER", "MAX_FRAME_SIZE"),
            option("-hdrsize NUMBER", "MAX_HEADER_LIST_SIZE"),
            option("-0x* NUMBER", "The setting of that hexadecimal number."),
            option("-ack", "Set the flag ACK."),
        ),
        unknown="Unknown txsettings spec: {}",
        example=FRAMES,
    ),
    Command(
        name="txping",
        run=_txping,
        usage="[-data STRING] [-ack]",
        text="Send a PING frame.",
        options=(
            option("-data STRING", "Eight characters."),
            option("-ack", "Set the flag ACK."),
        ),
        unknown="Unknown txping spec: {}",
        example=FRAMES,
    ),
    Command(
        name="txgoaway",
        run=_txgoaway,
        usage="[-err ERROR] [-laststream NUMBER] [-debug STRING]",
        text="Send a GOAWAY frame.",
        options=(
            option("-err ERROR", "The error, by number or name, else NO_ERROR."),
            option("-laststream NUMBER", "The last stream that was dealt with."),
            option("-debug STRING", "Debug data."),
        ),
        unknown="Unknown txgoaway spec: {}",
        example=FRAMES,
    ),
    Command(
        name="txwinup",
        run=_txwinup,
        usage="-size NUMBER",
        text="Send a WINDOW_UPDATE frame.",
        options=(option("-size NUMBER", "How much more the peer may send."),),
        unknown="Unknown txwinup spec: {}",
        example=UPDATED,
    ),
    Command(
        name="sendhex",
        run=_sendhex,
        usage="HEXDIGITS",
        text="Send bytes given in hexadecimal. White space is ignored.",
        words_min=1,
        words_max=1,
        example=FRAMES,
    ),
)
