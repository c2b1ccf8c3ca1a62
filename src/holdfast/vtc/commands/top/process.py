"""`process`"""

from __future__ import annotations

import signal

from holdfast.vtc.actors.process import LogOutput, Process, signal_number
from holdfast.vtc.language.command import Args, Command, ParsedOption, option
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import integer, unhex, unsigned
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.child import OUTPUT_FILE_BYTES_MAX
from holdfast.vtc.run.scope import Scope
from holdfast.vtc.terminal.screen_checks import (
    dump_screen,
    expect_cursor,
    expect_text,
    match_text,
    need_bytes,
)

KEYS = {
    "NPAGE": b"\x1b[6~",
    "PPAGE": b"\x1b[5~",
    "HOME": b"\x1bOH",
    "END": b"\x1bOF",
}
SIDE_MIN, SIDE_MAX = 2, 1000
"""Lines and columns of a screen."""

_EXAMPLE = r"""
vtest "a program on a terminal"

process p1 {cat} -start
process p1 -writeln "hello"
process p1 -expect-text 2 1 "hello"
process p1 -expect-cursor 3 1
process p1 -match-text 0 0 "h.l+o"
process p1 -write "\x04" -wait
shell -expect "hello" {cat ${p1_out}}

process p2 {exit 3} -expect-exit 3 -run

process p3 {trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.1; done} -start
process p3 -expect-text 0 0 "ready" -kill TERM
process p3 -expect-text 0 0 "bye" -wait
"""


async def _process(scope: Scope[Case], args: Args) -> None:
    process = scope.case.actor(Process, args.instance(), scope.position)
    before = process.received
    spec_given = False
    for given in args.walk():
        if not given.flag:
            if spec_given:
                raise args.unknown(given.token)
            process.spec, spec_given = given.values[0], True
        elif given.flag == "-need-bytes":
            await need_bytes(process, given.values[0], before)
        elif not _set(process, given):
            await _do(scope, process, given)


def _set(process: Process, given: ParsedOption) -> bool:
    """Apply what only changes the process's settings. Says whether it was that."""
    match given.flag:
        case "-allow-core":
            process.core_allowed = True
        case "-ansi-response":
            process.answers = True
        case "-expect-exit":
            process.exit_wanted = unsigned(given.values[0])
        case "-expect-signal":
            process.signal_wanted = integer(given.values[0])
        case "-log" | "-dump" | "-hexdump":
            if process.task.running:
                text = f"Cannot {given.flag[1:]} a running process"
                raise Failure(text, given.token.position())
            process.log_output = LogOutput(given.flag)
        case _:
            return False
    return True


async def _do(scope: Scope[Case], process: Process, given: ParsedOption) -> None:
    match given.flag:
        case "-start":
            await process.start(scope.position)
        case "-run":
            await process.start(scope.position)
            await process.wait()
        case "-wait":
            await process.wait()
        case "-stop":
            await process.stop()
        case "-close":
            process.kill(signal.SIGHUP)
        case "-kill":
            process.kill(signal_number(given.values[0]))
        case "-winsz":
            process.resize(*(_side(given, place) for place in (0, 1)))
        case _ if given.flag.startswith(("-write", "-key")):
            await process.write(_typed(given))
        case _:
            await _look(scope, process, given)


def _side(given: ParsedOption, place: int) -> int:
    side = integer(given.values[place])
    if not SIDE_MIN <= side <= SIDE_MAX:
        text = f"-winsz: {SIDE_MIN} to {SIDE_MAX} (found {given.values[place]})"
        raise Failure(text, given.values[place].position())
    return side


def _typed(given: ParsedOption) -> bytes:
    word = given.values[0]
    if given.flag == "-key":
        if word not in KEYS:
            raise Failure(f"Unknown key {word}", word.position())
        return KEYS[word]
    if given.flag == "-writehex":
        data = unhex(word)
        if data is None:
            raise Failure("Illegal hex string", word.position())
        return data
    return word.encode(ENCODING) + (b"\n" if given.flag == "-writeln" else b"")


async def _look(scope: Scope[Case], process: Process, given: ParsedOption) -> None:
    match given.flag:
        case "-expect-text":
            await expect_text(process, *given.values)
        case "-expect-cursor":
            await expect_cursor(process, *given.values)
        case "-match-text":
            await match_text(process, *given.values)
        case _:
            dump_screen(process)
            return
    scope.checked()


COMMANDS = (
    Command(
        name="process",
        run=_process,
        usage="pNAME [COMMAND] [-start] [-wait] [-run] [OPTIONS]",
        text=f"A shell command on a terminal of 24 lines and 80 columns, `TERM=xterm`, cooked and "
        f"with echo. What comes on the terminal goes to `${{pNAME_out}}` and to an emulated "
        f"screen, its standard error to `${{pNAME_err}}`; both are in `${{pNAME_dir}}`, and of "
        f"much output the end is kept (at least {OUTPUT_FILE_BYTES_MAX >> 20} MiB). While it runs "
        f"there is `${{pNAME_pid}}`. It must end with status 0. Keys: {', '.join(KEYS)}.",
        label="Process",
        letter="p",
        exports=("pid", "dir", "out", "err"),
        words_max=None,
        options=(
            option("-start", "Start it."),
            option("-wait", "Wait for its end."),
            option("-run", "`-start` and `-wait`."),
            option("-expect-exit NUMBER", "It ends with this status."),
            option("-expect-signal NUMBER", "This signal ends it."),
            option("-allow-core", "It may leave a core."),
            option("-kill SIGNAL", "Send a signal: TERM, INT, KILL, HUP or -NUMBER."),
            option("-stop", "`-kill TERM`, and wait a moment."),
            option("-close", "`-kill HUP`."),
            option("-write STRING", "Type STRING."),
            option("-writeln STRING", "Type STRING and a newline."),
            option("-writehex HEXDIGITS", "Type bytes."),
            option("-key KEY", "Type a key."),
            option("-need-bytes NUMBER", "Wait for so many bytes, with a `+` for so many more."),
            option("-expect-text LINE COLUMN TEXT", "Wait for a text there; 0 is anywhere."),
            option("-match-text LINE COLUMN PATTERN", "A pattern is found from there on, now."),
            option("-expect-cursor LINE COLUMN", "The cursor is there; 0 is anywhere."),
            option("-screen-dump", "Write the screen into the log."),
            option("-screen_dump", "The same."),
            option("-winsz LINES COLUMNS", "Change the size of the screen."),
            option("-ansi-response", "Answer what the process asks its terminal."),
            option("-log", "Write its output into the log, line by line."),
            option("-dump", "Write its output into the log."),
            option("-hexdump", "Write its output into the log, in hexadecimal."),
        ),
        example=_EXAMPLE,
    ),
)
