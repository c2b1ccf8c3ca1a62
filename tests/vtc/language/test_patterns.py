import pytest
from tests.vtc.running import run_script

from holdfast.vtc.language.patterns import PatternError, compile_pattern, matches


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


@pytest.mark.parametrize(
    ("pattern", "subject", "found"),
    [
        (r"\e\[0m", "\x1b[0m", True),
        (r"[\e]", "\x1b", True),
        ("a(?i)b(?-i)c", "aBC", False),
        ("^[a--]$", "-", True),
        ("^[a&&b]+$", "a&b", True),
        ("^[|~|~]+$", "~|", True),
        ("^[[:alpha:][:digit:]]+$", "a1", True),
        ("a++b", "aab", True),
        ("a{", "a{", True),
    ],
)
def test_what_another_library_would_read_otherwise(pattern: str, subject: str, found: bool) -> None:
    assert matches(pattern, subject) is found


def test_a_search_that_backtracks_without_end_is_given_up() -> None:
    with pytest.raises(
        PatternError, match=r"given up after 1 s of backtracking \(\^\(a\|aa\)\+\$\)"
    ):
        matches("^(a|aa)+$", "a" * 80 + "b")


@pytest.mark.parametrize(
    "commands",
    [
        "shell -match '^(a|aa)+$' {printf %080d 1 | tr 01 ab}",
        'client c1 -connect ${s1_sock} {\ntxreq -url "XX"\nrxresp\n} -run\nserver s1 -wait',
    ],
    ids=["shell", "expect"],
)
def test_a_test_with_such_a_pattern_fails_and_ends(commands: str) -> None:
    start = 'server s1 {\nrxreq\ntxresp\nexpect req.url ~ "^/?(a|aa)+$"\n} -start\n'
    commands = commands.replace("XX", "a" * 80 + "b").replace("'", '"')
    result = run_script(start + commands + "\n")
    assert "given up after 1 s" in result.reason
