"""The last events of sessions that have ended: they are stored apart, as their sessions are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct, structs

from holdfast.backends.http.bodies import write_request
from holdfast.backends.http.delivery import ALONE, Delivery
from holdfast.backends.http.outcome import Outcome, outcome_of
from holdfast.backends.http.sending import Sending
from holdfast.core.limits import HttpLimits
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.http_backend")


class _Numbers(Struct):
    """The number of an event: of a command, or of a change of state."""

    n: int = 0
    e: int = 0


class LastEvents(Struct, frozen=True):
    """The body of a request: `closed` is its last event."""

    app: str
    session: Raw
    events: Sequence[Raw]

    def first(self, events_max: int, bytes_max: int) -> LastEvents:
        """The events that the next request has. The one that exceeds `bytes_max` is one of them."""
        length = size = 0
        while length < min(events_max, len(self.events)) and size < bytes_max:
            size += len(self.events[length])
            length += 1
        return structs.replace(self, events=self.events[:length])

    def key(self, sid: str, *, last: bool, alone: bool) -> str:
        """The `Idempotency-Key`: the session, its newest command, and the newest change of its
        state; of the `last` request, `closed` instead. `alone`: as for `Request.key`."""
        numbers = [msgspec.json.decode(event, type=_Numbers) for event in self.events]
        cseq, state = max(one.n for one in numbers), max(one.e for one in numbers)
        newest = f"{cseq}.{state}" if state else f"{cseq}"
        return f"{sid}:{'closed' if last else newest}{ALONE if alone else ''}"


class ClosedSessions:
    """The closed sessions of the application `app`, whose backend is called `name`.

    `keep` stores a setting."""

    def __init__(
        self,
        name: str,
        app: str,
        keep: Callable[[str, bytes], None],
        sending: Sending,
        limits: HttpLimits,
    ) -> None:
        self._prefix = f"{name}:closed:"
        self._app = app
        self._keep = keep
        self._sending = sending
        self._limits = limits
        self._bodies: dict[str, bytes] = {}
        """By session: a request with all its last events."""

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._bodies))

    def restore(self, settings: Mapping[str, bytes]) -> None:
        """Take what an earlier gateway has not sent."""
        for key, body in settings.items():
            if key.startswith(self._prefix):
                self._bodies[key.removeprefix(self._prefix)] = body

    def add(self, delivery: Delivery) -> None:
        """Keep all events that the application of an ended session is not known to have."""
        sid = delivery.session.sid
        states, commands = delivery.notes.pending, list(delivery.commands)
        body = self._bodies[sid] = write_request(self._app, delivery.session, states, commands)
        self._keep(self._prefix + sid, body)
        if len(self._bodies) > self._limits.closed_max:
            oldest = next(iter(self._bodies))
            _log.error("last events of a session given up", app=self._app, session=oldest)
            self._forget(oldest)

    async def send(self, sid: str) -> None:
        """Send the last events of a session, in as many requests as it takes.

        The answers change nothing. Of a request that is refused, each event is sent alone.
        """
        limits, last = self._limits, self._read(sid)
        alone = 0  # events that are sent alone, because one of them was refused
        while last is not None:
            most = 1 if alone else limits.events_max
            part = last.first(most, limits.events_bytes_max)
            length = len(part.events)
            reply = await self._sending.send(
                sid,
                part.key(sid, last=length == len(last.events), alone=alone > 0),
                msgspec.json.encode(part),
                wanted=lambda: sid in self._bodies,
                failed=lambda: None,
            )
            if reply is None:
                return
            if outcome_of(reply) is Outcome.REFUSED:
                if length > 1:
                    alone = length
                    continue
                _log.warning("request refused", session=sid, status=reply.status)
            alone = max(0, alone - length)
            last = self._confirm(sid, last, length)

    def _read(self, sid: str) -> LastEvents | None:
        body = self._bodies.get(sid)
        if body is None:
            return None
        try:
            return msgspec.json.decode(body, type=LastEvents)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.error("malformed last events of a session", session=sid, fault=str(error))
            self._forget(sid)
            return None

    def _confirm(self, sid: str, last: LastEvents, length: int) -> LastEvents | None:
        """The application has the first events: the others are kept, if there are any."""
        events = last.events[length:]
        if not events or sid not in self._bodies:
            self._forget(sid)
            return None
        left = structs.replace(last, events=events)
        body = self._bodies[sid] = msgspec.json.encode(left)
        self._keep(self._prefix + sid, body)
        return left

    def _forget(self, sid: str) -> None:
        if self._bodies.pop(sid, None) is not None:
            self._keep(self._prefix + sid, b"")
