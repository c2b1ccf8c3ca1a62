"""The sending commands of a stream with header fields: `txreq`, `txresp`, `txcont`, `txpush`,
and `txdata`."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.vtc.commands.stream.samples import CONTINUED, INDEXED, PUSHED, REQUEST
from holdfast.vtc.h2.connection import DEFAULT_WEIGHT, Http2Stream
from holdfast.vtc.h2.frames import PADDING_BYTES_MAX, Flag, Frame, FrameType, Priority
from holdfast.vtc.h2.headers import INDEXING, BlockError, EncodingTable, FieldString
from holdfast.vtc.h2.numbers import number
from holdfast.vtc.http.body import pattern_body
from holdfast.vtc.http.message import BODY_OPTIONS, generated_length, make_body
from holdfast.vtc.language.command import Args, Command, CommandOption, ParsedOption, option
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.scope import Scope

StreamScope = Scope[Http2Stream]

_REQUEST_FIELDS = ((":path", "/"), (":method", "GET"), (":scheme", "http"))
_DEFAULTS = {
    "txreq": _REQUEST_FIELDS,
    "txpush": _REQUEST_FIELDS,
    "txresp": ((":status", "200"),),
    "txcont": (),
}
_PSEUDO = {
    "-status": ":status",
    "-url": ":path",
    "-method": ":method",
    "-req": ":method",
    "-scheme": ":scheme",
}
_SIDE = {"txreq": "client", "txresp": "server", "txpush": "server"}


@dataclass(slots=True)
class _Draft:
    """A frame with fields in the making."""

    table: EncodingTable
    missing: dict[str, str]
    """Fields that are added if the script does not set them."""
    block: bytes = b""
    flags: int = Flag.END_HEADERS
    padding: bytes | None = None
    body: bytes | None = None
    promised: int = 0
    priority: Priority | None = None

    def add(self, name: str, value: str) -> None:
        """A literal that is not indexed, nor compressed."""
        words = FieldString(name.encode(ENCODING)), FieldString(value.encode(ENCODING))
        self.block += self.table.literal("not", *words)

    def depend(self) -> Priority:
        """The priority, made if it is new."""
        if self.priority is None:
            self.priority = Priority(0, False, DEFAULT_WEIGHT)
        return self.priority


def _apply(scope: StreamScope, draft: _Draft, given: ParsedOption) -> None:
    flag, values = given.flag, given.values
    if flag in _PSEUDO:
        draft.add(_PSEUDO[flag], values[0])
        draft.missing.pop(_PSEUDO[flag], None)
    elif flag == "-hdr":
        draft.add(values[0], values[1])
    elif flag in ("-idxHdr", "-litIdxHdr", "-litHdr"):
        _add_represented(draft, given)
    elif flag in ("-dep", "-ex", "-weight"):
        _apply_priority(draft.depend(), given)
    elif flag in ("-pad", "-padlen"):
        draft.padding = _padding(draft.padding, given)
    elif not _apply_flag(draft, given):
        _apply_body(scope, draft, given)


def _apply_flag(draft: _Draft, given: ParsedOption) -> bool:
    match given.flag:
        case "-noadd":
            draft.missing.clear()
        case "-nostrend":
            draft.flags &= ~Flag.END_STREAM
        case "-nohdrend":
            draft.flags &= ~Flag.END_HEADERS
        case "-promised":
            draft.promised = number(given, 31)
        case _:
            return False
    return True


def _add_represented(draft: _Draft, given: ParsedOption) -> None:
    values = given.values
    if given.flag == "-idxHdr":
        draft.block += draft.table.indexed(number(given))
        return
    if values[0] not in INDEXING:
        text = f"first {given.flag} arg can be inc, not, never (got: {values[0]})"
        raise Failure(text, values[0].position())
    try:
        if given.flag == "-litHdr":
            name: FieldString | int = _word(values[1], values[2])
            draft.block += draft.table.literal(values[0], name, _word(values[3], values[4]))
        else:
            name = number(ParsedOption(given.flag, values[1:], given.token))
            draft.block += draft.table.literal(values[0], name, _word(values[2], values[3]))
    except BlockError as error:
        raise Failure(str(error), given.token.position()) from None


def _word(coding: Token, text: Token) -> FieldString:
    if coding not in ("huf", "plain"):
        raise Failure(f"the coding can be huf or plain (got: {coding})", coding.position())
    return FieldString(text.encode(ENCODING), coding == "huf")


def _apply_priority(priority: Priority, given: ParsedOption) -> None:
    match given.flag:
        case "-dep":
            priority.stream = number(given)
        case "-ex":
            priority.exclusive = True
        case _:
            priority.weight = number(given, 8)


def _padding(before: bytes | None, given: ParsedOption) -> bytes:
    if before is not None:
        raise Failure("a second padding", given.token.position())
    if given.flag == "-pad":
        padding = given.values[0].encode(ENCODING)
    else:
        padding = pattern_body(generated_length(given.values[0]))
    if len(padding) > PADDING_BYTES_MAX:
        text = f"Padding is limited to {PADDING_BYTES_MAX} bytes"
        raise Failure(text, given.values[0].position())
    return padding


def _apply_body(scope: StreamScope, draft: _Draft, given: ParsedOption) -> None:
    zips = given.flag.startswith("-gzip")
    if draft.body is not None and not zips:
        raise Failure("a second body", given.token.position())
    body = make_body(scope, scope.subject.connection.http, given)
    if body is None:
        return
    draft.body = body
    draft.flags &= ~Flag.END_STREAM
    if zips:
        draft.add("content-encoding", "gzip")


async def _send_fields(scope: StreamScope, args: Args) -> None:
    stream = scope.subject
    kind = args.command.name
    side = _SIDE.get(kind)
    if side and stream.connection.http.is_client != (side == "client"):
        raise Failure(f'"{args.name}" only possible in {side}', args.name.position())
    draft = _Draft(stream.connection.encoding, dict(_DEFAULTS[kind]))
    if kind in ("txreq", "txresp"):
        draft.flags |= Flag.END_STREAM
    for given in args.walk():
        _apply(scope, draft, given)
    for name, value in draft.missing.items():
        draft.add(name, value)
    await stream.connection.send(stream, _frame(stream, kind, draft))
    if draft.body is not None:
        data = Frame(FrameType.DATA, Flag.END_STREAM, stream.number, draft.body)
        await stream.connection.send(stream, data)


def _frame(stream: Http2Stream, kind: str, draft: _Draft) -> Frame:
    types = {"txpush": FrameType.PUSH_PROMISE, "txcont": FrameType.CONTINUATION}
    payload = draft.block
    if kind == "txpush":
        payload = draft.promised.to_bytes(4) + payload
    priority = draft.priority
    if priority:
        draft.flags |= Flag.PRIORITY
        payload = encode_priority(priority) + payload
        stream.prioritise(priority)
        stream.log.line(4, f"stream->dependency: {stream.dependency}")
        stream.log.line(4, f"stream->weight: {stream.weight}")
    if draft.padding is not None:
        draft.flags |= Flag.PADDED
        payload = pad(payload, draft.padding)
    return Frame(types.get(kind, FrameType.HEADERS), draft.flags, stream.number, payload)


def encode_priority(priority: Priority) -> bytes:
    """The five bytes of a priority (RFC 9113 section 6.3)."""
    first = priority.stream | (1 << 31 if priority.exclusive else 0)
    return (first & 0xFFFFFFFF).to_bytes(4) + bytes((priority.weight & 0xFF,))


def pad(payload: bytes, padding: bytes) -> bytes:
    """A payload with its padding (RFC 9113 section 6.1)."""
    return bytes((len(padding),)) + payload + padding


async def _txdata(scope: StreamScope, args: Args) -> None:
    stream = scope.subject
    flags: int = Flag.END_STREAM
    data: bytes | None = None
    padding: bytes | None = None
    for given in args.walk():
        if given.flag == "-nostrend":
            flags &= ~Flag.END_STREAM
        elif given.flag in ("-pad", "-padlen"):
            padding = _padding(padding, given)
        elif data is not None:
            raise Failure("a second body", given.token.position())
        elif given.flag == "-data":
            data = given.values[0].encode(ENCODING)
        else:
            data = pattern_body(generated_length(given.values[0]))
    payload = data or b""
    if padding is not None:
        flags |= Flag.PADDED
        payload = pad(payload, padding)
    await stream.connection.send(stream, Frame(FrameType.DATA, flags, stream.number, payload))


_FIELDS: tuple[CommandOption, ...] = (
    option("-noadd", "Do not add the pseudo-fields that are missing."),
    option("-hdr NAME VALUE", "Add a field, as a literal that is not indexed."),
    option("-idxHdr NUMBER", "Add the field of this index."),
    option(
        "-litIdxHdr INDEXING NUMBER CODING VALUE",
        "Add a field whose name is that of an index. INDEXING is `inc`, `not` or `never`, "
        "CODING `huf` or `plain`.",
    ),
    option("-litHdr INDEXING CODING NAME CODING VALUE", "Add a field with all written out."),
    option("-nohdrend", "The fields go on in a CONTINUATION frame."),
)
_STREAM_END = option("-nostrend", "The stream goes on.")
_PADDING: tuple[CommandOption, ...] = (
    option("-pad STRING", "Padding."),
    option("-padlen NUMBER", "Padding of this length."),
)
_PRIORITY: tuple[CommandOption, ...] = (
    option("-dep NUMBER", "Depend on this stream."),
    option("-ex", "Depend on it exclusively."),
    option("-weight NUMBER", "The weight."),
)
_TARGET: tuple[CommandOption, ...] = (
    option("-url STRING", "The field `:path`, else `/`."),
    option("-method STRING", "The field `:method`, else `GET`."),
    option("-req STRING", "The same as `-method`."),
    option("-scheme STRING", "The field `:scheme`, else `http`."),
)
_BODY = tuple(entry._replace(group=0) for entry in BODY_OPTIONS)

COMMANDS = (
    Command(
        name="txreq",
        run=_send_fields,
        usage="[OPTIONS]",
        text="Client: send a request: a HEADERS frame, and a DATA frame if there is a body.",
        options=(*_TARGET, *_FIELDS, _STREAM_END, *_PADDING, *_PRIORITY, *_BODY),
        unknown="Unknown txreq spec: {}",
        example=INDEXED,
    ),
    Command(
        name="txresp",
        run=_send_fields,
        usage="[OPTIONS]",
        text="Server: send a response: a HEADERS frame, and a DATA frame if there is a body.",
        options=(
            option("-status NUMBER", "The field `:status`, else 200."),
            *_FIELDS,
            _STREAM_END,
            *_PADDING,
            *_PRIORITY,
            *_BODY,
        ),
        unknown="Unknown txresp spec: {}",
        example=REQUEST,
    ),
    Command(
        name="txcont",
        run=_send_fields,
        usage="[OPTIONS]",
        text="Send a CONTINUATION frame.",
        options=(*_FIELDS, _STREAM_END),
        unknown="Unknown txcont spec: {}",
        example=CONTINUED,
    ),
    Command(
        name="txpush",
        run=_send_fields,
        usage="[OPTIONS]",
        text="Server: send a PUSH_PROMISE frame.",
        options=(
            option("-promised NUMBER", "The stream that is promised."),
            *_TARGET,
            *_FIELDS,
            _STREAM_END,
            *_PADDING,
        ),
        unknown="Unknown txpush spec: {}",
        example=PUSHED,
    ),
    Command(
        name="txdata",
        run=_txdata,
        usage="[OPTIONS]",
        text="Send a DATA frame.",
        options=(
            option("-data STRING", "The data."),
            option("-datalen NUMBER", "Data of this length."),
            _STREAM_END,
            *_PADDING,
        ),
        unknown="Unknown txdata spec: {}",
        example=CONTINUED,
    ),
)
