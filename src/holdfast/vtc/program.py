"""The program `holdfast-vtest`: the command line, output and exit codes of VTest2.

Whatever runs VTest2 can run this instead; HAProxy's `run-regtests.sh` does.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

from holdfast.vtc.language.macros import MacroError, parse_definition
from holdfast.vtc.language.numbers import unsigned
from holdfast.vtc.run.reference_options import ReferenceOptions

_FAILED_TO_START = 2
_USAGE_STATUS = 1

_FLAGS = "CikLlqv"
_WITH_VALUE = "bDjnpt"
_SIZE = re.compile(r"\s*\d+(?:\.\d+)?\s*(?:[kKmMgGtTpP]?[bB]?)\s*")
_OPTIONS = (
    ("-b size", "Set internal buffer size (accepted and ignored)"),
    ("-C", "Use cleaner subprocess (accepted and ignored)"),
    ("-D name=val", "Define macro"),
    ("-i", "Find varnish binaries in build tree"),
    ("-j jobs", "Run this many tests in parallel"),
    ("-k", "Continue on test failure"),
    ("-L", "Always leave temporary vtc.*"),
    ("-l", "Leave temporary vtc.* if test fails"),
    ("-n iterations", "Run tests this many times"),
    ("-p name=val", "Pass a varnishd parameter (accepted and ignored)"),
    ("-q", "Quiet mode: report only failures"),
    ("-t duration", "Time tests out after this long"),
    ("-v", "Verbose mode: always report test log"),
    ("--vtest1", "Behave as the first VTest did"),
)


class _End(Exception):
    """End with a status, and with something on standard error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def usage() -> str:
    """What `-h` shows."""
    name = os.path.basename(sys.argv[0])
    lines = [f"usage: {name} [options] file ..."]
    lines += [f"    {flag:<28} # {text}" for flag, text in _OPTIONS]
    return "\n".join(lines) + "\n"


def _words(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """Options with their values, as getopt(3) of the GNU library finds them; files as `""`."""
    rest = iter(arguments)
    for word in rest:
        if word == "--":
            yield from (("", file) for file in rest)
        elif word == "--vtest1":
            yield word, ""
        elif not word.startswith("-") or word == "-":
            yield "", word
        else:
            yield from _letters(word[1:], rest)


def _letters(letters: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    name = os.path.basename(sys.argv[0])
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _WITH_VALUE:
            value = letters or next(rest, None)
            if value is None:
                text = f"{name}: option requires an argument -- '{letter}'\n"
                raise _End(_USAGE_STATUS, text + usage())
            yield letter, value
            return
        if letter not in _FLAGS:
            known = letter in "hW"
            text = "" if known else f"{name}: invalid option -- '{letter}'\n"
            raise _End(_USAGE_STATUS, text + usage())
        yield letter, ""


def parse(arguments: list[str]) -> ReferenceOptions:
    """The command line. Raises `_End`."""
    options = ReferenceOptions()
    duration = os.environ.get("VTEST_DURATION", os.environ.get("VARNISHTEST_DURATION"))
    if duration is not None:
        options.seconds = unsigned(duration)
    for option, value in _words(arguments):
        if option == "":
            options.files.append(value)
        elif option in _WITH_VALUE:
            _apply_value(options, option, value)
        else:
            _apply_flag(options, option)
    if not options.files:
        raise _End(_USAGE_STATUS, usage())
    return options


def _apply_value(options: ReferenceOptions, option: str, value: str) -> None:
    match option:
        case "b" if not _SIZE.fullmatch(value):
            raise _End(_FAILED_TO_START, f"Cannot parse b opt '{value}'\n")
        case "D":
            options.macros.update(_definition(value))
        case "j":
            options.jobs = max(1, unsigned(value))
        case "n":
            options.iterations = unsigned(value)
            if not options.iterations:
                raise _End(_FAILED_TO_START, f"Cannot parse n opt '{value}'\n")
        case "t":
            options.seconds = unsigned(value)
        case _:
            pass  # accepted and ignored


def _definition(value: str) -> dict[str, str]:
    try:
        return dict([parse_definition(value)])
    except MacroError:
        raise _End(_FAILED_TO_START, f"Cannot parse D opt '{value}'\n") from None


def _apply_flag(options: ReferenceOptions, option: str) -> None:
    match option:
        case "i":
            options.in_source_tree = True
        case "k":
            options.go_on = not options.go_on
        case "L" | "l":
            options.keep = "all" if option == "L" else "failed"
        case "q" | "v":
            change = -1 if option == "q" else 1
            options.verbosity = min(2, max(0, options.verbosity + change))
        case "--vtest1":
            options.vtest1 = True
        case _:
            pass  # accepted and ignored


def main() -> int:
    """Run the program; its exit status."""
    try:
        options = parse(sys.argv[1:])
    except _End as end:
        sys.stderr.write(str(end))
        return end.status
    # These imports take time, and `-h` does not need them.
    from holdfast.vtc.run.reference_run import ReferenceRun

    return ReferenceRun(options).run()
