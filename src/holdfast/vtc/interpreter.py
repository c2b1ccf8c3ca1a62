"""Runs a specification: command by command, each read only when the one before it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from holdfast.vtc.command import Args, Context
from holdfast.vtc.errors import Failure, Note
from holdfast.vtc.lexer import BAD_ESCAPE, command_line, find_command, tokenise
from holdfast.vtc.log import Logger
from holdfast.vtc.registry import find
from holdfast.vtc.source import Position, Token

if TYPE_CHECKING:
    from holdfast.vtc.case import Case

S = TypeVar("S")

_SHOWN_CHARS_MAX = 60


class Scope(Generic[S]):
    """What a command can reach: its test, its log and the subject of its context.

    The subject is the HTTP session, the stream, the tunnel …; at top level it is the case.
    """

    def __init__(self, case: Case, context: Context, subject: S, log: Logger) -> None:
        self.case = case
        self.context = context
        self.subject = subject
        self.log = log
        self.position: Position | None = None
        """Of the command that is being run."""
        self.doing = ""
        """The first line of that command."""
        self.include_depth = 0

    def failure(self, reason: str, token: Token | None = None, *notes: Note) -> Failure:
        """A failure of this actor, logged now, to be raised."""
        return self.case.failure(
            self.log, reason, token.position() if token else self.position, notes
        )

    def checked(self) -> None:
        """Count the command that is being run as an expectation that held."""
        if self.position:
            self.case.checks.append(self.position)


async def interpret(scope: Scope[S], spec: Token) -> None:
    """Run the commands of `spec` in order. Stops early when the test has ended.

    Raises `Failure` with its position, and `Skip`.
    """
    outer = scope.position, scope.doing
    place = find_command(spec, 0)
    while place >= 0:
        if scope.case.stopping:
            scope.log.line(1, "Aborting execution, test ended")
            break
        scope.position = spec.position(place)
        scope.doing = command_line(spec, place)
        _announce(scope.log, scope.doing)
        try:
            command = tokenise(spec, place)
            for cut in command.cut_at:
                scope.log.line(1, f"{spec.position(cut)}: {BAD_ESCAPE}")
            if command.words:
                await _run(scope, [scope.case.macros.expand(word) for word in command.words])
        except Failure as failure:
            scope.case.record(scope.log, failure, scope.position)
            raise
        place = find_command(spec, command.end)
    scope.position, scope.doing = outer


def _announce(log: Logger, line: str) -> None:
    more = "..." if len(line) > _SHOWN_CHARS_MAX else ""
    log.line(2, f"=== {line[:_SHOWN_CHARS_MAX]}{more}")


async def _run(scope: Scope[S], words: list[Token]) -> None:
    command = find(scope.context, words[0])
    if command is None:
        raise Failure(f'Unknown command: "{words[0]}"', words[0].position())
    await command.run(scope, Args(command, words[0], words[1:]))
