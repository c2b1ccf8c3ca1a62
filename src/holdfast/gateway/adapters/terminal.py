"""The common part of Telnet and raw TCP clients: a user at a line terminal.

Such a client cannot acknowledge, number or present a token. The gateway's messages to it are
text, and it resumes by typing `resume CODE` as its first line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.core.errors import DISCONNECTS, Disconnect, Reason, sentence
from holdfast.core.ids import read_resume_code, show_resume_code
from holdfast.core.items import (
    OVERHEAD_BYTES,
    Binary,
    Data,
    Formatted,
    Notice,
    Output,
    Prompt,
    Text,
    utf8_bytes,
)
from holdfast.core.limits import KIB
from holdfast.core.rate import Rate
from holdfast.core.text import presentable
from holdfast.gateway.adapters.base import (
    Broken,
    ChooseProfile,
    Enter,
    Event,
    LoginGiven,
    LoginNeeded,
    ProfileWanted,
    Restart,
    ResumeOwn,
    Resumption,
    Welcomed,
    gone,
)
from holdfast.gateway.adapters.shown import notice, unforged, visible
from holdfast.gateway.adapters.styles import paint

_AHEAD_BYTES_MAX: Final = 128 * KIB
"""The most input that may be typed before the gateway's questions."""
_WAIT: Final = "wait"
_PERHAPS_SEEN: Final = "You may have seen this:"
_MISSED: Final = "You missed this:"
_ALL: Final = "That was all."
_LINES: Final = (Text, Formatted, Notice)
_KEPT: Final = (DISCONNECTS[Reason.FLOOD], DISCONNECTS[Reason.PROTOCOL_ERROR])
"""After which the session waits all the same, for a person who goes about it otherwise."""
_SHOWN: Final = (*_LINES, Prompt)
_RESUME: Final = "resume"
_RESUME_CHARS_MAX: Final = 64


class TerminalAdapter:
    """Text in and out. A subclass writes it: `_line`, `_prompt`, `_data`, `_bytes`, `_hide`."""

    __slots__ = (
        "_ahead",
        "_ahead_bytes",
        "_asking",
        "_code",
        "_early",
        "_encoded",
        "_first",
        "_headed",
        "_heading",
        "_maybe_delivered",
        "_missed",
        "_offered",
        "_profiles",
        "_prompted",
        "_raw",
        "_secret",
        "_username",
        "input_rate",
        "protocol",
    )

    numbered = False
    wants_code = True
    pings = False
    slice_bytes = 4 * KIB
    tokens = 0

    @property
    def wants_token(self) -> bool:
        return False

    @property
    def takes_tokens(self) -> bool:
        return self.wants_token

    def __init__(self, protocol: str, input_rate: Rate, *, raw: bool) -> None:
        self.protocol = protocol
        self._raw = raw
        """Whether text comes from a server that speaks to terminals: its controls are sent."""
        self.input_rate = input_rate
        self._early: list[str] | None = []
        """Lines that came before the client was ready for a session; `None` once it was."""
        self._ahead: list[str] = []
        """Lines that came before it is known whether the house or the application reads them."""
        self._ahead_bytes = 0
        self._code = ""
        self._first = True
        """Whether the next line is the connection's first: only that one may resume."""
        self._offered = False
        self._prompted = ""
        """The prompt that nobody has answered, if the cursor stands behind one."""
        self._secret = False
        self._maybe_delivered = 0
        """Outputs up to this number may have been seen before."""
        self._missed = 0
        """Outputs up to this number were missed."""
        self._headed = 0
        """Outputs up to this number stand under a heading."""
        self._heading = ""
        """The heading that the last line shown stands under."""
        self._encoded = 0
        """The number of the newest output that went through `encode`."""
        self._asking = _WAIT
        """The field that the next line answers: `username`, `password`, `profile` or, once the
        session is active, none; `wait` while that is unknown."""
        self._username = ""
        self._profiles: Sequence[str] = ()

    # --- what a subclass does

    def _line(self, text: str) -> bytes:
        """Whole lines of text, with their end."""
        raise NotImplementedError

    def _prompt(self, text: str) -> bytes:
        """Text that the cursor stays behind."""
        raise NotImplementedError

    def _data(self, package: str, json: str) -> bytes:
        """A structured message, where the protocol has any."""
        return b""

    def _bytes(self, data: bytes) -> bytes:
        """Bytes as they are, where the protocol has any."""
        return b""

    def _hide(self, hidden: bool) -> None:
        """Stop or start to show what the person types."""

    def _queue(self, data: bytes) -> None:
        """Send `data` with the next `data_to_send`."""
        raise NotImplementedError

    @property
    def _colors(self) -> int:
        return 0

    # --- inbound

    def _enter(self, enter: Enter) -> list[Event]:
        """The client is ready: its session, or the one that the person has asked for already."""
        lines, self._early = self._early or [], None
        if lines:
            code = _read_resume(lines[0])
            if code:
                self._first = False
                del lines[0]
                enter = Enter(code=code, or_new=True)
        return [enter, *(event for line in lines for event in self._read(line))]

    def _read(self, line: str) -> list[Event]:
        """What a typed line means."""
        self._prompted = ""
        if self._early is not None:
            self._early.append(line)
            return []
        event = self._read_resume(line)
        if event is not None:
            self._first = False
            self._asking = self._asking and _WAIT
            return [event]
        if self._asking == _WAIT:
            return self._keep(line)
        self._first = False
        if self._asking:
            return self._answer(line)
        self._offered = False
        return [Text(line)]

    def _read_resume(self, line: str) -> Enter | ResumeOwn | None:
        """Handle a line that names a session, where it is allowed.

        The first line is allowed in any input mode: an application that asks for a password at
        once does not know that its user resumes.
        """
        asked = self._offered or self._asking not in ("", _WAIT)
        if not self._first and (self._secret or not asked):
            return None
        code = _read_resume(line)
        if code:
            return Enter(code=code)
        return ResumeOwn() if code is not None and self._offered and not self._secret else None

    def _read_ahead(self) -> list[Event]:
        """What was typed before it was known what it answers."""
        if not self._ahead or self._asking == _WAIT:
            return []
        lines, self._ahead, self._ahead_bytes = self._ahead, [], 0
        return [event for line in lines for event in self._read(line)]

    def _keep(self, line: str) -> list[Event]:
        self._ahead.append(line)
        self._ahead_bytes += utf8_bytes(line) + OVERHEAD_BYTES
        if self._ahead_bytes <= _AHEAD_BYTES_MAX:
            return []
        disconnect = DISCONNECTS[Reason.FLOOD]
        self.goodbye(disconnect, disconnect.text, 0)
        return [Broken(Reason.FLOOD, "too much was typed ahead")]

    def _discard(self, most: str) -> None:
        """A line was too long, and nothing of it was taken."""
        prompt, self._prompted = self._prompted, ""
        self._first = False
        self._say(f"That line was too long and was not taken: a line has at most {most}.")
        if prompt:
            self._show_prompt(prompt)  # nobody has answered it

    def _answer(self, line: str) -> list[Event]:
        asking, self._asking = self._asking, _WAIT
        answer = line.strip()
        if asking == "username":
            self._username = answer
            self._ask("password", "Password: ", secret=True)
            return []
        if asking == "password":
            self._end_secret()
            return [LoginGiven(username=self._username, password=line)]
        if answer.isdecimal() and 0 < int(answer) <= len(self._profiles):
            return [ProfileWanted(id=self._profiles[int(answer) - 1])]
        return [ProfileWanted(name=answer)]

    # --- outbound items

    def encode(self, first: int, items: Sequence[Output | None]) -> bytes:
        parts = []
        for number, item in enumerate(items, first):
            if item is not None and (number <= self._headed or self._heading):
                parts.append(self._head(number, item))
            if type(item) is Text and not self._prompted:
                parts.append(self._line(self._shown(item.text)))
            elif item is not None:
                parts.append(self._encode_other(item))
        self._encoded = first + len(items) - 1
        return b"".join(parts)

    def _head(self, number: int, item: Output) -> bytes:
        """The heading that `item` stands under, if that is another one."""
        heading = ""
        if number <= self._maybe_delivered:
            heading = _PERHAPS_SEEN
        elif number <= self._missed:
            heading = _MISSED
        # Only lines are worth a heading; before the next prompt it is closed, too.
        if heading == self._heading or not isinstance(item, _LINES if heading else _SHOWN):
            return b""
        self._heading = heading
        return self._notice(heading or _ALL)

    def encode_volatile(self, item: Output) -> bytes:
        return self._encode_other(item)

    def _encode_other(self, item: Output) -> bytes:
        match item:
            case Text(text):
                return self._fresh() + self._line(self._shown(text))
            case Formatted(text, spans):
                painted = unforged(paint(text, spans, self._colors))
                return self._fresh() + self._line(painted)
            case Prompt(text) if text == self._prompted:
                return b""  # it stands there
            case Prompt(text):
                fresh, self._prompted = self._fresh(), text
                return fresh + self._prompt(self._shown(text))
            case Notice(text):
                return self._notice(text)
            case Data(package, json):
                return self._data(package, json)
            case Binary(data):
                return self._bytes(data)

    def _shown(self, text: str) -> str:
        """Text of others. What a server behind us says is made for terminals."""
        if self._raw or (text.isprintable() and "*" not in text):
            return text
        return unforged(visible(text))

    def _fresh(self) -> bytes:
        """Leave the line of a prompt that nobody has answered."""
        if not self._prompted:
            return b""
        self._prompted = ""
        return self._line("")

    def _notice(self, text: str) -> bytes:
        return self._fresh() + self._line(notice(text))

    def _say(self, text: str) -> None:
        self._queue(self._notice(text))

    # --- what happens to the session

    def welcome(self, welcomed: Welcomed) -> None:
        self._say_code(welcomed.code)

    def begin_session(self) -> None:
        self._asking = ""

    def resume(self, resumption: Resumption) -> None:
        self._first = False
        self._missed = self._headed = resumption.last
        self._encoded = resumption.first - 1
        self._maybe_delivered, self._heading = 0, ""  # of another session
        self._say("Welcome back. Your session goes on.")
        for line in gone(resumption, "line"):
            self._say(line)

    def mark_maybe_delivered(self, upto: int) -> None:
        self._maybe_delivered = upto
        self._headed = max(upto, self._missed)

    def caught_up(self, resumption: Resumption) -> None:
        prompt = self._prompted
        if self._heading:
            self._say(_ALL)
        elif self._encoded >= resumption.last:
            told = resumption.lost or resumption.unsure or resumption.assumed_seconds
            self._say("You missed nothing else." if told else "You missed nothing.")
        self._heading = ""
        self._say_code(resumption.code)
        if prompt:
            self._show_prompt(prompt)

    def restart(self, restart: Restart) -> None:
        raise AssertionError("a client that does not count is never ahead")

    def refuse(self, text: str, retry_seconds: float | None = None) -> None:
        self._first = True
        self._say(f"That does not resume a session: {text}.")

    def offer(self, text: str) -> None:
        self._offered = True
        self._say(f'{text} To take it up, type "resume".')

    def acknowledge(self, cin: int) -> None:
        raise AssertionError("a client that does not number is told of no numbers")

    def heartbeat(self) -> None:
        raise AssertionError("a client that cannot be pinged")

    def ask_resend(self, c: int) -> None:
        raise AssertionError("a client that does not number cannot leave a gap")

    def tell_code(self, code: str) -> None:
        raise AssertionError("a terminal is shown its code unasked")

    def tell_token(self, sid: str, token: str, epoch: str, seq: int) -> None:
        raise AssertionError("a client that does not count needs no token")

    def set_input_mode(self, mode: str) -> None:
        secret = mode == "secret"
        if secret is not self._secret:
            self._secret = secret
            self._hide(secret)

    def ask_login(self, need: LoginNeeded) -> None:
        if need.error:
            self._say(need.error)
        self._ask("username", "Name: ")

    def ask_profile(self, choice: ChooseProfile) -> None:
        if choice.error:
            self._say(choice.error)
        self._profiles = [profile.id for profile in choice.profiles]
        for number, profile in enumerate(choice.profiles, 1):
            summary = f" - {profile.summary}" if profile.summary else ""
            self._queue(self._line(visible(f"{number:3}  {profile.name}{summary}")))
        self._ask("profile", "Choose a number, or type a new name: ")

    def goodbye(self, disconnect: Disconnect, text: str, retry_seconds: float) -> bool:
        self._say(sentence(presentable(text)))
        if (disconnect.reconnect or disconnect in _KEPT) and self._code:
            self._say(f'Connect again and type "resume {self._code}".')
        return False

    def _ask(self, what: str, prompt: str, *, secret: bool = False) -> None:
        self._asking = what
        self._secret = secret
        self._hide(secret)
        self._show_prompt(prompt)

    def _show_prompt(self, prompt: str) -> None:
        self._queue(self._fresh() + self._prompt(prompt))
        self._prompted = prompt

    def _end_secret(self) -> None:
        self._secret = False
        self._hide(False)

    def _say_code(self, code: str) -> None:
        self._code = show_resume_code(code)
        self._say(f'If you are cut off, connect again and type "resume {self._code}".')


def _read_resume(line: str) -> str | None:
    """Return the code in the line `resume CODE`, empty if it has none; `None` for another line.

    Text without the shape of a code is for the application: "resume the quest".
    """
    if len(line) > _RESUME_CHARS_MAX:
        return None
    word, *rest = line.split(None, 1) or [""]
    if word.lower() != _RESUME:
        return None
    code = rest[0].rstrip() if rest else ""
    return code if not code or read_resume_code(code) is not None else None
