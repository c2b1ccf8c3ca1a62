"""Runs a specification, command by command.

`prepare` imports, compiles and reads everything before the first command runs, so nothing
delays the commands.
"""

from __future__ import annotations

from typing import Any, TypeVar

from holdfast.vtc.language.command import Args
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.lexer import BAD_ESCAPE, cut
from holdfast.vtc.language.prepare import prepare_arguments
from holdfast.vtc.language.registry import find
from holdfast.vtc.language.source import PlacedCommand, Token
from holdfast.vtc.run.log import Logger
from holdfast.vtc.run.scope import Scope

S = TypeVar("S")

_SHOWN_CHARS_MAX = 60


async def play(scope: Scope[Any], spec: Token) -> None:
    """Run a specification, and show a time-out where it is. Raises `Failure` and `Skip`."""
    activities, actor = scope.case.activities, scope.log.actor
    outer = activities.get(actor)
    activities[actor] = scope
    await interpret(scope, spec)
    if outer:
        activities[actor] = outer
    else:
        del activities[actor]


async def interpret(scope: Scope[S], spec: Token) -> None:
    """Run the commands of `spec` in order. Stops early when the test has ended.

    Raises `Failure` with its position, and `Skip`.
    """
    outer = scope.position, scope.doing, scope.next_name
    commands = cut(spec).commands
    for number, command in enumerate(commands, 1):
        if scope.case.stopping:
            scope.log.line(1, "Aborting execution, test ended")
            break
        scope.position, scope.doing = command.position, command.line
        scope.began = scope.case.processor.now()
        scope.next_name = _name_of(commands[number]) if number < len(commands) else ""
        _announce(scope.log, scope.doing)
        try:
            await _run(scope, command)
        except Failure as failure:
            scope.case.record(scope.log, failure, scope.position)
            raise
    scope.position, scope.doing, scope.next_name = outer


def _name_of(command: PlacedCommand) -> str:
    return command.words[0] if command.words else ""


def _announce(log: Logger, line: str) -> None:
    more = "..." if len(line) > _SHOWN_CHARS_MAX else ""
    log.line(2, f"=== {line[:_SHOWN_CHARS_MAX]}{more}")


async def _run(scope: Scope[S], command: PlacedCommand) -> None:
    if command.failure is not None:
        raise command.failure
    for position in command.cut_at:
        scope.log.line(1, f"{position}: {BAD_ESCAPE}")
    if not command.words:
        return
    words = [scope.case.macros.expand(word) for word in command.words]
    found = find(scope.context, words[0])
    if found is None:
        raise Failure(f'Unknown command: "{words[0]}"', words[0].position())
    args = Args(found, words[0], words[1:])
    prepare_arguments(args, scope.context)
    await found.run(scope, args)
