"""One end of a link: requests with their answers, notifications, heartbeats.

The gateway and the application use the same class. It implements frames and calls; its owner
implements the methods, with a `Dispatch`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from inspect import isawaitable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from holdfast.core.beats import first_beat
from holdfast.core.errors import HoldfastError, ProtocolError, Reason, Source
from holdfast.core.limits import ConnectionLimits, LinkLimits
from holdfast.link.codec import (
    UNREADABLE,
    UNWRITABLE,
    FrameDecoder,
    LinkProtocolError,
    encode_batch,
    encode_notification,
    encode_request,
    encode_response,
)
from holdfast.link.messages import (
    GOODBYE,
    HEARTBEAT,
    Goodbye,
    Heartbeat,
    LinkFault,
    Notification,
    Request,
    Response,
)
from holdfast.net.connection.connection import Connection
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.runtime.loop import is_cancelled

T = TypeVar("T")

_log: Final = RateLimitedLogger("holdfast.link")

_Receive = Callable[[LinkFault | None, msgspec.Raw], None]

SCHEMES: Final = ("unix", "tcp", "tls")
"""The schemes of a link's address."""

_MISSED_HEARTBEATS_MAX: Final = 3
_DEFECTS: Final = frozenset({"unknown_method", "bad_params", "bad_result", "internal_error"})
_FAILED: Final = LinkFault("internal_error", "the answer failed")


class LinkClosedError(HoldfastError):
    """The link ended before the answer came."""

    source = Source.REMOTE
    retryable = True


class RequestError(HoldfastError):
    """The other end answered a request with an error."""

    source = Source.REMOTE

    def __init__(
        self, code: str, message: str, retry_s: float = 0.0, *, closes: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_s = retry_s
        self.closes = closes
        """Whether no further answer follows an error on this link."""

    @property
    def defect(self) -> bool:
        """Whether the other end could not answer: the message is for operators, not for users."""
        return self.code in _DEFECTS

    @property
    def fault(self) -> LinkFault:
        return LinkFault(self.code, str(self), self.retry_s)


Unreadable = Callable[[msgspec.Raw, Exception], None]


class Dispatch:
    """Methods by name: the type of their params, and their handlers.

    Handlers in `unreadable` are also called for params of a wrong type, with the params and the
    error.
    """

    __slots__ = ("_methods", "_unreadable")

    def __init__(
        self,
        methods: Mapping[str, tuple[Any, Callable[[Any], Any]]],
        unreadable: Mapping[str, Unreadable] | None = None,
    ) -> None:
        self._methods = {
            name: (msgspec.msgpack.Decoder(params).decode, handler)
            for name, (params, handler) in methods.items()
        }
        self._unreadable = unreadable or {}

    def call(self, method: str, params: msgspec.Raw) -> Any:
        """Handle `method`. Raises `RequestError` for what cannot be understood."""
        known = self._methods.get(method)
        if known is None:
            raise RequestError("unknown_method", f"{method}: not a method of this end")
        decode, handler = known
        try:
            decoded = decode(params)
        except UNREADABLE as error:
            if method in self._unreadable:
                return self._unreadable[method](params, error)
            raise RequestError("bad_params", f"{method}: {error}") from error
        return handler(decoded)


class PeerOwner(Protocol):
    """The owner of a peer."""

    def linked(self, peer: Peer) -> None:
        """The transport is connected."""

    def unlinked(self, peer: Peer, reason: str) -> None:
        """The link has ended. Called once after `linked`."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the owner's task group."""


def connection_limits(limits: LinkLimits) -> ConnectionLimits:
    """The limits of a link's transport: a silent link is closed after three heartbeats."""
    return ConnectionLimits(
        connections_max=limits.links_max + limits.strangers_max,
        connections_per_address_max=limits.links_max + limits.strangers_max,
        handshake_seconds_max=limits.handshake_seconds_max,
        idle_seconds_max=limits.heartbeat_seconds_max * _MISSED_HEARTBEATS_MAX,
        write_buffer_bytes_max=limits.frame_bytes_max,
    )


class Peer:
    """One end of one link: a `Handler` on a connection."""

    def __init__(
        self, connection: Connection, owner: PeerOwner, limits: LinkLimits, *, trusted: bool = True
    ) -> None:
        self.dispatch = Dispatch({})
        """The methods that the other end may call; replaced after the handshake."""
        self.round_trip_s = 0.0
        self.on_round_trip: Callable[[float], None] = lambda seconds: None
        """Called with the round trip of each heartbeat."""
        self.orderly = False
        """Whether the link ends because one of the two programs stops."""
        self.goodbye_code = ""
        """The reason in the other end's `goodbye`, if it sent one."""
        self._connection = connection
        self._owner = owner
        self._limits = limits
        self._decoder = FrameDecoder(limits.frame_bytes_max if trusted else limits.hello_bytes_max)
        self._number = 0
        self._asked: dict[int, tuple[_Receive, Callable[[Exception], None]]] = {}
        """By number: what to do with the answer, or when none can come any more."""
        self._loop = asyncio.get_running_loop()
        self._reason = "the connection was lost"
        self._beat_at = 0.0
        self._ended = False

    @property
    def name(self) -> str:
        """The other end's address."""
        return self._connection.peer

    def established(self) -> None:
        """The handshake is complete: heartbeats begin."""
        self.trust()
        self._connection.established()
        first = first_beat(self._limits.heartbeat_seconds_max, random.random())
        self._connection.wake_at(self._connection.time() + first)

    def trust(self) -> None:
        """The other end is authenticated: its frames may have the full size."""
        self._decoder.bytes_max = self._limits.frame_bytes_max

    def notify(self, method: str, params: Any) -> None:
        """Send a notification. It leaves with everything else of this tick."""
        self._connection.write(encode_notification(method, params))

    def notify_batch(self, method: str, entries: list[Any]) -> None:
        """Send a notification of `entries`, in as many frames as their size needs."""
        self._connection.write(encode_batch(method, entries, self._limits.batch_bytes_max))

    def ask(
        self,
        method: str,
        params: Any,
        result: type[T],
        answered: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> int:
        """Send a request. `answered` or `failed` is called with the answer, before any later
        message is handled."""
        number = self._number = self._number + 1

        def receive(error: LinkFault | None, raw: msgspec.Raw) -> None:
            if error is not None:
                failed(RequestError(error.code, error.message, error.retry_s))
                return
            try:
                decoded = msgspec.msgpack.decode(raw, type=result)
            except UNREADABLE as fault:
                failed(RequestError("bad_result", f"the answer to {method}: {fault}"))
                return
            answered(decoded)

        request = encode_request(number, method, params)
        self._asked[number] = (receive, failed)
        self._connection.write(request)
        return number

    async def request(
        self,
        method: str,
        params: Any,
        result: type[T],
        *,
        seconds_max: float | None = None,
        from_reading: bool = False,
    ) -> T:
        """Send a request, and wait for the answer.

        Raises `RequestError` for an error as answer or an answer that is no
        `result`, `LinkClosedError` when the link ends first or has ended, and
        `TimeoutError` after `seconds_max` (the limit of a request if not given). With
        `from_reading`, that time begins when the other end has read the request. It may be busy,
        and is not silent for longer than the link lasts.
        """
        if self._ended:
            raise LinkClosedError(self._reason)
        answer: asyncio.Future[T] = self._loop.create_future()

        def answered(value: T) -> None:
            if not answer.done():
                answer.set_result(value)

        def failed(error: Exception) -> None:
            if not answer.done():
                answer.set_exception(error)

        def read(_: Heartbeat) -> None:
            if not answer.done():
                limit.reschedule(self._loop.time() + seconds)

        number = self.ask(method, params, result, answered, failed)
        seconds = seconds_max or self._limits.request_seconds_max
        silent = self._limits.heartbeat_seconds_max * _MISSED_HEARTBEATS_MAX
        try:
            async with asyncio.timeout(max(seconds, silent) if from_reading else seconds) as limit:
                if from_reading:  # it is answered as soon as it is read
                    self.ask(HEARTBEAT, Heartbeat(), Heartbeat, read, lambda error: None)
                return await answer
        finally:
            self._asked.pop(number, None)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the task group of this peer's owner."""
        self._owner.spawn(work)

    def close(self, reason: str, code: str = "") -> None:
        """Send a goodbye with the reason, and close. `code` is for the other end's program."""
        self._reason = reason
        self.notify(GOODBYE, Goodbye(reason, code))
        self._connection.close()

    def abort(self) -> None:
        """Drop the transport at once, without a goodbye."""
        self._connection.abort()

    # --- Handler

    def connected(self) -> None:
        self._owner.linked(self)

    def received(self, data: bytes) -> None:
        try:
            for message in self._decoder.receive_data(data):
                if isinstance(message, Notification):  # the usual case
                    self._handle_notification(message.method, message.params)
                else:
                    self._handle(message)
        except ProtocolError as error:
            _log.warning("protocol error on the link", peer=self.name, error=str(error))
            self.close(str(error))

    def ended(self) -> None:
        self._connection.close()

    def writable(self) -> None:
        pass  # the windows of both sides bound unsent data

    def expired(self, now: float) -> None:
        self._beat_at = now
        self._owner.spawn(self._heartbeat())
        self._connection.wake_at(now + self._limits.heartbeat_seconds_max)

    def overdue(self, reason: Reason) -> None:
        slow = reason is Reason.SLOW_CONSUMER
        fault = "reads too slowly" if slow else "has been silent for too long"
        self.close(f"{reason.value}: the other end {fault}")

    def drain(self) -> None:
        self.orderly = True
        self.close("the gateway is stopping", Reason.SHUTDOWN.value)

    def lost(self, cause: Exception | None) -> None:
        self._ended = True
        asked, self._asked = self._asked, {}
        for _, failed in asked.values():
            failed(LinkClosedError(self._reason))
        self._owner.unlinked(self, self._reason)
        self.dispatch = Dispatch({})  # the methods hold this peer: links that end are no cycles

    # --- messages

    def _handle(self, message: Request | Response) -> None:
        match message:
            case Request(number, method, params):
                self._handle_request(number, method, params)
            case Response(number, error, result):
                self._handle_response(number, error, result)

    def _handle_notification(self, method: str, params: msgspec.Raw) -> None:
        if method == GOODBYE:
            try:
                goodbye = msgspec.msgpack.decode(params, type=Goodbye)
            except UNREADABLE as error:
                raise LinkProtocolError(f"{GOODBYE}: {error}") from error
            self.orderly = True
            self._reason, self.goodbye_code = goodbye.reason, goodbye.code
            return
        try:
            self.dispatch.call(method, params)
        except RequestError as error:
            raise LinkProtocolError(str(error)) from error

    def _handle_request(self, number: int, method: str, params: msgspec.Raw) -> None:
        if method == HEARTBEAT:
            self._respond(number, None, Heartbeat())
            return
        try:
            result = self.dispatch.call(method, params)
        except RequestError as error:
            self._respond(number, error.fault, None)
            if error.closes:
                self.close(str(error))
            return
        if isawaitable(result):
            self._owner.spawn(self._respond_later(number, result))
        else:
            self._respond(number, None, result)

    async def _respond_later(self, number: int, result: Awaitable[Any]) -> None:
        try:
            self._respond(number, None, await result)
        except RequestError as error:
            self._respond(number, error.fault, None)
        except (Exception, asyncio.CancelledError) as error:
            # One answer is one failure domain: the link and the owner's other tasks go on.
            if is_cancelled(error):
                raise
            log_failure(_log, "an answer failed", error, peer=self.name)
            self._respond(number, _FAILED, None)

    def _handle_response(self, number: int, error: LinkFault | None, result: msgspec.Raw) -> None:
        asked = self._asked.pop(number, None)
        if asked is not None:  # else it came after the limit of time
            receive, _ = asked
            receive(error, result)

    def _respond(self, number: int, error: LinkFault | None, result: Any) -> None:
        try:
            response = encode_response(number, error, result)
        except UNWRITABLE as fault:
            log_failure(_log, "an answer cannot be sent", fault, peer=self.name)
            response = encode_response(number, _FAILED, None)
        self._connection.write(response)

    async def _heartbeat(self) -> None:
        try:
            await self.request(HEARTBEAT, Heartbeat(), Heartbeat)
        except (LinkClosedError, TimeoutError, RequestError):
            return  # the idle limit ends a silent link
        self.round_trip_s = self._connection.time() - self._beat_at
        self.on_round_trip(self.round_trip_s)
