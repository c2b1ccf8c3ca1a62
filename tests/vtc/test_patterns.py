import pytest

from holdfast.vtc.patterns import PatternError, compile_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "subject", "found"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        ("c$", "abc\n", True),
        (r"c\z", "abc\n", False),
        (r"c\Z", "abc\n", True),
        ("a.c", "a\nc", False),
        ("(?s)a.c", "a\nc", True),
        ("ABC", "abc", False),
        ("(?i)ABC", "abc", True),
        ("a(?i)B", "ab", True),
        ("a(?i)B", "Ab", False),
        ("a(?i)b|C", "c", True),
        ("(a(?i)b)c", "aBC", False),
        ("[[:digit:]]+", "x1", True),
        ("^[[:alpha:]_]+$", "a_b", True),
        ("[^[:space:]]", " \t", False),
        ("[[:^digit:]]", "1", False),
        ("[[:^digit:]]", "1a", True),
        ("[]a]", "]", True),
        ("[^]a]", "]", False),
        ("[a[b]", "[", True),
        (r"[\h]", "\t", True),
        (r"a\hb", "a b", True),
        (r"\Ra", "\r\na", True),
        (r"\Q.*\E", "x.*y", True),
        (r"\Q.*\E", "xy", False),
        ("(?<year>[0-9]+)-(?P=year)", "12-12", True),
        (r"\x{41}", "A", True),
        (r"\[::1\]:[0-9]+", "[::1]:80", True),
        ("a{2,3}", "aaa", True),
        (r"\d+ms", "12ms", True),
        ("\xe9", "caf\xe9", True),
        (r"\w", "\xe9", False),
        ("b", "a\0b", False),
        ("(?>a+)b", "aab", True),
    ],
)
def test_patterns_mean_what_they_mean_to_pcre(pattern: str, subject: str, found: bool) -> None:
    assert matches(pattern, subject) is found


@pytest.mark.parametrize("pattern", ["(", "a)", "[", "*", "[[:nonsense:]]", "(?<a"])
def test_a_bad_pattern_is_refused_and_shown(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)
