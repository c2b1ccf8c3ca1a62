import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.lexer import WORDS_MAX, command_line, find_command, tokenise
from holdfast.vtc.language.source import Source


def commands(text: str) -> list[list[str]]:
    spec = Source("f", text).whole()
    found = []
    place = find_command(spec, 0)
    while place >= 0:
        command = tokenise(spec, place)
        found.append([str(word) for word in command.words])
        place = find_command(spec, command.end)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(" \n\t\n", [], id="blank lines"),
        pytest.param("a b c", [["a", "b", "c"]], id="words"),
        pytest.param("a\nb\n", [["a"], ["b"]], id="a command ends at its line"),
        pytest.param("# a\nb", [["b"]], id="a comment"),
        pytest.param("  # a", [], id="a comment at the end without a newline"),
        pytest.param("a # b", [["a", "#", "b"]], id="a hash later in a line is text"),
        pytest.param("a \\\n b", [["a", "b"]], id="a backslash joins lines"),
        pytest.param("a\\b", [["a\\b"]], id="a backslash in a word is literal"),
        pytest.param('a "b c" d', [["a", "b c", "d"]], id="quotes"),
        pytest.param('"a""b"', [["a", "b"]], id="a word ends with its quote"),
        pytest.param('foo"bar"', [['foo"bar"']], id="quotes within a word are literal"),
        pytest.param(r'"\n\r\t\"\\"', [['\n\r\t"\\']], id="escapes"),
        pytest.param(r'"\101\x42\7"', [["AB\x07"]], id="octal and hexadecimal"),
        pytest.param(r'"\1234"', [["S4"]], id="octal takes three digits"),
        pytest.param(r'"a\0b" c', [["a", "c"]], id="a word ends at its NUL"),
        pytest.param('""', [[""]], id="an empty string"),
        pytest.param("a {b c}", [["a", "b c"]], id="braces"),
        pytest.param("a {b {c} d} e", [["a", "b {c} d", "e"]], id="nested braces"),
        pytest.param("a {b\n c} d", [["a", "b\n c", "d"]], id="braces span lines"),
        pytest.param('a {"}', [["a", '"']], id="quotes mean nothing in braces"),
        pytest.param(r"a {\n}", [["a", r"\n"]], id="escapes mean nothing in braces"),
        pytest.param("{}", [[""]], id="empty braces"),
        pytest.param("a}b", [["a}b"]], id="a lone closing brace is text"),
        pytest.param(r'"ab\(c" d', [["ab", '(c"', "d"]], id="what is no escape ends the string"),
    ],
)
def test_a_specification_is_cut_into_commands_and_words(
    text: str, expected: list[list[str]]
) -> None:
    assert commands(text) == expected


@pytest.mark.parametrize(
    ("text", "reason", "where"),
    [
        ('a "b', 'Unterminated quoted string in line: a "b', "f:1:3"),
        ('a "b\n"', 'Unterminated quoted string in line: a "b', "f:1:3"),
        ("a\nb {c\n{d}\n", "unbalanced '{': it is never closed", "f:2:3"),
        ("a " * WORDS_MAX, f"more than {WORDS_MAX - 1} words in a command", "f:1:399"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_its_place(text: str, reason: str, where: str) -> None:
    with pytest.raises(Failure) as caught:
        commands(text)
    assert str(caught.value) == reason
    assert str(caught.value.position) == where


def test_a_string_that_is_cut_short_is_told() -> None:
    assert tokenise(Source("f", r'a "b\(c"').whole(), 0).cut_at == [4]
    assert tokenise(Source("f", r'a "b\\c"').whole(), 0).cut_at == []


def test_the_log_shows_the_first_line_of_a_command() -> None:
    spec = "one {\n two\n}\n"
    assert command_line(spec, 0) == "one {"
    assert command_line("last", 0) == "last"


def test_a_word_within_words_knows_its_place_in_the_file() -> None:
    spec = Source("f", "a {\n  b\n  {c d}\n}").whole()
    inner = tokenise(spec, 0).words[1]
    place = find_command(inner, 0)
    second = tokenise(inner, find_command(inner, tokenise(inner, place).end))
    assert str(second.words[0].position(2)) == "f:3:6"


PLAIN = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"{}\\#$'))
BARE = PLAIN.filter(bool)
QUOTED = st.text(st.characters(min_codepoint=1, max_codepoint=255))


def quote(text: str) -> str:
    return '"' + "".join(f"\\x{ord(char):02x}" for char in text) + '"'


@given(st.lists(st.one_of(BARE, QUOTED.map(quote)), min_size=1, max_size=20))
def test_words_that_are_written_are_read_again(words: list[str]) -> None:
    (found,) = commands(" ".join(words))
    plain = [
        bytes.fromhex(word[1:-1].replace("\\x", "")).decode("latin-1")
        if word.startswith('"')
        else word
        for word in words
    ]
    assert found == plain


@given(st.text(st.sampled_from('ab "{}\\\n#\x00x0'), max_size=60))
def test_any_text_gives_commands_or_a_failure_with_a_place(text: str) -> None:
    try:
        found = commands(text)
    except Failure as failure:
        place = failure.position
    else:
        assert sum(len(word) for words in found for word in words) <= len(text)
        return
    assert place is not None


@given(st.text(st.sampled_from("ab{} \n"), max_size=60))
def test_each_character_of_a_word_is_found_at_its_place(text: str) -> None:
    spec = Source("f", text).whole()
    place = find_command(spec, 0)
    while place >= 0:
        try:
            command = tokenise(spec, place)
        except Failure:
            return
        for word in command.words:
            for index, char in enumerate(word):
                assert text[word.offset(index)] == char
        place = find_command(spec, command.end)
