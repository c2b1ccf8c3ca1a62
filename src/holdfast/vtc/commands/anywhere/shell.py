"""`shell`"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from holdfast.vtc.language.command import Args, Command, option
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.numbers import integer
from holdfast.vtc.language.patterns import PatternError, compile_pattern
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.scope import Scope
from holdfast.vtc.run.shell import run_shell

_EXAMPLE = """\
vtest "shell commands"

shell {echo hello >greeting}
shell -expect "hello" {cat greeting}
shell -match "^[a-z]+$" {cat greeting}
shell -exit 3 {exit 3}
shell -err {false}
"""


@dataclass(slots=True)
class _Wanted:
    """The expectations of the script about a command."""

    status: int | None = 0
    """`None`: anything but 0."""
    text: Token | None = None
    pattern: Token | None = None


def _wanted(args: Args) -> tuple[_Wanted, Token]:
    """Return the expectations and the command. Words after the command are ignored."""
    wanted = _Wanted()
    for given in args.walk():
        match given.flag:
            case "-err":
                wanted.status = None
            case "-exit":
                wanted.status = integer(given.values[0])
            case "-expect":
                wanted.text = given.values[0]
            case "-match":
                wanted.pattern = given.values[0]
            case _:
                return wanted, given.token
        if wanted.text is not None and wanted.pattern is not None:
            raise Failure("Cannot use -expect with -match", given.token.position())
    raise Failure("shell: the command is missing", args.name.position(), (args.usage(),))


async def _shell(scope: Scope[Any], args: Args) -> None:
    wanted, command = _wanted(args)
    if wanted.pattern is not None:
        _check_pattern(wanted.pattern)
    strict = "" if scope.case.settings.vtest1 else "set -e ;"
    line = f"{strict}exec 2>&1 ; {command}"
    scope.log.dump(4, "shell_cmd", line)
    try:
        status, written = await run_shell(scope.case, line.encode(ENCODING))
    except OSError as error:
        raise scope.failure(f"popen fails: {error.strerror}") from None
    if written.lost:
        scope.log.line(1, f"shell_out: the first {written.lost} bytes are left out")
    output = bytes(written).decode(ENCODING)
    scope.log.dump(4, "shell_out", output)
    said = Note("output", output)
    _check_status(scope, wanted, status, said)
    _check_output(scope, wanted, output, said)


def _check_pattern(pattern: Token) -> None:
    try:
        compile_pattern(pattern)
    except PatternError as error:
        raise Failure(f"shell_match invalid regexp ({error})", pattern.position()) from None


def _check_status(scope: Scope[Any], wanted: _Wanted, status: int, said: Note) -> None:
    """To the reference a command that a signal killed has exit status 0."""
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
    scope.log.line(4, f"shell_status = 0x{code:04x}")
    if os.WIFSIGNALED(status):
        scope.log.line(4, f"shell_signal = {os.WTERMSIG(status)}")
    if wanted.status is None:
        if status == 0:
            raise scope.failure("shell did not fail as expected", None, said)
    elif code != wanted.status:
        text = f"got 0x{code:04x} wanted 0x{wanted.status:04x}"
        raise scope.failure(f"shell_exit not as expected: {text}", None, said)
    scope.checked()


def _check_output(scope: Scope[Any], wanted: _Wanted, output: str, said: Note) -> None:
    if wanted.text is not None:
        if wanted.text not in output.partition("\0")[0]:
            raise scope.failure(f'shell_expect not found: ("{wanted.text}")', wanted.text, said)
        scope.log.line(4, "shell_expect found")
    elif wanted.pattern is not None:
        try:
            found = compile_pattern(wanted.pattern).search(output)
        except PatternError as error:
            raise scope.failure(f"shell_match: {error}", wanted.pattern, said) from None
        if not found:
            raise scope.failure(f'shell_match failed: ("{wanted.pattern}")', wanted.pattern, said)
        scope.log.line(4, "shell_match succeeded")


COMMANDS = (
    Command(
        name="shell",
        run=_shell,
        usage="[-err] [-exit NUMBER] [-expect STRING | -match PATTERN] COMMAND",
        text="Run a shell command in the test's directory and wait for it. Its standard error "
        "goes where its output goes. It must end with status 0.",
        options=(
            option("-err", "It must end with any other status."),
            option("-exit NUMBER", "It must end with this status."),
            option("-expect STRING", "Its output contains STRING."),
            option("-match PATTERN", "The pattern is found in its output."),
        ),
        words_min=1,
        words_max=None,
        ignores_rest=True,
        example=_EXAMPLE,
    ),
)
