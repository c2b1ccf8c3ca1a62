"""The client's side of `holdfast.v1` without I/O: numbers, acknowledges, resumes.

Pass it the messages of the server, send the result of `take`, and call `connected` for each new
connection. `State` is sufficient to resume after a restart of the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from holdfast.client import commands
from holdfast.client.commands import Dropped, Uncertain
from holdfast.client.handshake import Handshake
from holdfast.client.position import OutputPosition
from holdfast.client.queue import CommandQueue
from holdfast.client.state import ServerFaultError, State
from holdfast.core.errors import RECONNECT_CODE_MIN, Reason
from holdfast.protocols import holdfast_v1 as wire

ACK_SECONDS: Final = 1.0
"""How long an acknowledgement may wait for more outputs."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(wire.ServerMessage).decode


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
    | wire.Auth
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
        self.keep_seconds = 0.0
        """How long the gateway keeps the session without this client, as far as it said; or 0."""
        self.online = False
        self.quitting = False
        """Whether `quit` was called and the session is not known to have ended."""
        self.over = False
        """Whether the session to end no longer exists: close the connection for good."""
        self._out: list[bytes] = []
        self._handshake = Handshake(self.state, client)
        self._queue = CommandQueue(self.state)
        self._position = OutputPosition(self.state)
        self._has_quit = False
        """Whether the end of the session was sent on this connection."""

    # --- connecting

    def connected(self) -> None:
        """A new connection is open."""
        self.online = False
        self._out.clear()
        self._say(self._handshake.hello())

    def resume(self, code: str) -> None:
        """Take over the session of this resume code at the next connection.

        If the code is refused, the current session continues. Raises `TypeError` or
        `ValueError`.
        """
        commands.check_size(
            "code", wire.Hello(code=commands.text("code", code)), self._queue.bytes_max
        )
        self._handshake.code = code

    # --- receiving

    def receive(self, message: str | bytes) -> list[Event]:
        """The events in one message. Raises `ServerFaultError`."""
        try:
            decoded = _decode(message)
        except msgspec.MsgspecError as error:
            raise ServerFaultError(f"a malformed message: {error}") from error
        if isinstance(decoded, _OUTPUTS):
            if decoded.n is not msgspec.UNSET and self._position.receive(decoded.n):
                self.acknowledge()
            return [decoded]
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
                if self._position.skip(n):
                    self.acknowledge()
            case wire.Acked(c):
                if c > self.state.sent:
                    sent = self.state.sent
                    raise ServerFaultError(f"command {c} is acknowledged; {sent} were sent")
                self._queue.acknowledge(c)
                self._fill()
            case wire.Resend(c):
                self._queue.resend(c)
                self._fill()
            case wire.Token(token, keep_s):
                self.state.token = token
                self.keep_seconds = keep_s or self.keep_seconds
            case wire.Pong():
                pass  # any message shows that the connection is alive

    def _enter(self, message: wire.Welcome | wire.Resumed | wire.Reset) -> list[Event]:
        events: list[Event] = []
        new = isinstance(message, wire.Welcome)
        if self.state.sid and message.sid != self.state.sid:
            events += self._abandon("gone" if new else "left")
            self.quitting = False  # that was said to the other one
        state = self.state
        state.sid, state.token, state.epoch = message.sid, message.token, message.epoch
        self.heartbeat_seconds = message.heartbeat
        self.keep_seconds = message.keep_s or 0.0
        self._queue.bytes_max = message.bytes_max
        self.online = True
        self._handshake.code = ""
        events.append(Online(state.sid, fresh=new))
        match message:
            case wire.Welcome(seq=seq):
                self._position.begin(seq)
            case wire.Resumed(first=first):
                if not self._handshake.fresh and first != state.last + 1:
                    raise ServerFaultError(f"resumed from {first}; expected {state.last + 1}")
                self._position.begin(first - 1)
            case wire.Reset(top=top, reason=reason):
                self._position.begin(top)
                events.append(Began(reason))
        self._handshake.fresh = False
        events += self._queue.begin(0 if isinstance(message, wire.Welcome) else message.cin)
        self._has_quit = False
        self._fill()
        return events

    def _abandon(self, reason: str) -> list[Dropped]:
        """Forget the session and its commands."""
        dropped = self._queue.drop_all(reason)
        self.state.forget_session()
        self._handshake.fresh = True
        return dropped

    def _refused(self, message: wire.Refused) -> list[Event]:
        """Handle a refused code or token.

        A wrong code: continue with the current session. A session that no longer exists: begin
        a new one, or none if the session was to end. Too many attempts: nothing is known yet.
        """
        events: list[Event] = [message]
        if message.retry_ms >= 0:
            return events
        if self._handshake.code:
            self._handshake.code = ""
        elif self.quitting:
            self.quitting, self.over = False, True
            return [*events, *self._abandon("gone")]
        else:
            events += self._abandon("gone")
            events.append(Began("expired"))
        self._say(self._handshake.hello())
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
            events += self._queue.drop_all("gone")
        return events

    def too_large(self) -> list[Event]:
        """Handle a close because of a message that was too large.

        The cause is the largest command in flight, which is dropped, and others continue.
        Return it; empty if there is none, and a reconnection is useless.
        """
        dropped = self._queue.drop_largest()
        return [dropped] if dropped is not None else []

    def _fill(self) -> None:
        """Send the commands that fit into the window, and after the last one the end of the
        session."""
        if not self.online:
            return
        for command in self._queue.take():
            self._say(command)
        if self.quitting and not self._has_quit and self._queue.all_sent:
            self._has_quit = True
            self._say(wire.Quit())

    # --- sending

    @property
    def unacknowledged(self) -> bool:
        """Whether outputs were shown that are not acknowledged."""
        return self.online and self._position.unacknowledged

    def acknowledge(self) -> None:
        """Acknowledge the shown outputs."""
        self._say(wire.Ack(self._position.acknowledge()))

    def ping(self) -> None:
        """Send a ping, which the gateway answers, with an acknowledgement."""
        self._say(wire.Ping(self._position.acknowledge()))

    def command(self, text: str) -> None:
        """Send a line. It is sent again until the server has it, and runs once.

        Raises `TypeError` or `ValueError` for a value that cannot be sent, and `BusyError` when
        too many commands wait, as `data` and `interrupt` do. Nothing is kept then.
        """
        said = wire.Command(self._queue.next, commands.text("command", text))
        self._queue.append("command", said)
        self._fill()

    def data(self, package: str, value: Any) -> None:
        """Send a structured message, as `command` does a line."""
        package = commands.text("package", package)
        encoded = commands.json("data", value)
        self._queue.append("data", wire.DataCommand(self._queue.next, package, encoded))
        self._fill()

    def interrupt(self) -> None:
        """Ask to stop the running command."""
        self._queue.append("interrupt", wire.InterruptCommand(self._queue.next))
        self._fill()

    def resize(self, width: int, height: int) -> None:
        """Tell the size of the screen, in characters. Raises `TypeError` or `ValueError`."""
        most = wire.CHARACTERS_MAX
        width, height = (
            commands.number("width", width, most),
            commands.number("height", height, most),
        )
        self._handshake.size = (width, height)
        if self.online:
            self._say(wire.Resize(width, height))

    def login(self, username: str, password: str) -> None:
        """Log in. Raises `TypeError` or `ValueError`, as `choose` does."""
        username = commands.text("username", username)
        message = wire.LoginClaim(username, commands.text("password", password))
        commands.check_size("login", message, self._queue.bytes_max)
        self._say(message)

    def authenticate(self, token: str) -> None:
        """Give the token that proves who the user is: now if there is a connection, and at each
        later one. Raises `TypeError` or `ValueError`."""
        message = wire.AuthClaim(commands.text("token", token))
        commands.check_size("authenticate", message, self._queue.bytes_max)
        self._handshake.auth = token
        self._say(message)  # `connected` discards it, and `hello` has the token

    def choose(
        self, *, profile: str = "", name: str = "", properties: Mapping[str, str] | None = None
    ) -> None:
        """Choose a profile, or ask for a new one by name."""
        profile = commands.text("profile", profile)
        texts = {
            commands.text("properties", key): commands.text("properties", value)
            for key, value in (properties or {}).items()
        }
        message = wire.Profile(profile, commands.text("name", name), texts)
        commands.check_size("choose", message, self._queue.bytes_max)
        self._say(message)

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
        """Return the messages to send, once."""
        out, self._out = self._out, []
        return out

    def _say(self, message: wire.ClientMessage) -> None:
        self._out.append(_encode(message))


def may_return(code: int) -> bool:
    """Whether a client reconnects by itself after this WebSocket close code."""
    return code in (1001, 1005, 1006, 1011, 1012, 1013, 1014) or code >= RECONNECT_CODE_MIN
