"""`holdfast connect`: a terminal client that reconnects by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
import sys
import termios
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Protocol

import typer

import holdfast
from holdfast.cli.keyboard import LINE_BYTES_MAX, typed_lines
from holdfast.cli.output import reported
from holdfast.client import client as websocket_client
from holdfast.client.commands import Dropped, Uncertain
from holdfast.client.core import Began, ClientCore, Online
from holdfast.client.lines import Hidden, Line, LineClient, NotSaid, Unfinished
from holdfast.client.places import Places, places
from holdfast.client.reconnector import Ended, Offline
from holdfast.core.errors import BusyError, ClosedError
from holdfast.core.ids import read_resume_code
from holdfast.core.limits import Limits
from holdfast.net.runtime.loop import run
from holdfast.net.tls.contexts import client_context
from holdfast.protocols import holdfast_v1 as wire
from holdfast.protocols.telnet import Terminal

_QUIT = ("/quit", "/exit")
_LAST_WORDS_SECONDS = 1.0
"""The time for the application to answer the last line at the end of input."""
_UNSAID_SECONDS_MAX = 60.0
"""The time for the gateway to accept the last lines at the end of input."""


class Session(Protocol):
    """The operations of a client for the terminal, for all protocols."""

    @property
    def unsaid(self) -> int: ...
    def command(self, text: str) -> None: ...
    def interrupt(self) -> None: ...
    def resize(self, width: int, height: int) -> None: ...
    async def room(self) -> None: ...
    async def drain(self) -> None: ...
    def __aiter__(self) -> AsyncIterator[object]: ...
    async def run(self) -> None: ...


def connect(
    url: Annotated[
        list[str],
        typer.Argument(help="Where the gateway is; several share a database.", metavar="URL..."),
    ],
    ca: Annotated[
        str | None, typer.Option("--ca", help="Authorities to trust, a PEM file.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Trust any certificate. For trying out only.")
    ] = False,
) -> None:
    """Connect a terminal to a gateway; it reconnects and resumes by itself.

    Ctrl-C asks the application to stop the running command; twice, or Ctrl-D, leaves.

    Examples:

        holdfast connect ws://127.0.0.1:8080/

        holdfast connect telnets://game.example.org:4443

        holdfast connect wss://a.example.org/ wss://b.example.org/
    """
    with reported():
        gateways = places(url)
        tls = client_context(ca, verify=not insecure) if gateways.secure else None
        run(_talk(gateways, tls))


async def _talk(gateways: Places, tls: ssl.SSLContext | None) -> None:
    limits = Limits()
    session: Session
    if gateways.current.scheme in ("ws", "wss"):
        core = ClientCore(client=f"holdfast-connect {holdfast.__version__}")
        session = websocket_client.Client(gateways, core, limits, tls)
    else:
        width, height = shutil.get_terminal_size()
        kind = os.environ.get("TERM", "dumb")
        screen = Terminal("holdfast-connect", holdfast.__version__, kind, width, height)
        session = LineClient(gateways, limits, tls, screen)
    screen_ = _Screen(session)
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(session.run()),
            tasks.create_task(screen_.read_keyboard()),
        ]
        with screen_.signals():
            try:
                await screen_.show()
                screen_.leave()
            finally:
                for task in running:
                    task.cancel()


class _Screen:
    """Standard input and output as keyboard and screen."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._shown = ""
        """The prompt before the cursor."""
        self._leaving = asyncio.Event()
        self._impatient = False
        self._online = self._met = False
        """Whether there is a connection, and whether there was ever one."""
        self._first = True
        """Whether nothing was typed yet: only the first line may resume, as at a terminal."""
        self._asked = ""
        """The field that the next line answers: `username`, `password`, `profile` or none."""
        self._username = ""
        self._profiles: dict[str, str] = {}
        """By number and by name: the profiles that there are."""

    async def read_keyboard(self) -> None:
        """Say each line that is typed, until the input ends."""
        waits = not sys.stdin.isatty()
        async for line in typed_lines():
            self._shown = ""
            self._impatient = False
            if line is None:
                self._not_sent(f"expected a line of at most {LINE_BYTES_MAX} bytes, found more")
                continue
            text = line.decode(errors="replace").rstrip("\r")
            try:
                await self._session.room()  # a file is read no faster than the gateway takes it
            except ClosedError:
                return  # the screen shows it
            try:
                self._say(text)
            except ValueError as error:  # too long; the next line may be sent
                self._not_sent(str(error))
            if text in _QUIT:
                waits = True
                break
        if waits:
            with contextlib.suppress(TimeoutError, ClosedError):
                async with asyncio.timeout(_UNSAID_SECONDS_MAX):
                    await self._session.drain()
            await asyncio.sleep(_LAST_WORDS_SECONDS)
        self._leaving.set()

    def _not_sent(self, why: str) -> None:
        self._line(f"--- not sent: {why}")
        sys.stdout.flush()

    def _say(self, text: str) -> None:
        session = self._session
        first, self._first = self._first, False
        if isinstance(session, websocket_client.Client):
            command, _, code = text.strip().partition(" ")
            if first and command.lower() == "resume" and read_resume_code(code) is not None:
                session.resume(code.strip())
                return
            if self._asked:
                self._answer(session, text)
                return
        session.command(text)

    def _answer(self, session: websocket_client.Client, text: str) -> None:
        """Handle the gateway's own questions, before there is an application."""
        asked, self._asked = self._asked, ""
        if asked == "username":
            self._username = text.strip()
            self._ask("password", "Password: ")
            _echo(False)
        elif asked == "password":
            _echo(True)
            self._line("")
            session.login(self._username, text)
        else:
            name = text.strip()
            session.choose(profile=self._profiles.get(name, ""), name=name)

    def _ask(self, what: str, prompt: str) -> None:
        self._asked = what
        self._prompt(prompt)

    async def show(self) -> None:
        """Show events until the session ends or the user leaves."""
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(self._show_events())
            leaving = tasks.create_task(self._leaving.wait())
            await asyncio.wait((showing, leaving), return_when=asyncio.FIRST_COMPLETED)
            showing.cancel()
            leaving.cancel()

    def leave(self) -> None:
        """Report typed lines that are not sent."""
        unsaid = self._session.unsaid
        if unsaid and not self._online:
            lines = "line was" if unsaid == 1 else "lines were"
            kept = "; your session waits as long as the gateway keeps it" if self._met else ""
            self._line(f"--- not connected: {unsaid} {lines} not sent{kept}")

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Ctrl-C and the window's size, while the block runs; echo is restored after it."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupted)
        loop.add_signal_handler(signal.SIGWINCH, self._resized)
        self._resized()
        try:
            yield
        finally:
            _echo(True)

    def _interrupted(self) -> None:
        if self._impatient:
            self._leaving.set()
        self._impatient = True
        with contextlib.suppress(
            BusyError
        ):  # else it would wait behind the commands that it is to stop
            self._session.interrupt()

    def _resized(self) -> None:
        if sys.stdout.isatty():
            width, height = os.get_terminal_size()
            self._session.resize(width, height)

    async def _show_events(self) -> None:
        async for event in self._session:
            self._show(event)
            sys.stdout.flush()

    def _show(self, event: object) -> None:  # noqa: C901 - a case an event
        match event:
            case wire.Text(d=text) | wire.Formatted(d=text):
                self._line(text)
            case Line(text):
                self._complete(text)
            case wire.Notice(d=text):
                self._line(f"*** {text}")
            case wire.Prompt(d=text) | Unfinished(text):
                self._prompt(text)
            case wire.InputMode(d=mode):
                _echo(mode != "secret")
            case Hidden(hidden):
                _echo(not hidden)
            case wire.Login(error=error):
                self._line(f"--- please log in. {error}".rstrip())
                self._ask("username", "Name: ")
            case wire.Profiles(d=profiles, error=error):
                self._line(f"--- please choose a profile. {error}".rstrip())
                self._list(profiles)
                self._ask("profile", "Choose a number, or type a new name: ")
            case wire.Refused(reason=reason):
                self._line(f"--- that does not resume a session: {reason}")
            case wire.Offer(d=text):
                self._line(f"*** {text}")
            case Began(reason):
                self._line(f"--- some output was lost ({reason}); from here on it is whole again")
            case Dropped(reason, commands):
                for command in commands:
                    said = command.d if isinstance(command, wire.Command) else ""
                    self._line(f"--- not known to be done ({reason}): {said:.100}".rstrip())
            case NotSaid(lines):
                for text in lines:
                    self._line(f"--- not sent, as its session is gone: {text:.100}")
            case Uncertain(first, last):
                self._line(f"--- the gateway has forgotten commands {first} to {last}")
            case Offline(reason, seconds):
                self._online = False
                self._line(f"--- cut off: {reason}; trying again in {seconds:.1f} s")
            case Online():
                self._online = self._met = True
                self._line("--- connected")
            case Ended(reason):
                self._met = False  # it does not wait any more
                self._line(f"--- the end: {reason}")
            case _:
                pass

    def _list(self, profiles: tuple[Any, ...]) -> None:
        self._profiles = {}
        for number, profile in enumerate(profiles, 1):
            self._profiles |= {str(number): profile["id"], profile["name"]: profile["id"]}
            self._line(f"{number:3}  {profile['name']} {profile.get('summary', '')}".rstrip())

    def _line(self, text: str) -> None:
        # The prompt moves up with its line.
        lead = "\n" if self._shown else ""
        self._shown = ""
        sys.stdout.write(f"{lead}{text}\n")

    def _complete(self, text: str) -> None:
        """Show a line, of which the beginning may be shown already."""
        if self._shown and text.startswith(self._shown):
            sys.stdout.write(f"{text.removeprefix(self._shown)}\n")
            self._shown = ""
        else:
            self._line(text)

    def _prompt(self, text: str) -> None:
        lead = "\r\x1b[K" if self._shown else ""
        self._shown = text
        sys.stdout.write(f"{lead}{text}")
        sys.stdout.flush()  # without a line's end, it would wait for one


def _echo(on: bool) -> None:
    """Show or hide typed input."""
    if not sys.stdin.isatty():
        return
    attributes = termios.tcgetattr(sys.stdin)
    attributes[3] = attributes[3] | termios.ECHO if on else attributes[3] & ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, attributes)
