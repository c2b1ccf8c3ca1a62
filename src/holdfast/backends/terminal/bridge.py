"""One session's terminal: from the questions before it to the release of everything. Hot path.

One task leads each terminal through its states. It is cancelled to end the terminal; whatever
happens, it closes the channel and gives the places back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from holdfast.backends.terminal.dialogue import Dialogue
from holdfast.backends.terminal.ending import Ending
from holdfast.backends.terminal.flow import Flow
from holdfast.backends.terminal.gathering import Gathering
from holdfast.backends.terminal.kind import Channel, Exit, Opener, Plan, Screen, TerminalError
from holdfast.backends.terminal.life import Life
from holdfast.backends.terminal.places import Place, Places, Reservation
from holdfast.backends.terminal.recording import NoRecording, Recorder, Recording
from holdfast.backends.terminal.states import BridgeInput, BridgeState
from holdfast.backends.terminal.stats import TerminalCounts, TerminalView
from holdfast.core.clock import Clock
from holdfast.core.errors import LimitExceededError, Reason
from holdfast.core.items import (
    MUST,
    Binary,
    Command,
    Data,
    Interrupt,
    Notice,
    Output,
    Resized,
    Text,
)
from holdfast.core.limits import TerminalLimits
from holdfast.net.addresses import network_of
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.security_log import SecurityEvent, SecurityLog
from holdfast.sessions.port import SessionPort
from holdfast.sessions.session import Session
from holdfast.sessions.states import SessionState
from holdfast.sessions.terminal import TerminalSession

_log: Final = RateLimitedLogger("holdfast.terminal")

_NUDGE_SECONDS: Final = 0.05
"""Between two sizes: a program that gets both at once sees no change."""
_SIGNAL: Final = "Terminal.Signal"
_ERROR: Final = "Terminal.Error"
_EXIT: Final = "Terminal.Exit"
_OPENED: Final = "Terminal.Opened"


class BridgeContext(Struct, frozen=True):
    """What the terminals of one backend share."""

    kind: str
    opener: Opener
    port: SessionPort
    clock: Clock
    now: Callable[[], float]
    """The runtime's time."""
    later: Callable[[float, Callable[[], None]], object]
    at_end_of_tick: Callable[[Callable[[], None]], None]
    limits: TerminalLimits
    places: Places
    security: SecurityLog
    counts: TerminalCounts
    recorder: Recorder
    pauses: bool
    """Whether a server waits while the client is away and the ring is nearly full."""


class Bridge:
    """One session's terminal, and the `Sink` of its channel."""

    def __init__(self, context: BridgeContext, session: TerminalSession) -> None:
        self._context = context
        self._session = session
        self.life = Life(session.sid, context.counts, context.now)
        self._said_at = context.now()
        self._stuck_since: float | None = None
        """Since when input waits for the server."""
        self._channel: Channel | None = None
        self._reservation: Reservation | None = None
        self._plan: Plan | None = None
        self._flow = Flow(
            session, context.port, context.limits, context.counts, pauses=context.pauses
        )
        self._gathering = Gathering(self._show, context.later)
        self.received = self._gathering.add
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._ending = Ending(
            session,
            context.port,
            context.now,
            context.at_end_of_tick,
            context.limits.last_output_seconds_max,
        )
        self._opened: Data | None = None
        """What a client is told of the terminal, once there is one."""
        self._told_opened = False
        self._recording: Recording | NoRecording = NoRecording()
        self._bytes_in = self._bytes_out = self._gaps = self._reattachments = 0
        self.dialogue = Dialogue(
            lambda item: context.port.show(session, item),
            lambda mode: context.port.set_input_mode(session, mode),
            self.forward,
            clicks=session.row.capabilities.binary,
            network=network_of(session.row.address),
        )

    # --- its life

    async def run(self) -> None:
        """Lead the terminal from its first question to the release of everything. Raises nothing:
        an error here must not end other terminals."""
        try:
            try:
                await self._lead()
            finally:
                await self._release()
        except Exception as error:
            log_failure(_log, "a terminal failed at its end", error, sid=self._session.sid)

    async def _lead(self) -> None:
        try:
            await self._open()
            self._end(await self._exit)
        except TerminalError as error:
            self._fail(error)
        except Exception as error:
            log_failure(_log, "a terminal failed", error, sid=self._session.sid)
            self._fail(TerminalError("internal", "Something is wrong here. Try again later."))

    def alone(self, step: Callable[[], None]) -> None:
        """Take a step of this terminal. Its failure ends this terminal alone: the caller serves
        others, too."""
        try:
            step()
        except Exception as error:
            self._break(error)

    def _break(self, error: Exception) -> None:
        if not self.dialogue.fail(error) and not self._exit.done():
            self._exit.set_exception(error)

    async def _open(self) -> None:
        context, session = self._context, self._session
        try:
            async with asyncio.timeout(context.limits.question_seconds_max):
                plan = self._plan = await context.opener.plan(self.dialogue)
        except TimeoutError:
            raise TerminalError("timeout", "There was no answer for too long.") from None
        place = Place(self.dialogue.network, plan.target, plan.user)
        self._reservation = _reserve(context.places, place)
        self.life.apply(BridgeInput.CONNECT)
        asked = _screen(session)
        channel = await context.opener.connect(plan, self.dialogue, asked, self)
        self._channel = channel
        self._reservation.logged_in()
        self.life.apply(BridgeInput.CONNECTED)
        context.counts.opened += 1
        context.counts.active += 1
        session.row.known = True
        context.port.save(session)
        screen = _screen(session)
        context.port.set_input_mode(session, "key" if screen.echo else "line")
        size = (screen.columns, screen.rows)
        if size != (asked.columns, asked.rows):  # it has changed while the user logged in
            channel.resize(*size)
        self._recording = context.recorder.begin(session.sid, plan, size)
        told = {"target": plan.target, "user": plan.user, "recorded": self._recording.path != ""}
        self._opened = Data(_OPENED, msgspec.json.encode(told).decode())
        self._tell_opened()
        if self._recording.path:
            self.dialogue.tell("This session is recorded.")
        self.forward()

    def _tell_opened(self) -> None:
        """Tell the client of its terminal: behind the output so far, or before it to a client
        that lags. A program that always writes may leave no moment without such output."""
        port, session = self._context.port, self._session
        if self._opened is None or self._told_opened or not session.attached:
            return
        self._told_opened = True
        port.show(session, self._opened, always=True)

    async def _release(self) -> None:
        """The channel first, with its connection and its command; then what counted it."""
        if self.life.state is BridgeState.ACTIVE:
            self._context.counts.active -= 1
        if not self.life.closing:
            self.life.apply(BridgeInput.CLOSE)
        try:
            if self._channel is not None:
                await self._channel.close()
        finally:
            self._gathering.flush()
            self._recording.close()
            if self._reservation is not None:
                self._reservation.release()
            self.life.apply(BridgeInput.RELEASED)

    def _fail(self, error: TerminalError) -> None:
        session, context = self._session, self._context
        context.counts.failures[error.code] += 1
        sid = session.sid
        _log.info("no terminal", sid=sid, fault=str(error), code=error.code, **self._where)
        if error.security is not None:
            self._security(error.security, str(error), **error.fields)
        told = {"code": error.code, "text": str(error)}
        last: list[Output] = [Data(_ERROR, msgspec.json.encode(told).decode()), Notice(str(error))]
        self._ending.begin(Reason.UPSTREAM_FAILED, last)

    def _end(self, exit: Exit) -> None:
        if exit.error:
            text = exit.error
        elif exit.signal:
            text = f"It was ended by the signal {exit.signal}."
        else:
            text = f"It has ended with status {exit.status or 0}."
        last: list[Output] = [Data(_EXIT, msgspec.json.encode(exit).decode()), Notice(text)]
        self._ending.begin(Reason.UPSTREAM_CLOSED, last)

    def _security(self, event: SecurityEvent, why: str, **fields: Any) -> None:
        row, told = self._session.row, self._where | fields
        self._context.security.tell(event, peer=row.address, sid=row.sid, why=why, **told)

    @property
    def _where(self) -> dict[str, Any]:
        plan = self._plan
        return {"target": plan.target, "user": plan.user} if plan is not None else {}

    # --- what the client does

    def forward(self) -> None:
        """Take what the client has typed, unless the server lags."""
        port, session, channel = self._context.port, self._session, self._channel
        if channel is None:
            self._answer()
            return
        if channel.full:
            if self._stuck_since is None:
                self._stuck_since = self._context.now()
            return
        self._stuck_since = None
        for queued in port.take(session):
            self._typed(queued.item, channel)
        port.applied(session, session.inbox.top)
        self._said_at = self._context.now()

    def _answer(self) -> None:
        """Give the open question its answer. What was typed ahead waits for the next question, or
        for the terminal."""
        port, session = self._context.port, self._session
        while self.dialogue.asking:
            taken = port.take_within(session, 1)  # one
            if not taken:
                return
            item = taken[0].item
            if isinstance(item, Text) and len(item.text) <= self._context.limits.answer_chars_max:
                self.dialogue.answer(item.text)
            port.applied(session, taken[0].cseq)

    def _typed(self, item: Command, channel: Channel) -> None:
        match item:
            case Binary(data):
                self._send(channel, data)
            case Text(text):
                self._send(channel, text.encode() + b"\r")
            case Interrupt():
                self._send(channel, b"\x03")
            case Data(package, json) if package == _SIGNAL:
                channel.signal(_signal_name(json))
            case _:
                pass  # what a client says beside its terminal is not for it

    def _send(self, channel: Channel, data: bytes) -> None:
        if not self._ending.begun:
            self._bytes_out += len(data)
            self._context.counts.bytes_out += len(data)
            self._recording.input(data)
            channel.write(data)

    def resize(self, size: Resized) -> None:
        """The client's screen has another size."""
        if self._channel is not None and size.width and size.height:
            self._gathering.flush()  # it was for the size before
            self._channel.resize(size.width, size.height)
            self._recording.resize(size.width, size.height)

    def attached(self, *, afresh: bool) -> None:
        """The client is back, with an empty screen if `afresh`."""
        self._reattachments += 1
        self._context.counts.reattachments += 1
        if afresh:
            self._gaps += 1
            self._context.counts.gaps += 1
        self.dialogue.repeat()
        self._told_opened = False
        self._ending.attached()
        if self._channel is not None:
            self._nudge(self._channel)
        self.go_on()

    def _nudge(self, channel: Channel) -> None:
        """Make a full-screen program repaint: send it another size, and then the true one."""
        known = self._session.row.capabilities
        if known.width and known.height > 1:
            channel.resize(known.width, known.height - 1)
            self._context.later(_NUDGE_SECONDS, lambda: self.resize(screen_size(self._session)))

    def go_on(self) -> None:
        """The client has shown more, has left or is back."""
        self._tell_opened()
        self._ending.go_on()
        if self._channel is not None:
            self._flow.shown(self._channel)

    # --- Sink: what the channel says

    def _show(self, data: bytes) -> None:
        context = self._context
        self._bytes_in += len(data)
        context.counts.bytes_in += len(data)
        try:  # as in `alone`
            self._recording.output(data)
            if self._session.state is SessionState.CLOSED:
                return  # its window is given back
            context.port.emit(self._session, Binary(data), MUST, context.clock())
            if self._channel is not None:
                self._flow.grown(self._channel)
        except Exception as error:
            self._break(error)

    def writable(self) -> None:
        self.alone(self.forward)

    def ended(self, exit: Exit, *, broken: bool = False) -> None:
        self._gathering.flush()
        if self._exit.done():
            return
        if broken:
            self._security(SecurityEvent.TARGET_FAILED, exit.error)
        self._exit.set_result(exit)

    # --- time

    def check(self) -> None:
        """End a terminal that is used no more, or whose server takes no input, and the session of
        one that has ended; tell of one that does not close."""
        limits, now = self._context.limits, self._context.now()
        self._ending.check()
        self.life.tell_if_stuck(2 * limits.closing_seconds_max)
        if self.life.state is not BridgeState.ACTIVE:
            return
        if self._stuck_since is not None and now - self._stuck_since > limits.write_seconds_max:
            error = "The server takes no input: the terminal was closed."
            self.ended(Exit(error=error), broken=True)
        elif now - self._said_at > limits.idle_seconds_max:
            self.ended(Exit(error="Nothing was typed for too long: the terminal was closed."))

    def view(self) -> TerminalView:
        """What an operator sees of it."""
        now, plan, viewers = self._context.now(), self._plan, self._session.viewers
        return TerminalView(
            kind=self._context.kind,
            target=plan.target if plan is not None else "",
            user=plan.user if plan is not None else "",
            state=self.life.state.value,
            seconds=self.life.seconds(),
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            unacknowledged_bytes=self._session.unacknowledged(),
            viewers=len(viewers) if viewers is not None else 0,
            gaps=self._gaps,
            reattachments=self._reattachments,
            last_input=round(now - self._said_at, 3),
            round_trip=self._channel.round_trip() if self._channel is not None else None,
            recording=self._recording.path,
        )


def _signal_name(json: str) -> str:
    """The name in a client's `Terminal.Signal`. Empty, which no signal is, if it holds no name."""
    try:
        return msgspec.json.decode(json, type=str)
    except msgspec.MsgspecError:
        return ""


def _reserve(places: Places, place: Place) -> Reservation:
    try:
        return places.reserve(place)
    except LimitExceededError as error:
        text = f"{str(error).capitalize()}. Try again later."
        raise TerminalError("crowded", text, SecurityEvent.LIMITED) from error


def _screen(session: Session) -> Screen:
    """The client's terminal. One that types lines shows them itself."""
    known = session.row.capabilities
    types_lines = not known.binary
    term = known.terminal.lower() or ("dumb" if types_lines else "xterm-256color")
    return Screen(term, known.width or 80, known.height or 24, echo=not types_lines)


def screen_size(session: Session) -> Resized:
    """The size of the client's screen; 0 where it is not known."""
    known = session.row.capabilities
    return Resized(known.width, known.height)


def terminal(session: Session) -> TerminalSession:
    """The session as a terminal, as all of a kind with `terminal` are."""
    assert isinstance(session, TerminalSession), session
    return session
