import pytest

from holdfast.vtc.language.expect import OPERATORS, compare
from holdfast.vtc.language.patterns import PatternError


@pytest.mark.parametrize(
    ("left", "sign", "right", "holds"),
    [
        ("a", "==", "a", True),
        ("a", "==", "b", False),
        ("1", "==", "1.0", False),
        ("a", "!=", "b", True),
        (None, "==", "<undef>", True),
        (None, "==", None, True),
        (None, "!=", "a", True),
        ("<undef>", "==", None, True),
        ("abc", "~", "b", True),
        ("abc", "!~", "b", False),
        (None, "~", "undef", True),
        ("2", "<", "10", True),
        ("10", "<=", "10.0", True),
        ("2.5", ">", "2.4", True),
        ("x", "<", "1", False),
        ("x", ">=", "1", False),
        (None, "<", "1", False),
        (None, ">=", None, False),
        ("0x10", "-eq", "16", True),
        ("16", "-ne", "020", False),
        ("15", "-lt", "16", True),
        ("16", "-le", "16", True),
        ("17", "-gt", "16", True),
        ("15", "-ge", "16", False),
        (None, "-eq", "0", True),
        ("-1", "-gt", "1", True),
    ],
)
def test_comparisons(left: str | None, sign: str, right: str | None, holds: bool) -> None:
    assert compare(left, sign, right) is holds


def test_every_operator_compares() -> None:
    assert all(isinstance(compare("1", sign, "1"), bool) for sign in OPERATORS)


def test_a_bad_pattern_is_an_error() -> None:
    with pytest.raises(PatternError):
        compare("a", "~", "(")
