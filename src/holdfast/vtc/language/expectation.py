"""The command `expect`: lookup, comparison and messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.vtc.language.command import Args
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.expect import OPERATORS, PATTERN_OPERATORS, UNDEFINED, compare
from holdfast.vtc.language.patterns import PatternError, compile_pattern, matches
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.scope import Scope

EXPECT_WORDS = 3
_SHOWN_CHARS_MAX = 2000


def expect(
    scope: Scope[Any],
    args: Args,
    resolve: Callable[[str], str | None],
    notes: tuple[Note, ...] = (),
) -> None:
    """Run `expect LEFT OPERATOR RIGHT`. `notes` help to understand a failure.

    Raises `Failure`.
    """
    left_word, sign, right_word = args.plain()
    left, right = resolve(left_word), resolve(right_word)
    shown_left = UNDEFINED if left is None else left
    shown_right = UNDEFINED if right is None else right
    text = f"EXPECT {left_word} ({shown_left}) {sign}"
    if sign not in OPERATORS:
        raise scope.failure(f"{text} {right_word} ({shown_right}) test not implemented", sign)
    try:
        holds = compare(left, sign, right)
    except PatternError as error:
        raise scope.failure(f"REGEXP error: {error}", right_word) from None
    if not holds:
        sides = Note("sides", f"left:  {_short(shown_left)}\nright: {_short(shown_right)}")
        raise scope.failure(f'{text} "{shown_right}" failed', left_word, sides, *notes)
    scope.log.line(4, f'{text} "{shown_right}" match')
    scope.checked()


def check_expect(args: Args) -> None:
    """Check the operator and the pattern before anything runs. Raises `Failure`."""
    sign, pattern = args.words[-2:]
    known = OPERATORS if args.command.words_max == EXPECT_WORDS else PATTERN_OPERATORS
    if "${" not in sign and sign not in known:
        text = f"unknown operator {sign}: it is one of {' '.join(known)}"
        raise Failure(text, sign.position())
    if sign in PATTERN_OPERATORS and "${" not in pattern:
        try:
            compile_pattern(pattern)
        except PatternError as error:
            raise Failure(f"REGEXP error: {error}", pattern.position()) from None


def _short(text: str) -> str:
    more = len(text) - _SHOWN_CHARS_MAX
    return text if more <= 0 else f"{text[:_SHOWN_CHARS_MAX]} … and {more} more"


def expect_match(
    scope: Scope[Any], args: Args, subject: str, words: tuple[str, str], what: str
) -> None:
    """Run `expect ~|!~ PATTERN` on `subject`, which a failure calls `what`.

    `words` begin the messages of failure and success. Raises `Failure`.
    """
    sign, pattern = args.plain()
    if sign not in PATTERN_OPERATORS:
        raise scope.failure(f"expect: the operator is ~ or !~, not {sign}", sign)
    if not holds(scope, subject, sign, pattern):
        raise scope.failure(f'{words[0]} {sign} "{pattern}"', pattern, Note(what, subject))
    scope.log.line(4, f'{words[1]} {sign} "{pattern}"')
    scope.checked()


def holds(scope: Scope[Any], subject: str, sign: str, pattern: Token) -> bool:
    """Whether a pattern is found (`~`) or not (`!~`). Raises `Failure` for a bad pattern."""
    try:
        return matches(pattern, subject) == (sign == "~")
    except PatternError as error:
        raise scope.failure(f"REGEXP error: {error}", pattern) from None
