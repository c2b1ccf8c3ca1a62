"""The common part of Telnet and raw TCP clients: a user at a line terminal.

Such a client cannot acknowledge, number or present a token. The gateway's messages to it are
text, and it resumes by typing `resume CODE` as its first line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from holdfast.core.errors import DISCONNECTS, Disconnect, Reason, sentence
from holdfast.core.identity import NO_FACTS
from holdfast.core.ids import show_resume_code
from holdfast.core.items import Text
from holdfast.core.limits import KIB
from holdfast.core.rate import Rate
from holdfast.core.text import presentable, typed_line
from holdfast.gateway.adapters.ansi_spans import SpanReader
from holdfast.gateway.adapters.events import Broken, Enter, Event, LoginGiven
from holdfast.gateway.adapters.headings import ALL, Headings
from holdfast.gateway.adapters.notifications import (
    Acknowledged,
    CaughtUp,
    ChooseProfile,
    ClaimRefused,
    CodeIssued,
    CredentialNeeded,
    InputModeChanged,
    InvitationIssued,
    LoginNeeded,
    MaybeDelivered,
    Notification,
    ResendNeeded,
    Restart,
    Resumption,
    SessionActive,
    SessionOffered,
    TokenIssued,
    ViewersChanged,
    WatchedResized,
    Watching,
    Welcomed,
    gone,
)
from holdfast.gateway.adapters.screen import Screen
from holdfast.gateway.adapters.shown import visible
from holdfast.gateway.adapters.snapshot import TerminalSnapshot
from holdfast.gateway.adapters.typed import Asking, Typed

_KEPT: Final = (DISCONNECTS[Reason.FLOOD], DISCONNECTS[Reason.PROTOCOL_ERROR])
"""Disconnects after which the session stays, so that the user may resume it."""


class Undecoded(Protocol):
    """What keeps the part of a client's input that is no line yet."""

    @property
    def pending(self) -> int:
        """Its size in bytes."""

    def discard_input(self) -> None:
        """Drop it."""


class TerminalAdapter(Screen):
    """A person in front of a `Screen`. A subclass hides what is typed, too: `_hide`."""

    __slots__ = ("_code", "_lines", "_secret", "_typed", "input_rate", "protocol")

    numbered = False
    wants_code = True
    takes_credentials = False
    facts = NO_FACTS
    credential = ""
    forwarded: Sequence[str] = ()
    handshake_failed = False
    pings = False
    slice_bytes = 1 * KIB
    unread = False

    def __init__(
        self, protocol: str, input_rate: Rate, *, raw: bool, spans: SpanReader | None = None
    ) -> None:
        super().__init__(raw=raw, spans=spans)
        self.protocol = protocol
        self.input_rate = input_rate
        self._typed = Typed()
        self._lines = 0
        """How many have come."""
        self._code = ""
        """The resume code that was shown last."""
        self._secret = False
        """Whether typed input is hidden."""

    @property
    def tokens(self) -> int:
        return self._lines

    @property
    def _undecoded(self) -> Undecoded:
        """What decodes its input."""
        raise NotImplementedError

    @property
    def pending(self) -> int:
        return self._undecoded.pending + self._typed.pending

    def discard_input(self) -> None:
        self._undecoded.discard_input()
        self._typed.discard()

    @property
    def wants_token(self) -> bool:
        return False

    @property
    def takes_tokens(self) -> bool:
        return self.wants_token

    def _hide(self, hidden: bool) -> None:
        """Hide typed input, or show it again."""

    def _snapshot(self) -> TerminalSnapshot:
        """The part of `snapshot` that all terminals share."""
        headings = self._headings
        return TerminalSnapshot(
            prompted=self._prompted,
            headings=headings.snapshot() if headings is not None else None,
            encoded=self._encoded,
            typed=self._typed.snapshot(),
            code=self._code,
            secret=self._secret,
            lines=self._lines,
        )

    def _restore(self, taken: TerminalSnapshot) -> None:
        self._prompted, self._encoded = taken.prompted, taken.encoded
        self._headings = Headings.restore(taken.headings) if taken.headings is not None else None
        self._typed.restore(taken.typed)
        self._code, self._secret = taken.code, taken.secret
        self._lines = taken.lines

    # --- inbound

    def _enter(self, enter: Enter) -> list[Event]:
        """The client is ready: its session, or the one that the person has asked for already."""
        enter, lines = self._typed.ready(enter)
        return [enter, *(event for line in lines for event in self._read(line))]

    def _read(self, line: str) -> list[Event]:
        """Return the events of a typed line."""
        self._prompted = ""
        self._lines += 1
        if not self._raw:
            line = typed_line(line)
        typed = self._typed
        before = typed.asking
        event = typed.read(line, secret=self._secret)
        if type(event) is Text:
            return [event]
        if event is None:
            if typed.asking is not before:
                self._ask(typed.asking, "Password: ", secret=True)
            return []
        if type(event) is LoginGiven:
            self._secret = False
            self._hide(False)
        elif type(event) is Broken:
            self._break(event.reason)
        return [event]

    def _read_ahead(self) -> list[Event]:
        """Return the events of lines that came before their meaning was known."""
        typed = self._typed
        if typed.ahead is None:
            return []
        return [event for line in typed.take_ahead() for event in self._read(line)]

    def _break(self, reason: Reason, text: str = "") -> Broken:
        """The client violated the protocol or a limit: tell the user, and end the connection."""
        disconnect = DISCONNECTS[reason]
        self.goodbye(disconnect, text or disconnect.text, 0)
        return Broken(reason, text)

    def _discard(self, most: str) -> None:
        """Tell the user that a line was too long and was discarded."""
        prompt, self._prompted = self._prompted, ""
        self._typed.first = False
        self._say(f"That line was too long and was not taken: a line has at most {most}.")
        if prompt:
            self._show_prompt(prompt)  # nobody has answered it

    # --- what happens to the session

    def notify(self, notification: Notification) -> None:  # noqa: C901 - one case for each
        match notification:
            case Welcomed(code=""):
                pass  # the session cannot be resumed
            case Welcomed():
                self._say_code(notification.code)
            case SessionActive():
                self._typed.asking = Asking.NOTHING
            case Resumption():
                self._resume(notification)
            case CaughtUp(resumption):
                self._catch_up(resumption)
            case MaybeDelivered(upto):
                if self._headings is None:
                    self._headings = Headings()
                self._headings.maybe_delivered = upto
            case ClaimRefused(text):
                self._typed.first = True
                self._say(f"That does not resume a session: {text}.")
            case SessionOffered(text):
                self._typed.offered = True
                self._say(f'{text} To take it up, type "resume".')
            case InputModeChanged(mode):
                self._set_secret(mode == "secret")
            case LoginNeeded(error):
                if error:
                    self._say(error)
                self._ask(Asking.USERNAME, "Name: ")
            case ChooseProfile():
                self._ask_profile(notification)
            case ViewersChanged(invitations):
                count = sum(len(one.viewers) for one in invitations)
                self._say(f"Viewers of this session: {count}.")
            case (
                Restart()
                | TokenIssued()
                | Acknowledged()
                | ResendNeeded()
                | CodeIssued()
                | CredentialNeeded()
            ):
                raise AssertionError(f"not for a client that does not count: {notification}")
            case InvitationIssued() | Watching() | WatchedResized():
                raise AssertionError(f"not for a client of lines: {notification}")

    def _resume(self, resumption: Resumption) -> None:
        self._typed.first = False
        self._headings = Headings(resumption.last)
        self._encoded = resumption.first - 1
        self._say("Welcome back. Your session goes on.")
        for line in gone(resumption, "line"):
            self._say(line)

    def _catch_up(self, resumption: Resumption) -> None:
        prompt, headings = self._prompted, self._headings
        if headings is not None and headings.now:
            self._say(ALL)
            headings.now = ""
        elif self._encoded >= resumption.last:
            told = resumption.lost or resumption.unsure or resumption.assumed_seconds
            self._say("You missed nothing else." if told else "You missed nothing.")
        self._say_code(resumption.code)
        if prompt:
            self._show_prompt(prompt)

    def _set_secret(self, secret: bool) -> None:
        if secret is not self._secret:
            self._secret = secret
            self._hide(secret)

    def _ask_profile(self, choice: ChooseProfile) -> None:
        if choice.error:
            self._say(choice.error)
        self._typed.profiles = [profile.id for profile in choice.profiles]
        for number, profile in enumerate(choice.profiles, 1):
            summary = f" - {profile.summary}" if profile.summary else ""
            self._queue(self._line(visible(f"{number:3}  {profile.name}{summary}")))
        self._ask(Asking.PROFILE, "Choose a number, or type a new name: ")

    def heartbeat(self) -> None:
        raise AssertionError("a client at a terminal cannot be pinged")

    def goodbye(self, disconnect: Disconnect, text: str, retry_seconds: float) -> bool:
        self._say(sentence(presentable(text)))
        if (disconnect.reconnect or disconnect in _KEPT) and self._code:
            self._say(f'Connect again and type "resume {self._code}".')
        return False

    def _ask(self, what: Asking, prompt: str, *, secret: bool = False) -> None:
        self._typed.asking = what
        self._secret = secret
        self._hide(secret)
        self._show_prompt(prompt)

    def _say_code(self, code: str) -> None:
        self._code = show_resume_code(code)
        self._say(f'If you are cut off, connect again and type "resume {self._code}".')
