"""The values that `expect` knows in a stream's specification."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.vtc.h2.connection import Fields, Http2Stream
from holdfast.vtc.h2.frames import ERRORS, Flag, Frame, FrameType, Setting
from holdfast.vtc.h2.headers import table_value
from holdfast.vtc.http.body import c_string
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.source import ENCODING

Value = str | None


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _text(data: bytes | None) -> Value:
    return None if data is None else c_string(data).decode(ENCODING)


def _setting(number: Setting) -> Callable[[Frame], Value]:
    def value(frame: Frame) -> Value:
        found = frame.settings.get(number)
        return None if found is None else str(found)

    return value


def _push(frame: Frame) -> Value:
    found = frame.settings.get(Setting.ENABLE_PUSH)
    return None if found is None else _truth(found == 1)


def _priority(part: str) -> Callable[[Frame], Value]:
    def value(frame: Frame) -> Value:
        assert frame.priority is not None
        found: int | bool = getattr(frame.priority, part)
        return _truth(found) if isinstance(found, bool) else str(found)

    return value


def _padding(frame: Frame) -> Value:
    if frame.type not in (FrameType.DATA, FrameType.HEADERS, FrameType.PUSH_PROMISE):
        raise Failure("Last frame was not of type DATA, HEADERS or PUSH")
    return str(frame.padding)


_OF_FRAME: dict[str, tuple[FrameType, Callable[[Frame], Value]]] = {
    "ping.data": (FrameType.PING, lambda frame: _text(frame.payload)),
    "ping.ack": (FrameType.PING, lambda frame: _truth(frame.has(Flag.ACK))),
    "winup.size": (FrameType.WINDOW_UPDATE, lambda frame: str(frame.increment)),
    "prio.stream": (FrameType.PRIORITY, _priority("stream")),
    "prio.exclusive": (FrameType.PRIORITY, _priority("exclusive")),
    "prio.weight": (FrameType.PRIORITY, _priority("weight")),
    "rst.err": (FrameType.RST_STREAM, lambda frame: str(frame.code)),
    "settings.ack": (FrameType.SETTINGS, lambda frame: _truth(frame.has(Flag.ACK))),
    "settings.push": (FrameType.SETTINGS, _push),
    "settings.hdrtbl": (FrameType.SETTINGS, _setting(Setting.HEADER_TABLE_SIZE)),
    "settings.maxstreams": (FrameType.SETTINGS, _setting(Setting.MAX_CONCURRENT_STREAMS)),
    "settings.winsize": (FrameType.SETTINGS, _setting(Setting.INITIAL_WINDOW_SIZE)),
    "settings.framesize": (FrameType.SETTINGS, _setting(Setting.MAX_FRAME_SIZE)),
    "settings.hdrsize": (FrameType.SETTINGS, _setting(Setting.MAX_HEADER_LIST_SIZE)),
    "push.id": (FrameType.PUSH_PROMISE, lambda frame: str(frame.promised)),
    "goaway.err": (FrameType.GOAWAY, lambda frame: str(frame.code)),
    "goaway.laststream": (FrameType.GOAWAY, lambda frame: str(frame.last_stream)),
    "goaway.debug": (FrameType.GOAWAY, lambda frame: _text(frame.debug)),
}
_OF_ANY_FRAME: dict[str, Callable[[Frame], Value]] = {
    "frame.data": lambda frame: _text(frame.payload),
    "frame.type": lambda frame: str(frame.type),
    "frame.size": lambda frame: str(len(frame.payload)),
    "frame.stream": lambda frame: str(frame.stream),
    "frame.padding": _padding,
}
_OF_STREAM: dict[str, Callable[[Http2Stream], Value]] = {
    "stream.window": lambda stream: str(
        stream.window if stream.number else stream.connection.window
    ),
    "stream.peer_window": lambda stream: str(
        stream.peer_window if stream.number else stream.connection.peer_window
    ),
    "stream.weight": lambda stream: str(stream.weight) if stream.number else None,
    "stream.dependency": lambda stream: str(stream.dependency) if stream.number else None,
}
_PSEUDO_FIELDS = {
    "status": ":status",
    "url": ":path",
    "method": ":method",
    "authority": ":authority",
    "scheme": ":scheme",
}

NAMES = (
    *_OF_FRAME,
    *_OF_ANY_FRAME,
    *_OF_STREAM,
    "tbl.dec.size",
    "tbl.dec.maxsize",
    "tbl.dec.length",
    "tbl.dec[NUMBER].key",
    "tbl.dec[NUMBER].value",
    "tbl.enc…",
    *(f"req.{name}" for name in ("body", "bodylen", *_PSEUDO_FIELDS, "http.NAME")),
    "resp.…",
)


def resolve(stream: Http2Stream, word: str) -> Value:
    """Return the value of `word`; the word itself if it has no meaning; `None` if it is
    undefined.

    Raises `Failure` for a field that the last frame lacks.
    """
    if word in _OF_FRAME:
        wanted, value = _OF_FRAME[word]
        if stream.frame is None or stream.frame.type != wanted:
            raise Failure(f"Last frame was not of type {wanted.name}", None, stream.notes())
        return value(stream.frame)
    if word in _OF_ANY_FRAME:
        if stream.frame is None:
            raise Failure("No frame received yet.")
        return _OF_ANY_FRAME[word](stream.frame)
    if word in _OF_STREAM:
        return _OF_STREAM[word](stream)
    if word.startswith(("tbl.dec", "tbl.enc")):
        connection = stream.connection
        side = connection.decoding if word[4] == "d" else connection.encoding
        found = table_value(side.table, word[7:])
        return word if found == word[7:] else found
    return _message_value(stream, word)


def _message_value(stream: Http2Stream, word: str) -> Value:
    if word.startswith("req."):
        return _part(stream, stream.request, word.removeprefix("req."))
    if word.startswith("resp."):
        return _part(stream, stream.response, word.removeprefix("resp."))
    return str(ERRORS.index(word)) if word in ERRORS else word


def _part(stream: Http2Stream, fields: Fields, part: str) -> Value:
    if part == "body":
        return _text(bytes(stream.body)) if stream.body else None
    if part == "bodylen":
        return str(len(stream.body))
    if part in _PSEUDO_FIELDS:
        return _field(fields, _PSEUDO_FIELDS[part])
    return _field(fields, part.removeprefix("http.")) if part.startswith("http.") else None


def _field(fields: Fields, name: str) -> Value:
    return next((value for key, value in fields if key.lower() == name.lower()), None)
