"""What a person types and what the gateway says, between a client and a screen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Protocol

from holdfast.cli.keyboard import LINE_BYTES_MAX
from holdfast.cli.terminal.screen import Screen
from holdfast.client import client as websocket_client
from holdfast.client.commands import Dropped, Uncertain
from holdfast.client.core import Began, Online
from holdfast.client.lines import Hidden, Line, NotSaid, Unfinished
from holdfast.client.reconnector import Ended, Offline
from holdfast.core.errors import BusyError, ClosedError
from holdfast.core.ids import read_resume_code
from holdfast.protocols import holdfast_v1 as wire

QUIT = ("/quit", "/exit")
"""The application is told, and the program ends."""
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


class Dialogue:
    """One session of a person at `screen`."""

    def __init__(self, session: Session, screen: Screen) -> None:
        self._session = session
        self._screen = screen
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
        waits = self._screen.waits
        async for text in self._screen.lines():
            self._impatient = False
            if text is None:
                await self._not_sent(
                    f"expected a line of at most {LINE_BYTES_MAX} bytes, found more"
                )
                continue
            try:
                await self._session.room()  # a file is read no faster than the gateway takes it
            except ClosedError:
                return  # the screen shows it
            try:
                self._say(text)
            except ValueError as error:  # too long; the next line may be sent
                await self._not_sent(str(error))
            if text in QUIT:
                waits = True
                break
        if waits:
            with contextlib.suppress(TimeoutError, ClosedError):
                async with asyncio.timeout(_UNSAID_SECONDS_MAX):
                    await self._session.drain()
            await asyncio.sleep(_LAST_WORDS_SECONDS)
        self._leaving.set()

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
            self._screen.own(f"--- not connected: {unsaid} {lines} not sent{kept}")

    def interrupted(self) -> None:
        """Ctrl-C: ask the application to stop its command; the second in a row leaves."""
        if self._impatient:
            self._leaving.set()
        self._impatient = True
        with contextlib.suppress(
            BusyError
        ):  # else it would wait behind the commands that it is to stop
            self._session.interrupt()

    def resized(self, width: int, height: int) -> None:
        """Tell the application the size of the terminal."""
        self._session.resize(width, height)

    async def _not_sent(self, why: str) -> None:
        self._screen.own(f"--- not sent: {why}")
        await self._screen.shown()

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
            self._screen.hide(True)
        elif asked == "password":
            self._screen.hide(False)
            self._screen.end_line()
            session.login(self._username, text)
        else:
            name = text.strip()
            session.choose(profile=self._profiles.get(name, ""), name=name)

    def _ask(self, what: str, prompt: str) -> None:
        self._asked = what
        self._screen.prompt(prompt)

    async def _show_events(self) -> None:
        async for event in self._session:
            self._show(event)
            await self._screen.shown()

    def _show(self, event: object) -> None:  # noqa: C901 - a case an event
        screen = self._screen
        match event:
            case wire.Text(d=text):
                screen.text(text)
            case wire.Formatted(d=text, s=spans):
                screen.text(text, spans)
            case Line(text):
                screen.complete(text)
            case wire.Notice(d=text):
                screen.text(f"*** {text}")
            case wire.Prompt(d=text) | Unfinished(text):
                screen.prompt(text)
            case wire.InputMode(d=mode):
                screen.hide(mode == "secret")
            case Hidden(hidden):
                screen.hide(hidden)
            case wire.Login(error=error):
                screen.own(f"--- please log in. {error}".rstrip())
                self._ask("username", "Name: ")
            case wire.Profiles(d=profiles, error=error):
                screen.own(f"--- please choose a profile. {error}".rstrip())
                self._list(profiles)
                self._ask("profile", "Choose a number, or type a new name: ")
            case wire.Refused(reason=reason):
                screen.own(f"--- that does not resume a session: {reason}")
            case wire.Offer(d=text):
                screen.text(f"*** {text}")
            case Began(reason):
                screen.own(f"--- some output was lost ({reason}); from here on it is whole again")
            case Dropped(reason, commands):
                for command in commands:
                    said = command.d if isinstance(command, wire.Command) else ""
                    screen.own(f"--- not known to be done ({reason}): {said:.100}".rstrip())
            case NotSaid(lines):
                for text in lines:
                    screen.own(f"--- not sent, as its session is gone: {text:.100}")
            case Uncertain(first, last):
                screen.own(f"--- the gateway has forgotten commands {first} to {last}")
            case Offline(reason, seconds):
                self._online = False
                screen.offline(reason, seconds)
            case Online():
                self._online = self._met = True
                screen.online()
            case Ended(reason):
                self._met = False  # it does not wait any more
                screen.own(f"--- the end: {reason}")
            case _:
                pass

    def _list(self, profiles: tuple[Any, ...]) -> None:
        self._profiles = {}
        for number, profile in enumerate(profiles, 1):
            self._profiles |= {str(number): profile["id"], profile["name"]: profile["id"]}
            self._screen.own(f"{number:3}  {profile['name']} {profile.get('summary', '')}".rstrip())
