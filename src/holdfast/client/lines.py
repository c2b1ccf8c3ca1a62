"""Resuming over Telnet, TCP, TLS and Unix sockets, for terminals.

Over Telnet, the client uses the GMCP package `Holdfast` and resumes exactly. Over the others,
it remembers the resume code that the gateway shows, and sends it.

Only a whole line of the gateway itself is taken as a code: a code in the text of another user
would lead into that user's session. Lines that were typed while disconnected wait until the
gateway has answered the code or the token: if the session no longer exists, they are sent to no
other.
"""

from __future__ import annotations

import re
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

import msgspec
from msgspec import Struct

from holdfast.client import commands
from holdfast.client.core import Online
from holdfast.client.gateway_addresses import GatewayAddresses, better_elsewhere
from holdfast.client.reconnector import LOST, ClientHandler, Ended, Offline, Reconnector
from holdfast.core.errors import DISCONNECTS, BusyError, sentence
from holdfast.core.limits import Limits
from holdfast.net.connection.connection import Connection
from holdfast.protocols import telnet
from holdfast.protocols.framing import LineDecoder, LineTooLong

_NOTICE: Final = "*** "
"""The beginning of the gateway's own lines."""
_CODE: Final = re.compile(
    r"\*\*\* (?:If you are cut off, connect|Connect) again and type"
    r' "resume ([0-9A-Z]{4}(?:-[0-9A-Z]{4})+)"\.'
)
_RESUMED: Final = "*** Welcome back."
_REFUSED: Final = "*** That does not resume a session: "
_REFUSED_FOR_NOW: Final = f"{_REFUSED}too many wrong attempts; try again later."
_LATER_SECONDS: Final = 10.0
_GOODBYES: Final = {sentence(disconnect.text): reason for reason, disconnect in DISCONNECTS.items()}
"""The last words after which the connection is closed."""
_SAID_MAX: Final = 256
_HELD_MAX: Final = 10_000
"""Events held back until it is known that they need not come again."""


class Line(Struct, frozen=True, gc=False):
    """A whole line."""

    text: str


class Unfinished(Struct, frozen=True, gc=False):
    """The text before the cursor so far: a prompt. A newer one replaces it."""

    text: str


class Hidden(Struct, frozen=True, gc=False):
    """Whether typed input should be hidden."""

    hidden: bool


class NotSaid(Struct, frozen=True):
    """Lines that are not sent, because their session no longer exists."""

    lines: tuple[str, ...]


LineEvent = Line | Unfinished | Hidden | NotSaid | Online | Offline | Ended


class _Place(Struct):
    """The position of a client, which is kept over its connections."""

    token: str = ""
    epoch: str = ""
    last: int = 0
    code: str = ""


class LineClient:
    """One session over a line protocol. `run` must run while it is used."""

    def __init__(
        self,
        gateways: GatewayAddresses,
        limits: Limits,
        tls: ssl.SSLContext | None,
        terminal: telnet.Terminal,
    ) -> None:
        self._limits = limits
        self._terminal = terminal
        self._place = _Place()
        self._unsaid: deque[str] = deque()
        self._telnet = gateways.current.scheme in ("telnet", "telnets")
        self._reconnector: Reconnector[LineEvent, _LineHandler] = Reconnector(
            gateways, self._make, limits, tls
        )

    def command(self, text: str) -> None:
        """Send a line; while disconnected, it waits for the next connection.

        Raises `TypeError` or `ValueError` for anything but a single line of text within the
        limits, and `BusyError` when too many lines wait.
        """
        self._check(text)
        if len(self._unsaid) >= _SAID_MAX:
            raise BusyError(f"{_SAID_MAX} lines wait for the gateway; no more are taken")
        self._unsaid.append(text)
        if self._reconnector.handler is not None:
            self._reconnector.handler.say()

    def _check(self, text: str) -> None:
        commands.text("command", text)
        if "\n" in text or "\r" in text:
            raise ValueError("command: expected one line, found an end of line in it")
        if self._telnet:
            size, most, unit = len(text), self._limits.telnet.line_chars_max, "characters"
        else:
            size, most, unit = len(text.encode()), self._limits.line.line_bytes_max, "bytes"
        if size > most:
            raise ValueError(f"command: expected at most {most} {unit}, found {size}")

    def interrupt(self) -> None:
        """Ask to stop the running command, if the protocol supports it."""
        if isinstance(self._reconnector.handler, _TelnetHandler):
            self._reconnector.handler.interrupt()

    def resize(self, width: int, height: int) -> None:
        """Tell the size of the screen, in characters, where the protocol can."""
        self._terminal = msgspec.structs.replace(self._terminal, width=width, height=height)
        if isinstance(self._reconnector.handler, _TelnetHandler):
            self._reconnector.handler.resize(width, height)

    @property
    def unsaid(self) -> int:
        """How many lines were not sent."""
        return len(self._unsaid)

    def __aiter__(self) -> AsyncIterator[LineEvent]:
        return self._reconnector.events()

    async def room(self) -> None:
        """Wait until another line can be sent. Raises `ClosedError` if the session ends."""
        await self._reconnector.wait_while(lambda: len(self._unsaid) >= _SAID_MAX)

    async def drain(self) -> None:
        """Wait until everything was sent. Raises `ClosedError` if the session ends."""
        await self._reconnector.wait_while(lambda: bool(self._unsaid))

    def reconnect(self) -> None:
        """Try now, instead of after the pause; a connection that is open is dropped."""
        self._reconnector.reconnect()

    async def run(self) -> None:
        """Keep the session connected until cancelled."""
        await self._reconnector.run()

    def _make(self, connection: Connection) -> _LineHandler:
        if self._telnet:
            core = telnet.TelnetClient(self._limits.telnet, self._terminal)
            return _TelnetHandler(connection, self._reconnector, self._place, self._unsaid, core)
        decoder = LineDecoder(self._limits.line.line_bytes_max)
        return _LineHandler(connection, self._reconnector, self._place, self._unsaid, decoder)


class _LineHandler(ClientHandler):
    """One connection that carries bare lines."""

    def __init__(
        self,
        connection: Connection,
        reconnector: Reconnector[LineEvent, _LineHandler],
        place: _Place,
        unsaid: deque[str],
        decoder: LineDecoder | None,
    ) -> None:
        super().__init__(connection)
        self._reconnector = reconnector
        self._place = place
        self._unsaid = unsaid
        self._decoder = decoder
        self._unfinished = ""
        self._answered = ""
        """The user has answered: the cursor is on the next line."""
        self._last_words = ""
        """The last line of the gateway itself, if nothing came after it."""
        self._over = False
        """Whether the gateway has closed its side."""
        self._claims = self._has_claim
        """Whether it is not known yet whether this is the session of before."""

    @property
    def _has_claim(self) -> bool:
        """Whether there is a session to resume."""
        return bool(self._place.code)

    def say(self) -> None:
        """Send the lines that wait."""
        while self.online and self._unsaid:
            self._write(self._unsaid.popleft())
            self._unfinished = ""
            self._answer()
        self._reconnector.moved()

    def _answer(self) -> None:
        assert self._decoder is not None
        self._answered = self._decoder.unfinished

    def _write(self, line: str) -> None:
        self.connection.write(line.encode() + b"\n")

    # --- Handler

    def connected(self) -> None:
        self.connection.established()
        if self._claims:
            self._write(f"resume {self._place.code}")
        else:
            self._come_online(fresh=True)

    def received(self, data: bytes) -> None:
        assert self._decoder is not None
        for line in self._decoder.receive_data(data):
            if self.retry_seconds:
                return  # this end has closed
            if isinstance(line, LineTooLong):
                self.reason = "the gateway sent a line that is too long"
                self.connection.abort()
                return
            self._show(line)
        self._show_unfinished(self._decoder.unfinished)

    def ended(self) -> None:
        self._over = True
        super().ended()

    def lost(self, cause: Exception | None) -> None:
        goodbye = _GOODBYES.get(self._last_words)
        if goodbye is not None:
            disconnect = DISCONNECTS[goodbye]
            self.reason = disconnect.text
            self.retry_seconds = 0.0 if disconnect.reconnect else None
            self.elsewhere = better_elsewhere(goodbye.value)
        elif self._over and self._last_words and self.reason == LOST:
            self.reason = self._last_words.removesuffix(".")
        self._reconnector.lost()

    # --- events

    def _come_online(self, *, fresh: bool) -> None:
        if self.online:
            return
        self.came_online()
        if fresh and self._claims and self._unsaid:
            lines = tuple(self._unsaid)
            self._unsaid.clear()
            self._reconnector.put(NotSaid(lines))
        self._claims = False
        self._reconnector.put(Online("", fresh=fresh))
        self.say()

    def _hear_answer(self, line: str) -> None:
        """Handle the gateway's answer to the code or the token."""
        if line.startswith(_RESUMED):
            self._come_online(fresh=False)
        elif line == _REFUSED_FOR_NOW:
            self.reason, self.retry_seconds = line.removeprefix(_REFUSED), _LATER_SECONDS
            self.connection.abort()
        elif line.startswith(_REFUSED):
            self._come_online(fresh=True)

    def _show(self, line: str) -> None:
        line = line.removeprefix(self._answered)
        match = _CODE.fullmatch(line)
        if self._claims:
            self._hear_answer(line)
        if match is not None:  # which does not make other words less the last ones
            self._place.code = match[1]
        elif line.startswith(_NOTICE):
            self._last_words = line.removeprefix(_NOTICE)
        else:
            self._last_words = ""
        self._put(Line(line))
        self._unfinished = self._answered = ""

    def _show_unfinished(self, text: str) -> None:
        text = text.removeprefix(self._answered)
        if text and text != self._unfinished:
            self._unfinished = text
            self._last_words = ""
            self._put(Unfinished(text))

    def _put(self, event: LineEvent) -> None:
        self._reconnector.put(event)


class _TelnetHandler(_LineHandler):
    """One Telnet connection."""

    def __init__(
        self,
        connection: Connection,
        reconnector: Reconnector[LineEvent, _LineHandler],
        place: _Place,
        unsaid: deque[str],
        core: telnet.TelnetClient,
    ) -> None:
        super().__init__(connection, reconnector, place, unsaid, None)
        self._core = core
        self._introduced = False
        self._prompted = False
        """Whether the cursor is after a prompt without an answer."""
        self._held: list[LineEvent] | None = None
        """The text after `Holdfast.Next`: if its `Holdfast.Seq` is lost, it is sent again."""

    def interrupt(self) -> None:
        """Send IP."""
        self._core.send_interrupt()
        self._send()

    def _answer(self) -> None:
        self._prompted = False

    @property
    def _has_claim(self) -> bool:
        return bool(self._place.token)

    def resize(self, width: int, height: int) -> None:
        """Send the window's size."""
        self._core.resize(width, height)
        self._send()

    def _write(self, line: str) -> None:
        self._core.send_text(line + "\n")
        self._send()

    def _send(self) -> None:
        data = self._core.data_to_send()
        if data:
            self.connection.write(data)

    def connected(self) -> None:
        self.connection.established()

    def received(self, data: bytes) -> None:
        for event in self._core.receive_data(data, self.connection.time()):
            self._handle(event)
        if not self._introduced:
            place = self._place
            hello: dict[str, str | int] = {}
            if place.token:
                hello = {"token": place.token, "epoch": place.epoch, "last": place.last}
            self._introduced = self._tell("Hello", hello)
        if self._held is None:
            self._show_unfinished(self._core.unfinished_line)
        self._send()

    def _put(self, event: LineEvent) -> None:
        if self._held is None:
            super()._put(event)
            return
        self._held.append(event)
        if len(self._held) == _HELD_MAX:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for event in held:
            self._put(event)

    def _handle(self, event: telnet.Event) -> None:
        match event:
            case str():
                # A gateway without GMCP has accepted us once it sends text.
                if not self._claims:
                    self._come_online(fresh=True)
                prompted, self._prompted = self._prompted, False
                if event or not prompted:  # else it only ends the prompt's line
                    self._show(event)
            case telnet.Prompt(text):
                self._prompted = True
                self._show_unfinished(text)
            case telnet.InputHidden(hidden):
                self._put(Hidden(hidden))
            case telnet.Gmcp(package, json):
                self._handle_gmcp(package.lower(), json)
            case telnet.Violation(fault):
                self.reason = fault.value
                self.connection.abort()
            case _:
                pass

    def _handle_gmcp(self, package: str, json: str) -> None:
        name = package.removeprefix("holdfast.")
        if name == package:
            return
        fields = msgspec.json.decode(json or "{}", type=dict[str, str | int])
        place = self._place
        match name:
            case "next":
                self._held = self._held or []
            case "seq":
                self._release()
                place.last = int(fields.get("n", place.last))
                self._tell("Ack", {"n": place.last})
            case "welcome" | "resumed" | "reset":
                place.token, place.epoch = str(fields["token"]), str(fields["epoch"])
                before = int(fields.get("from", 1)) - 1
                place.last = int(fields.get("seq", fields.get("top", before)))
                self._come_online(fresh=name == "welcome")
            case _:
                pass

    def _tell(self, message: str, fields: dict[str, str | int]) -> bool:
        return self._core.send_gmcp(f"Holdfast.{message}", msgspec.json.encode(fields).decode())
