"""One session's connection to a server: forwards in both directions. Hot path.

`SessionOutput` is the way from the server to the session; the bridge dials, sends the client's
input and ends.
"""

from __future__ import annotations

import asyncio
from typing import Final

from holdfast.backends.tcp.context import BridgeContext
from holdfast.backends.tcp.session_output import SessionOutput
from holdfast.backends.tcp.states import TABLE, BridgeInput, BridgeState
from holdfast.backends.tcp.upstream_protocols import (
    Said,
    UpstreamProtocol,
    UpstreamProtocolError,
    make_protocol,
    terminal_of,
)
from holdfast.core.backoff import LASTED_SECONDS_MIN, Backoff
from holdfast.core.errors import HoldfastError, Reason
from holdfast.core.items import Command, Data, Notice, Resized, Text
from holdfast.core.states import Machine
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import NullHandler
from holdfast.net.log import RateLimitedLogger, log_failure
from holdfast.net.upstream.pool import Target
from holdfast.net.upstream.proxy_header import ProxiedClient
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.mxp_lines import LineModes
from holdfast.protocols.telnet.options.gmcp import Introduction
from holdfast.protocols.telnet.terminal import Terminal
from holdfast.sessions.session import Session

_log: Final = RateLimitedLogger("holdfast.upstream")

_FIRST_PAUSE_SECONDS: Final = 0.25
_REFUSES: Final = "It is tried again; what you type meanwhile is not sent."
_KEEPS: Final = "It is tried again; what you type meanwhile is sent then."
_AGAIN: Final = Notice("You are connected to the server again.")
_NOT_SENT: Final = Notice("There is no server yet: what you typed was not sent.")
_QUIT_SECONDS_MAX: Final = 30.0
"""From the line with which a person leaves to the end of the connection by the server."""


class Bridge:
    """One session's connection to a server: the `Handler` that stands on it. Hot path."""

    __slots__ = (
        "_backoff",
        "_connected_at",
        "_connection",
        "_context",
        "_introduction",
        "_last",
        "_lost_at",
        "_machine",
        "_output",
        "_over",
        "_protocol",
        "_said_at",
        "_session",
        "_target",
        "_tasks",
    )

    def __init__(self, context: BridgeContext, session: Session) -> None:
        self._context = context
        self._session = session
        self._machine = Machine(TABLE, BridgeState.CREATED)
        self._connection: Connection | None = None
        self._target: Target | None = None
        self._protocol: UpstreamProtocol | None = None
        self._output = SessionOutput(context, session)
        """Of the server. Reading is paused while any is held."""
        self._introduction = Introduction()
        """The client's GMCP introduction, for each connection to a server."""
        self._over: Reason | None = None
        """Why the session ends when its client has seen everything."""
        self._tasks: asyncio.TaskGroup
        self._backoff = Backoff(
            _FIRST_PAUSE_SECONDS, context.limits.upstream.redial_pause_seconds_max
        )
        self._lost_at: float | None = None
        """Since when there is no server that lasts, if there was one or it was not reached."""
        self._connected_at: float | None = None
        """When the newest connection was made."""
        self._said_at = 0.0
        self._last: Command | None = None
        """The newest input that the server was sent, where a lost server is redialled."""

    # --- what the backend says

    def dial(self, tasks: asyncio.TaskGroup) -> None:
        """Connect to a server. Input meanwhile waits in the session."""
        self._machine.apply(BridgeInput.DIAL)
        self._tasks = tasks
        tasks.create_task(self._dial(0.0))

    def forward(self) -> None:
        """Send the client's input, unless the server lags."""
        connection, protocol = self._connection, self._protocol
        if connection is None or protocol is None or connection.full:
            if connection is None and self._connected_at is not None:
                self._refuse()
            return
        port, session = self._context.port, self._session
        taken = port.take(session)
        for queued in taken:
            protocol.say(queued.item)
        if taken and self._context.redial is not None:
            self._last = taken[-1].item
        data = protocol.data_to_send()
        if data:
            connection.send(data)  # at once: what makes room for more must be known to fit
        self._said_at = connection.now
        port.applied(session, session.inbox.top)
        if not session.row.known and session.inbox.applied:
            session.row.known = True
            port.save(session)

    def resize(self, size: Resized) -> None:
        """The client's screen has another size."""
        if self._connection is not None and self._protocol is not None:
            self._protocol.resize(size)
            _send(self._connection, self._protocol)

    def describe(self) -> None:
        """The client can show other things, or is another one."""
        if self._connection is not None and self._protocol is not None:
            self._protocol.describe(_described(self._session, self._context))
            _send(self._connection, self._protocol)

    def go_on(self) -> None:
        """Held output may fit now."""
        if self._output.go_on():
            if self._connection is not None:
                self._connection.resume_reading()
                self._look_for_prompt(self._connection)  # so far it was we who were silent
            if self._over is not None:
                self._finish(self._over)

    def close(self) -> None:
        """The session has ended: send the rest, and close."""
        self._machine.apply(BridgeInput.CLOSE)
        if self._connection is not None:
            self._connection.close()

    # --- Handler

    def connected(self) -> None:
        """Never called: the bridge is attached to a connection that is established."""

    def received(self, data: bytes) -> None:
        connection, protocol = self._connection, self._protocol
        if connection is None or protocol is None or self._machine.state is not BridgeState.ACTIVE:
            return
        try:
            said = protocol.receive_data(data, connection.now)
        except UpstreamProtocolError as error:
            _log.warning("protocol error of a server", server=connection.peer, fault=str(error))
            text = "The server has said what cannot be passed on."
            self._end(text, Reason.UPSTREAM_CLOSED, again=False)
            return
        _send(connection, protocol)
        output = self._output
        output.say(said)
        if output.held:
            connection.pause_reading()
        self._look_for_prompt(connection)

    def ended(self) -> None:
        """The server ends its output: complete the last line."""
        self._end("The server has closed the connection.", Reason.UPSTREAM_CLOSED)

    def writable(self) -> None:
        self.forward()

    def expired(self, now: float) -> None:
        """Nothing has followed the last line for a while."""
        if self._protocol is not None and not self._output.held:
            prompt = self._protocol.prompt()
            if prompt is not None:
                self._say([prompt])

    def overdue(self, reason: Reason) -> None:
        connection = self._connection
        if connection is None:
            return
        if reason is Reason.TIMEOUT:
            due = self._said_at + self._context.limits.upstream.idle_seconds_max
            if connection.now < due:
                connection.wake_at(due)
                return
            self._end("Nothing was said for too long.", Reason.UPSTREAM_CLOSED, again=False)
        else:
            self._end("The server takes nothing more.", Reason.UPSTREAM_FAILED)

    def drain(self) -> None:
        """The gateway's own connections are closed with their sessions."""

    def lost(self, cause: Exception | None) -> None:
        self._end("The connection to the server was lost.", Reason.UPSTREAM_CLOSED, cause)
        if self._machine.state is not BridgeState.CONNECTING:
            self._machine.apply(BridgeInput.LOST)
            self._connection = None

    # --- inside

    async def _dial(self, pause: float) -> None:
        while not await self._connects(pause):
            if self._machine.state is not BridgeState.CONNECTING:
                return
            if not self._may_redial():
                self._machine.apply(BridgeInput.LOST)
                self._finish(Reason.UPSTREAM_FAILED)
                return
            self._machine.apply(BridgeInput.REDIAL)
            pause = self._backoff.pause(self._context.dialler.pool.entropy())

    async def _connects(self, pause: float) -> bool:
        """Whether there is a connection, after a pause, or none is wanted any more."""
        session = self._session
        if pause:
            await asyncio.sleep(pause)
            if self._machine.state is not BridgeState.CONNECTING:
                return True
        try:
            await self._context.dialler.connect(self._take_up, ProxiedClient(session.row.address))
        except HoldfastError as error:
            _log.warning("no server for a session", sid=session.sid, error=str(error))
            return False
        except Exception as error:  # other sessions must go on
            log_failure(_log, "a session's connection failed", error, sid=session.sid)
            return False
        return True

    def _may_redial(self) -> bool:
        """Whether to connect to the server again. The first time, the client gets a notice."""
        redial, limits = self._context.redial, self._context.limits.upstream
        now = self._context.dialler.now
        if redial is None:
            return False
        if self._lost_at is None:
            self._lost_at = now
            if self._connected_at is None:
                self._say([Notice(redial.waiting_text)])
        is_new = self._connected_at is None
        wait = limits.waiting_seconds_max if is_new else limits.redial_seconds_max
        return now - self._lost_at < wait

    def _has_left(self, now: float) -> bool:
        """Whether the newest line was one with which people leave: the server closes for it."""
        last, redial = self._last, self._context.redial
        is_quit = redial is not None and type(last) is Text and redial.is_quit(last.text)
        return is_quit and now - self._said_at < _QUIT_SECONDS_MAX

    def _refuse(self) -> None:
        """Input while the server is gone is not meant for the next connection, unless it is to
        be kept: then it waits in the session."""
        port, session, redial = self._context.port, self._session, self._context.redial
        if redial is not None and redial.typed == "keep":
            return
        typed = False
        for queued in port.take(session):
            item = queued.item
            if isinstance(item, Data):
                self._introduction.note(item.package, item.json)
            else:
                typed = True
        port.applied(session, session.inbox.top)
        if typed:
            self._say([_NOT_SENT])

    def _take_up(self, connection: Connection, target: Target) -> _Plug:
        return _Plug(self, connection, target)

    def plugged(self, connection: Connection, target: Target) -> None:
        """There is a connection."""
        self._machine.apply(BridgeInput.CONNECTED)
        if self._machine.state is not BridgeState.ACTIVE:
            connection.close()
            return
        connection.attach(self)
        connection.established()
        context = self._context
        self._connection, self._target = connection, target
        self._said_at = connection.now
        again, self._connected_at = self._connected_at is not None, connection.now
        if again:
            self._say([_AGAIN])
            context.port.set_input_mode(self._session, "line")
        if self._output.held:
            connection.pause_reading()
        self._protocol = make_protocol(
            target.address.scheme,
            context.content,
            context.limits,
            _described(self._session, context),
            context.charsets,
            self._introduction,
            *_spoken(self._session, context),
        )
        if again and context.redial is not None:
            for line in context.redial.lines:
                self._protocol.say(Text(line))
        self.forward()

    def _look_for_prompt(self, connection: Connection) -> None:
        """Unfinished output after a silence of the server is a prompt."""
        context = self._context
        connection.wake_at(context.dialler.now + context.limits.upstream.prompt_seconds_max)

    def _say(self, said: list[Said]) -> None:
        """Forward the server's output to the session, and stop reading where it is held."""
        self._output.say(said)
        if self._output.held and self._connection is not None:
            self._connection.pause_reading()

    def _end(
        self, text: str, reason: Reason, cause: Exception | None = None, *, again: bool = True
    ) -> None:
        """The connection is lost: reconnect, or tell the client and end the session."""
        connection, protocol = self._connection, self._protocol
        if connection is None or protocol is None or self._machine.state is not BridgeState.ACTIVE:
            return
        if self._target is not None and reason is Reason.UPSTREAM_CLOSED:
            self._context.dialler.pool.ended(self._target, connection, cause)
        now = self._context.dialler.now
        lasted = now - (self._connected_at or now)
        if lasted >= LASTED_SECONDS_MIN:
            self._lost_at = None
        redial = self._context.redial if again and not self._has_left(now) else None
        again = redial is not None and self._may_redial()
        if again and redial is not None:
            text = f"{text} {_KEEPS if redial.typed == 'keep' else _REFUSES}"
        last: list[Said] = [*protocol.receive_eof(), Notice(text)]
        if again:
            self._machine.apply(BridgeInput.REDIAL)
            connection.attach(NullHandler())  # what becomes of it is of no interest any more
            self._connection = self._protocol = None
            pause = self._backoff.pause(self._context.dialler.pool.entropy(), lasted)
            self._tasks.create_task(self._dial(pause))
        else:
            self._machine.apply(BridgeInput.CLOSE)
            self._over = reason
        connection.close()
        self._say(last)
        if self._over is not None and not self._output.held:
            self._finish(self._over)

    def _finish(self, reason: Reason) -> None:
        """End the session, if its client is there and has everything; else later."""
        session = self._session
        self._over = reason
        context = self._context
        if context.port.is_delivered(session):
            # Not in this tick: its client may be resuming now.
            context.at_end_of_tick(lambda: context.port.close(session, reason))
        elif session.attached:
            context.port.await_delivery(session)
        # Else it resumes to get the missed output, or it expires.


class _Plug(NullHandler):
    """The handler of a connection until it is a bridge's."""

    def __init__(self, bridge: Bridge, connection: Connection, target: Target) -> None:
        self._bridge = bridge
        self._connection = connection
        self._target = target

    def connected(self) -> None:
        self._bridge.plugged(self._connection, self._target)


def _described(session: Session, context: BridgeContext) -> Terminal:
    """The client, as a server is told of it."""
    row = session.row
    address = ProxiedClient(row.address).host.strip("[]") if context.sends_address else ""
    return terminal_of(row.capabilities, address)


def _spoken(session: Session, context: BridgeContext) -> tuple[frozenset[int], LineModes | None]:
    """The options that are accepted from a server, and how its lines are read if MXP is one.

    A client that comes later may have no MXP, or have it when its server has it not.
    """
    options = context.spoken_options
    if codes.MXP not in options:
        return options, None
    return options if session.row.capabilities.mxp else options - {codes.MXP}, LineModes()


def _send(connection: Connection, protocol: UpstreamProtocol) -> None:
    """Write what is queued for the server."""
    data = protocol.data_to_send()
    if data:
        connection.write(data)
