"""The meaning of typed lines: input for the application, or answers to the gateway. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final

from holdfast.core.errors import Reason
from holdfast.core.ids import read_resume_code
from holdfast.core.items import OVERHEAD_BYTES, Text, utf8_bytes
from holdfast.core.limits import KIB
from holdfast.gateway.adapters.events import (
    Broken,
    Enter,
    Event,
    LoginGiven,
    ProfileWanted,
    ResumeOwn,
)
from holdfast.gateway.adapters.snapshot import TypedSnapshot

_AHEAD_BYTES_MAX: Final = 128 * KIB
"""The most input that may be typed before the gateway's questions."""
_DIGITS_MAX: Final = 9
"""Of the number of a profile. `int` refuses thousands of digits."""
_RESUME: Final = "resume"
_RESUME_CHARS_MAX: Final = 64


class Asking(Enum):
    """The question that the next line answers."""

    UNKNOWN = auto()
    """It is not known yet whether the gateway or the application reads it."""
    NOTHING = auto()
    """It is for the application."""
    USERNAME = auto()
    PASSWORD = auto()
    PROFILE = auto()


class Typed:
    """The lines of one person."""

    __slots__ = (
        "_ahead_bytes",
        "_username",
        "ahead",
        "asking",
        "early",
        "first",
        "offered",
        "profiles",
    )

    def __init__(self) -> None:
        self.early: list[str] | None = []
        """Lines that came before the client was ready for a session; `None` once it was."""
        self.ahead: list[str] | None = None
        """Lines that came while what they answer was unknown; `None` if there are none."""
        self._ahead_bytes = 0
        self.first = True
        """Whether the next line is the connection's first: only that one may resume."""
        self.offered = False
        """Whether another session of the same user is offered."""
        self.asking = Asking.UNKNOWN
        self._username = ""
        self.profiles: Sequence[str] = ()
        """The ids of the profiles to choose from, in the order shown."""

    def snapshot(self) -> TypedSnapshot:
        """What is known of the lines."""
        return TypedSnapshot(
            early=self.early,
            ahead=self.ahead,
            ahead_bytes=self._ahead_bytes,
            first=self.first,
            offered=self.offered,
            asking=self.asking.name,
            username=self._username,
            profiles=list(self.profiles),
        )

    def restore(self, taken: TypedSnapshot) -> None:
        """Go on where `taken` was made."""
        self.early, self.ahead = taken.early, taken.ahead
        self._ahead_bytes = taken.ahead_bytes
        self.first, self.offered = taken.first, taken.offered
        self.asking = Asking[taken.asking]
        self._username, self.profiles = taken.username, taken.profiles

    def ready(self, enter: Enter) -> tuple[Enter, list[str]]:
        """The client is ready: its session, or the one that the person has asked for already; and
        the lines that it has typed behind that."""
        lines, self.early = self.early or [], None
        if lines:
            code = _read_resume(lines[0])
            if code:
                self.first = False
                del lines[0]
                enter = Enter(code=code, or_new=True)
        return enter, lines

    def read(self, line: str, *, secret: bool) -> Event | None:
        """What a line means; `secret` is whether it was typed unseen.

        `None` if nothing comes of it yet: then `asking` may be another question.
        """
        if self.early is not None:
            self.early.append(line)
            return None
        asking = self.asking
        questioned = asking is not Asking.NOTHING and asking is not Asking.UNKNOWN
        # The first line may name a session in any input mode: an application that asks for a
        # password at once does not know that its user resumes.
        if self.first or (not secret and (self.offered or questioned)):
            event = self._read_resume(line, secret=secret)
            if event is not None:
                self.first = False
                if asking is not Asking.NOTHING:
                    self.asking = Asking.UNKNOWN
                return event
        if asking is Asking.UNKNOWN:
            return self._keep(line)
        self.first = False
        if questioned:
            return self._answer(line)
        self.offered = False
        return Text(line)

    @property
    def pending(self) -> int:
        """The bytes that were typed ahead of a question."""
        return self._ahead_bytes

    def discard(self) -> None:
        """Drop the lines that were typed ahead."""
        self.early, self.ahead, self._ahead_bytes = None, None, 0

    def take_ahead(self) -> Sequence[str]:
        """What was typed before it was known what it answers, if that is known now."""
        if self.ahead is None or self.asking is Asking.UNKNOWN:
            return ()
        lines, self.ahead, self._ahead_bytes = self.ahead, None, 0
        return lines

    def _read_resume(self, line: str, *, secret: bool) -> Enter | ResumeOwn | None:
        """What a line asks for that names a session."""
        code = _read_resume(line)
        if code:
            return Enter(code=code)
        return ResumeOwn() if code is not None and self.offered and not secret else None

    def _keep(self, line: str) -> Broken | None:
        if self.ahead is None:
            self.ahead = []
        self.ahead.append(line)
        self._ahead_bytes += utf8_bytes(line) + OVERHEAD_BYTES
        if self._ahead_bytes <= _AHEAD_BYTES_MAX:
            return None
        return Broken(Reason.FLOOD, "too much was typed ahead")

    def _answer(self, line: str) -> Event | None:
        asking, self.asking = self.asking, Asking.UNKNOWN
        answer = line.strip()
        if asking is Asking.USERNAME:
            self._username = answer
            self.asking = Asking.PASSWORD
            return None
        if asking is Asking.PASSWORD:
            return LoginGiven(username=self._username, password=line)
        chosen = answer.isdecimal() and len(answer) <= _DIGITS_MAX
        if chosen and 0 < int(answer) <= len(self.profiles):
            return ProfileWanted(id=self.profiles[int(answer) - 1])
        return ProfileWanted(name=answer)


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
