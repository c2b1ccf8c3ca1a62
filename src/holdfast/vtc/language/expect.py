"""`expect LEFT OPERATOR RIGHT`: the comparisons."""

from __future__ import annotations

import operator
from collections.abc import Callable

from holdfast.vtc.language.numbers import decimal, unsigned
from holdfast.vtc.language.patterns import matches

UNDEFINED = "<undef>"
"""How a value that does not exist is written, on either side."""

_UNSIGNED: dict[str, Callable[[int, int], bool]] = {
    "-lt": operator.lt,
    "-le": operator.le,
    "-eq": operator.eq,
    "-ne": operator.ne,
    "-ge": operator.ge,
    "-gt": operator.gt,
}
_DECIMAL: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

OPERATORS = ("==", "!=", "~", "!~", *_DECIMAL, *_UNSIGNED)
PATTERN_OPERATORS = ("~", "!~")


def compare(left: str | None, sign: str, right: str | None) -> bool:
    """Whether `left sign right` is true; `None` is a value that does not exist.

    Raises `PatternError` for a bad pattern, `KeyError` for an unknown operator.
    """
    a = UNDEFINED if left is None else left
    b = UNDEFINED if right is None else right
    if sign in PATTERN_OPERATORS:
        return matches(b, a) == (sign == "~")
    if sign in ("==", "!="):
        return (a == b) == (sign == "==")
    if sign in _UNSIGNED:
        return _UNSIGNED[sign](unsigned(a), unsigned(b))
    return _compare_decimals(_DECIMAL[sign], left, right)


def _compare_decimals(
    ordered: Callable[[float, float], bool], left: str | None, right: str | None
) -> bool:
    """A comparison with a missing value, or with a value that is no number, is false."""
    if left is None or right is None:
        return False
    a, b = decimal(left), decimal(right)
    return a is not None and b is not None and ordered(a, b)
