"""The client's side of `holdfast.v1` without I/O: numbers, acknowledges, resumes.

Pass it the messages of the server, send the result of `take`, and call `connected` for each new
connection. `State` is sufficient to resume after a restart of the client.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct, field

from holdfast.client import commands
from holdfast.client.commands import Dropped, Said, Uncertain
from holdfast.core.errors import RECONNECT_CODE_MIN, BusyError, ProtocolError, Reason
from holdfast.protocols import holdfast as wire

ACK_EACH: Final = 32
"""Outputs after which an acknowledgement is sent without waiting."""
ACK_SECONDS: Final = 1.0
IN_FLIGHT_MAX: Final = 128
"""Unacknowledged commands that are sent at once. More wait, so that a client that was
disconnected for long does not flood the server."""
PENDING_MAX: Final = 1_000
"""Commands that may wait to be acknowledged."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(wire.ServerMessage).decode


class ServerFaultError(ProtocolError):
    """The server broke the protocol; the connection cannot be trusted and is dropped."""


class State(Struct):
    """The kept state of a client: its session, its position, and its unacknowledged commands.

    `msgspec.json` encodes and decodes it.
    """

    sid: str = ""
    token: str = ""
    epoch: str = ""
    last: int = 0
    """The newest output that was seen."""
    sent: int = 0
    """The newest command's number."""
    attempts: int = 0
    """How many connections there were."""
    pending: list[Said] = field(default_factory=list)
    """Commands that are not acknowledged, oldest first."""

    @property
    def acknowledged(self) -> int:
        """The newest command that the gateway has acknowledged as durable."""
        return self.pending[0].c - 1 if self.pending else self.sent


# --- events, beside the server's own messages


class Online(Struct, frozen=True):
    """Connected: the session continues. `fresh` if it is new."""

    sid: str
    fresh: bool


class Began(Struct, frozen=True):
    """The displayed output is incomplete: clear the display. `reason` says why."""

    reason: str


Event = (
    Online
    | Began
    | Dropped
    | Uncertain
    | wire.Text
    | wire.Formatted
    | wire.Data
    | wire.Binary
    | wire.Prompt
    | wire.Notice
    | wire.InputMode
    | wire.Login
    | wire.Profiles
    | wire.Offer
    | wire.Code
    | wire.Refused
    | wire.Bye
)
_OUTPUTS: Final = (
    wire.Text,
    wire.Formatted,
    wire.Data,
    wire.Binary,
    wire.Prompt,
    wire.Notice,
)


class ClientCore:
    """The protocol of one session over any number of connections."""

    def __init__(self, state: State | None = None, client: str = "holdfast") -> None:
        self.state = state or State()
        self.heartbeat_seconds = 30.0
        self.online = False
        self.quitting = False
        """Whether `quit` was called and the session is not known to have ended."""
        self.over = False
        """Whether the session to end no longer exists: close the connection for good."""
        self._client = commands.text("client", client)[: wire.NAME_CHARS_MAX]
        self._out: list[bytes] = []
        self._acked = 0
        self._given = 0
        """The newest command that was sent on this connection."""
        self._has_quit = False
        """Whether the end of the session was sent on this connection."""
        self._fresh = True
        """Whether nothing of this session is shown: an epoch and a position mean nothing then."""
        self._code = ""
        self._size = (0, 0)
        self._bytes_max = wire.BYTES_MAX
        """The largest message that the gateway takes."""

    # --- connecting

    def connected(self) -> None:
        """A new connection is open."""
        self.online = False
        self._out.clear()
        self._say_hello()

    def _say_hello(self) -> None:
        state = self.state
        state.attempts += 1
        knows_place = not (self._fresh or self._code)
        self._say(
            wire.Hello(
                token="" if self._code else state.token,
                acked=state.acknowledged if state.token and not self._code else 0,
                code=self._code,
                epoch=state.epoch if knows_place else "",
                last=state.last if knows_place else 0,
                attempt=state.attempts,
                client=self._client,
                width=self._size[0],
                height=self._size[1],
            )
        )

    def resume(self, code: str) -> None:
        """Take over the session of this resume code at the next connection.

        If the code is refused, the current session continues. Raises `TypeError` or
        `ValueError`.
        """
        commands.check_size("code", wire.Hello(code=commands.text("code", code)), self._bytes_max)
        self._code = code

    # --- receiving

    def receive(self, message: str | bytes) -> list[Event]:
        """The events in one message. Raises `ServerFaultError`."""
        try:
            decoded = _decode(message)
        except msgspec.MsgspecError as error:
            raise ServerFaultError(f"a malformed message: {error}") from error
        if isinstance(decoded, _OUTPUTS):
            return self._output(decoded)
        match decoded:
            case wire.Skip() | wire.Acked() | wire.Resend() | wire.Token() | wire.Pong():
                self._note(decoded)
                return []
            case wire.Welcome() | wire.Resumed() | wire.Reset():
                return self._enter(decoded)
            case wire.Refused():
                return self._refused(decoded)
            case wire.Bye():
                return self._leave(decoded)
            case _:
                return [decoded]

    def _note(self, message: wire.Skip | wire.Acked | wire.Resend | wire.Token | wire.Pong) -> None:
        """Handle the messages that concern the core only."""
        match message:
            case wire.Skip(n):
                self._skip(n)
            case wire.Acked(c):
                self._acknowledged(c)
            case wire.Resend(c):
                self._resend(c)
            case wire.Token(token):
                self.state.token = token
            case wire.Pong():
                pass  # it was heard: that is all

    def _enter(self, message: wire.Welcome | wire.Resumed | wire.Reset) -> list[Event]:
        events: list[Event] = []
        new = isinstance(message, wire.Welcome)
        if self.state.sid and message.sid != self.state.sid:
            events += self._abandon("gone" if new else "left")
            self.quitting = False  # that was said to the other one
        state = self.state
        state.sid, state.token, state.epoch = message.sid, message.token, message.epoch
        self.heartbeat_seconds = message.heartbeat
        self._bytes_max = message.bytes_max
        self.online = True
        self._code = ""
        events.append(Online(state.sid, fresh=new))
        match message:
            case wire.Welcome(seq=seq):
                state.last = seq
            case wire.Resumed(first=first):
                if self._fresh:
                    state.last = first - 1
                elif first != state.last + 1:
                    raise ServerFaultError(f"resumed from {first}; expected {state.last + 1}")
            case wire.Reset(top=top, reason=reason):
                state.last = top
                events.append(Began(reason))
        self._fresh = False
        self._acked = state.last
        events += self._catch_up(0 if isinstance(message, wire.Welcome) else message.cin)
        self._given, self._has_quit = 0, False
        self._fill()
        return events

    def _catch_up(self, cin: int) -> list[Event]:
        """The gateway has every command up to `cin`: keep the others that it can take."""
        state = self.state
        events: list[Event] = []
        if cin < state.acknowledged:
            events.append(Uncertain(cin + 1, state.acknowledged))
        self._forget(cin)
        kept: list[Said] = []
        dropped: list[Said] = []
        for command in state.pending:
            (kept if commands.is_sayable(command, self._bytes_max) else dropped).append(command)
        if dropped:
            events.append(Dropped("refused", tuple(dropped)))
        # The server has not received the commands after a missing one: their numbers are free.
        self._renumber(kept, max(state.acknowledged, cin) + 1)
        return events

    def _renumber(self, kept: list[Said], first: int) -> None:
        state = self.state
        state.pending = commands.renumbered(kept, first)
        state.sent = first - 1 + len(kept)

    def _abandon(self, reason: str) -> list[Event]:
        """Forget the session and its commands."""
        pending = tuple(self.state.pending)
        self.state = State(attempts=self.state.attempts)
        self._fresh = True
        return [Dropped(reason, pending)] if pending else []

    def _refused(self, message: wire.Refused) -> list[Event]:
        """Handle a refused code or token.

        A wrong code: continue with the current session. A session that no longer exists: begin
        a new one, or none if the session was to end. Too many attempts: nothing is known yet.
        """
        events: list[Event] = [message]
        if message.retry_ms >= 0:
            return events
        if self._code:
            self._code = ""
        elif self.quitting:
            self.quitting, self.over = False, True
            return events + self._abandon("gone")
        else:
            events += self._abandon("gone")
            events.append(Began("expired"))
        self._say_hello()
        return events

    def _leave(self, bye: wire.Bye) -> list[Event]:
        events: list[Event] = [bye]
        if bye.reason == Reason.SUPERSEDED.value:
            # The token is another's now: shown again, it would be taken for a stolen one.
            self.quitting = False
            events += self._abandon("superseded")
        elif self.quitting and bye.retry_ms < 0:
            self.quitting = False
            # Commands of this session are for no other.
            if self.state.pending:
                events.append(Dropped("gone", tuple(self.state.pending)))
                self.state.pending.clear()
        return events

    def too_large(self) -> list[Event]:
        """Handle a close because of a message that was too large.

        The cause is the largest command in flight, which is dropped, and others continue.
        Return it; empty if there is none, and a reconnection is useless.
        """
        pending = self.state.pending
        given = [command for command in pending if command.c <= self._given]
        if not given:
            return []
        dropped = pending[commands.largest(given)]
        self._renumber([each for each in pending if each is not dropped], pending[0].c)
        return [Dropped("refused", (dropped,))]

    def _output(self, output: Any) -> list[Event]:
        n = output.n
        if n is not msgspec.UNSET:
            if n != self.state.last + 1:
                raise ServerFaultError(f"output {n} came after {self.state.last}")
            self._seen(n)
        return [output]

    def _skip(self, n: int) -> None:
        if n <= self.state.last:
            raise ServerFaultError(f"a skip to {n} came after output {self.state.last}")
        self._seen(n)

    def _seen(self, n: int) -> None:
        self.state.last = n
        if n - self._acked >= ACK_EACH:
            self.acknowledge()

    def _acknowledged(self, c: int) -> None:
        if c > self.state.sent:
            raise ServerFaultError(f"command {c} is acknowledged; {self.state.sent} were said")
        self._forget(c)
        self._fill()

    def _forget(self, c: int) -> None:
        self.state.pending = [command for command in self.state.pending if command.c > c]

    def _resend(self, c: int) -> None:
        if c <= self.state.acknowledged:
            # The server has forgotten commands and counts on from there (`Uncertain` reported it).
            self._renumber(self.state.pending, c)
        self._given = c - 1
        self._fill()

    def _fill(self) -> None:
        """Send the commands that fit into the window, and after the last one the end of the
        session."""
        if not self.online:
            return
        pending = self.state.pending
        if pending:
            first = pending[0].c
            upto = min(len(pending), IN_FLIGHT_MAX)
            for command in pending[max(0, self._given + 1 - first) : upto]:
                self._say(command)
            self._given = max(self._given, first + upto - 1)
        if self.quitting and not self._has_quit and (not pending or self._given >= pending[-1].c):
            self._has_quit = True
            self._say(wire.Quit())

    # --- sending

    @property
    def unacknowledged(self) -> bool:
        """Whether outputs were shown that are not acknowledged."""
        return self.online and self.state.last > self._acked

    def acknowledge(self) -> None:
        """Acknowledge the shown outputs."""
        self._acked = self.state.last
        self._say(wire.Ack(self._acked))

    def ping(self) -> None:
        """Give a sign of life, and ask for one."""
        self._acked = self.state.last
        self._say(wire.Ping(self._acked))

    def command(self, text: str) -> None:
        """Send a line. It is sent again until the server has it, and runs once.

        Raises `TypeError` or `ValueError` for a value that cannot be sent, and `BusyError` when
        too many commands wait, as `data` and `interrupt` do. Nothing is kept then.
        """
        self._number("command", wire.Command(self._next, commands.text("command", text)))

    def data(self, package: str, value: Any) -> None:
        """Send a structured message, as `command` does a line."""
        package = commands.text("package", package)
        encoded = commands.json("data", value)
        self._number("data", wire.DataCommand(self._next, package, encoded))

    def interrupt(self) -> None:
        """Ask to stop the running command."""
        self._number("interrupt", wire.InterruptCommand(self._next))

    def resize(self, width: int, height: int) -> None:
        """Tell the size of the screen, in characters. Raises `TypeError` or `ValueError`."""
        most = wire.CHARACTERS_MAX
        width, height = (
            commands.number("width", width, most),
            commands.number("height", height, most),
        )
        self._size = (width, height)
        if self.online:
            self._say(wire.Resize(width, height))

    def login(self, username: str, password: str) -> None:
        """Log in. Raises `TypeError` or `ValueError`, as `choose` does."""
        username = commands.text("username", username)
        self._answer("login", wire.LoginClaim(username, commands.text("password", password)))

    def choose(self, *, profile: str = "", name: str = "") -> None:
        """Choose a profile, or ask for a new one by name."""
        profile = commands.text("profile", profile)
        self._answer("choose", wire.Profile(profile, commands.text("name", name)))

    def take_offer(self) -> None:
        """Take up the session that was offered."""
        self._say(wire.ResumeOwn())

    def ask_code(self) -> None:
        """Ask for a resume code, to go on at another client."""
        self._say(wire.CodeWanted())

    def quit(self) -> None:
        """End the session after the commands before it; without a connection, at the next one.
        `State` does not include it: a later program resumes the session."""
        self.quitting = True
        self._fill()

    def take(self) -> list[bytes]:
        """Messages to be sent, once."""
        out, self._out = self._out, []
        return out

    @property
    def _next(self) -> int:
        return self.state.sent + 1

    def _number(self, what: str, command: Said) -> None:
        if len(self.state.pending) >= PENDING_MAX:
            raise BusyError(f"{PENDING_MAX} commands wait for the gateway; no more are taken")
        commands.check_size(what, command, self._bytes_max)
        self.state.sent = command.c
        self.state.pending.append(command)
        self._fill()

    def _answer(self, what: str, message: wire.ClientMessage) -> None:
        commands.check_size(what, message, self._bytes_max)
        self._say(message)

    def _say(self, message: wire.ClientMessage) -> None:
        self._out.append(_encode(message))


def may_return(code: int) -> bool:
    """Whether a client reconnects by itself after this WebSocket close code."""
    return code in (1001, 1005, 1006, 1011, 1012, 1013, 1014) or code >= RECONNECT_CODE_MIN
