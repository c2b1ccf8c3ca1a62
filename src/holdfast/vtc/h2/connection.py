"""An HTTP/2 connection: its streams, and the one reader of its frames.

Frames are read only while a stream waits for one. A frame for a stream that the script has not
named yet blocks the reader until it is named. Frames are decoded in the order in which they
arrive, as header compression requires; then they wait in the queues of their streams.
"""

from __future__ import annotations

import asyncio
from collections import deque

from holdfast.vtc.actors.background_task import BackgroundTask
from holdfast.vtc.h2.frames import (
    FRAME_BYTES_MAX,
    HEADER_BYTES,
    Flag,
    Frame,
    FrameType,
    Http2FrameError,
    Priority,
    Setting,
    error_name,
    parse_header,
    parse_payload,
    setting_name,
)
from holdfast.vtc.h2.headers import FIELDS_MAX, BlockError, DecodingTable, EncodingTable
from holdfast.vtc.http.connection_state import ConnectionState
from holdfast.vtc.io.stream_socket import StreamSocket
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.interpreter import play
from holdfast.vtc.language.position import Position
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.log import Logger
from holdfast.vtc.run.scope import Scope

DEFAULT_WEIGHT = 16
_SHOWN_BYTES_MAX = 2000

Fields = list[tuple[str, str]]
WINDOW_INITIAL = 0xFFFF
_SHOWN_FLAGS = (
    (Flag.ACK, "ACK", (FrameType.PING, FrameType.SETTINGS)),
    (Flag.END_STREAM, "END_STREAM", (FrameType.HEADERS, FrameType.PUSH_PROMISE, FrameType.DATA)),
    (
        Flag.END_HEADERS,
        "END_HEADERS",
        (FrameType.HEADERS, FrameType.PUSH_PROMISE, FrameType.CONTINUATION),
    ),
    (Flag.PRIORITY, "PRIORITY", (FrameType.HEADERS, FrameType.PUSH_PROMISE)),
    (Flag.PADDED, "PADDED", (FrameType.DATA, FrameType.HEADERS, FrameType.PUSH_PROMISE)),
)


class _ConnectionEnded(Exception):
    """The connection ended before a whole frame had come."""


class Http2Stream:
    """A stream by number."""

    def __init__(self, connection: Http2Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.log = connection.log.named(f"{connection.http.name}.{number}")
        self.spec: Token | None = None
        self.task = BackgroundTask(connection.case, self.log)
        self.frame: Frame | None = None
        """The last frame that a command has received."""
        self.request: Fields = []
        self.response: Fields = []
        self.body = bytearray()
        self.window = connection.window_initial
        """The bytes that the peer may still send."""
        self.peer_window = connection.peer_window_initial
        """The bytes that this side may still send."""
        self.dependency = 0
        self.weight = DEFAULT_WEIGHT
        self._queue: deque[Frame] = deque()
        self._arrived = asyncio.Event()
        self._waiting = False

    def start(self, position: Position | None) -> None:
        """Begin the specification in the background."""
        self.connection.log.line(2, f"Starting stream {self.number}")
        self.task.start(self._run, position)

    async def _run(self) -> None:
        if self.spec is None:
            raise Failure(f"stream {self.number} has no specification")
        scope = Scope(self.connection.case, Context.STREAM, self, self.log)
        await play(scope, self.spec)
        self.log.line(2, f"Ending stream {self.number}")

    async def wait(self) -> None:
        """Wait until the specification is done. Frames that it has not received are lost."""
        self.connection.log.line(2, f"Waiting for stream {self.number}")
        await self.task.wait()
        self._queue.clear()
        self.frame = None

    def deliver(self, frame: Frame) -> None:
        """A frame has come for this stream."""
        self._queue.append(frame)
        self.wake()

    def wake(self) -> None:
        """A frame has come, or none will come any more."""
        if self._waiting:
            self._waiting = False
            self.connection.waiting -= 1
            self._arrived.set()

    async def receive(self) -> Frame | None:
        """Return the next frame; `None` at the end of a connection whose errors are not fatal."""
        if not self._queue:
            self._waiting = True
            self._arrived.clear()
            self.connection.call()
            try:
                await self._arrived.wait()
            finally:
                self.wake()
        return self._queue.popleft() if self._queue else None

    def prioritise(self, priority: Priority) -> None:
        """Depend on another stream; exclusively means that its other dependants depend on us."""
        self.dependency = priority.stream
        self.weight = priority.weight
        if priority.exclusive and self.number:
            for other in self.connection.streams.values():
                if other is not self and other.dependency == self.dependency:
                    other.dependency = self.number

    def notes(self) -> tuple[Note, ...]:
        """Return notes with the received data, for a failure."""
        found = []
        frame = self.frame
        if frame:
            size = len(frame.payload)
            text = f"{frame.describe()}, flags: 0x{frame.flags:02x}, size: {size}"
            found.append(Note("frame", text))
        for title, fields in (("request", self.request), ("response", self.response)):
            if fields:
                found.append(Note(title, "\n".join(f"{name}: {value}" for name, value in fields)))
        if self.body:
            shown = bytes(self.body[:_SHOWN_BYTES_MAX]).decode(ENCODING)
            found.append(Note("body", shown))
        return tuple(found)


class Http2Connection:
    """HTTP/2 on a session's wire."""

    def __init__(self, case: Case, http: ConnectionState, sock: StreamSocket, log: Logger) -> None:
        self.case = case
        self.http = http
        self.log = log
        self.streams: dict[str, Http2Stream] = {}
        """By the names that the script gave them."""
        self.encoding = EncodingTable()
        self.decoding = DecodingTable()
        self.window = self.window_initial = WINDOW_INITIAL
        self.peer_window = self.peer_window_initial = WINDOW_INITIAL
        self.priorities_ignored = False
        """The peer ignores priorities (RFC 9218 section 2.1)."""
        self.waiting = 0
        """How many streams wait for a frame."""
        self._sock = sock
        self._last_stream = 0
        self._ended = False
        self._called = asyncio.Event()
        self._named = asyncio.Event()
        self._sending = asyncio.Lock()
        self._block = bytearray()
        self._block_stream: int | None = None
        self._pushing = False
        """The block is that of a promise."""
        self._reader = BackgroundTask(case, log)

    def start(self, position: Position | None) -> None:
        """Begin to read."""
        self._reader.start(self._read_all, position)

    async def stop(self) -> None:
        """Wait for the streams, then go back to bare bytes. Raises `Failure`."""
        for stream in self.streams.values():
            if stream.task.running:
                await stream.wait()
        self.streams.clear()
        await self._reader.stop()

    def release(self) -> None:
        """Stop reading, in any state."""
        self._reader.cancel()

    # Streams.

    def stream(self, name: str) -> Http2Stream:
        """The stream of that name, made if it is new. Raises `ValueError` for a bad number."""
        if name == "next":
            name = str(self._last_stream + 2 if self._last_stream > 0 else 1)
        if name not in self.streams:
            number = int(name, 0)
            if not 0 <= number < 1 << 31:
                raise ValueError(name)
            self.streams[name] = Http2Stream(self, number)
            self._last_stream = number
            self._named.set()
        return self.streams[name]

    def _find(self, number: int) -> Http2Stream | None:
        return next((one for one in self.streams.values() if one.number == number), None)

    def call(self) -> None:
        """One more stream waits for a frame."""
        self.waiting += 1
        self._called.set()
        if self._ended:
            self._wake_all()

    def _wake_all(self) -> None:
        for stream in self.streams.values():
            stream.wake()

    # Sending.

    async def send(self, stream: Http2Stream, frame: Frame) -> None:
        """Send a frame. Raises `Failure` where errors are fatal."""
        size = len(frame.payload)
        text = f"{frame.describe()}, flags: 0x{frame.flags:02x}, size: {size}"
        stream.log.line(3, f"tx: {text}")
        if frame.type == FrameType.DATA:
            stream.peer_window -= size
            self.peer_window -= size
        await self.send_bytes(frame.encode())

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes between two frames. Raises `Failure` where errors are fatal."""
        try:
            async with self._sending:
                await self._sock.send(data)
        except OSError as error:
            if self.http.fatal:
                raise Failure(f"Write failed: {error.strerror}") from None

    # Receiving.

    async def _read_all(self) -> None:
        try:
            while True:
                while self.waiting == 0:
                    self._called.clear()
                    await self._called.wait()
                frame = await self._read()
                stream = await self._stream_of(frame)
                self._take_apart(stream, frame)
                stream.deliver(frame)
        except _ConnectionEnded as lost:
            self._ended = True
            if self.http.fatal:
                raise Failure(str(lost), None, self._notes()) from None
            self._wake_all()

    def _notes(self) -> tuple[Note, ...]:
        return tuple(note for stream in self.streams.values() for note in stream.notes())

    async def _read(self) -> Frame:
        size, frame = parse_header(await self._read_exactly(HEADER_BYTES, "header"))
        text = f"{frame.describe()}, flags: 0x{frame.flags:02x}, size: {size}"
        self.log.line(3, f"rx: {text}")
        for flag, name, types in _SHOWN_FLAGS:
            if frame.has(flag) and frame.type in types:
                self.log.line(3, f"flag: {name}")
        if size > FRAME_BYTES_MAX:
            raise Failure(f"the frame is longer than {FRAME_BYTES_MAX} bytes")
        frame.payload = await self._read_exactly(size, "body")
        return frame

    async def _read_exactly(self, count: int, what: str) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                part = await self._sock.recv(count - len(data), self.http.seconds_max)
            except TimeoutError:
                waited = f"(fd:{self._sock.fd} {self.http.seconds_max:.3f}s)"
                self.log.line(3, f"HTTP2 rx timeout {waited}")
                raise _ConnectionEnded(f"could not get frame {what}: timeout") from None
            except OSError as error:
                raise _ConnectionEnded(f"could not get frame {what}: {error.strerror}") from None
            if not part:
                self.log.line(3, f"HTTP2 rx EOF (fd:{self._sock.fd} read: Success)")
                raise _ConnectionEnded(f"could not get frame {what}: end of the stream")
            data += part
        return bytes(data)

    async def _stream_of(self, frame: Frame) -> Http2Stream:
        while True:
            stream = self._find(frame.stream)
            if stream:
                return stream
            self._named.clear()
            await self._named.wait()

    def _take_apart(self, stream: Http2Stream, frame: Frame) -> None:
        if self._block_stream is not None and (
            frame.type != FrameType.CONTINUATION or frame.stream != self._block_stream
        ):
            text = f"Expected CONTINUATION frame for stream {self._block_stream}"
            raise Failure(text, None, stream.notes())
        try:
            parse_payload(frame)
        except Http2FrameError as error:
            raise Failure(str(error), None, stream.notes()) from None
        match frame.type:
            case FrameType.DATA:
                self._take_data(stream, frame)
            case FrameType.HEADERS | FrameType.PUSH_PROMISE | FrameType.CONTINUATION:
                self._take_block(stream, frame)
            case FrameType.SETTINGS:
                self._take_settings(stream, frame)
            case _:
                pass
        if frame.priority:
            stream.prioritise(frame.priority)
            stream.log.line(4, f"stream->dependency: {stream.dependency}")
            stream.log.line(4, f"stream->weight: {stream.weight}")
        _log_frame(stream.log, frame)

    def _take_data(self, stream: Http2Stream, frame: Frame) -> None:
        size = len(frame.content)
        if stream.number:
            stream.window -= size
        self.window -= size
        stream.body += frame.content

    def _take_block(self, stream: Http2Stream, frame: Frame) -> None:
        fields = self._fields(stream, frame)
        if frame.type != FrameType.CONTINUATION:
            fields.clear()
            self._block.clear()
        self._block += frame.content
        self._block_stream = frame.stream
        if frame.has(Flag.END_HEADERS):
            self._block_stream = None
            self._decode(stream, fields)

    def _fields(self, stream: Http2Stream, frame: Frame) -> Fields:
        """Return the message that the header block of `frame` belongs to."""
        if frame.type == FrameType.PUSH_PROMISE:
            self._pushing = True
        elif frame.type == FrameType.HEADERS:
            self._pushing = False
        to_request = self._pushing or not self.http.is_client
        return stream.request if to_request else stream.response

    def _decode(self, stream: Http2Stream, fields: Fields) -> None:
        try:
            found = self.decoding.decode(bytes(self._block)) if self._block else []
        except BlockError as error:
            if self.http.fatal:
                raise Failure(f"Header decoding failed ({error})", None, stream.notes()) from None
            self.log.line(4, f"Header decoding failed ({error})")
            return
        for number, (name, value) in enumerate(found):
            self.log.line(4, f"header[{number:2}]: {name}: {value}")
        if len(found) >= FIELDS_MAX:
            raise Failure(f"Max number of headers reached ({FIELDS_MAX})")
        fields += found

    def _take_settings(self, stream: Http2Stream, frame: Frame) -> None:
        for number, value in frame.settings.items():
            stream.log.line(4, f"settings->{setting_name(number)} ({number}): {value}")
        if Setting.HEADER_TABLE_SIZE in frame.settings:
            self.encoding.resize(frame.settings[Setting.HEADER_TABLE_SIZE])


def _log_frame(log: Logger, frame: Frame) -> None:
    match frame.type:
        case FrameType.DATA if frame.has(Flag.PADDED):
            log.line(4, f"padding: {frame.padding:3}")
        case FrameType.RST_STREAM:
            log.line(4, f"rst->err: {error_name(frame.code)} ({frame.code})")
        case FrameType.PING:
            log.line(4, f"ping->data: {frame.payload.decode(ENCODING)}")
        case FrameType.GOAWAY:
            log.line(3, f"goaway->laststream: {frame.last_stream}")
            log.line(3, f"goaway->err: {error_name(frame.code)} ({frame.code})")
            if frame.debug:
                log.line(3, f"goaway->debug: {frame.debug.decode(ENCODING)}")
        case FrameType.WINDOW_UPDATE:
            log.line(3, f"winup->size: {frame.increment}")
        case _:
            pass
