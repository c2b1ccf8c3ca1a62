import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.macros import (
    NESTING_MAX,
    MacroError,
    Macros,
    http_date,
    parse_definition,
    split_arguments,
)
from holdfast.vtc.language.source import Source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${a}", "1"),
        ("x${a}y${b}z", "x1ytwo wordsz"),
        ("${ a }", "1"),
        ("${a", "${a"),
        ("$a {a} $", "$a {a} $"),
        ("${nested}", "${a}"),
        ("${string,repeat,3,ab}", "ababab"),
        ("${string repeat 2 x}", "xx"),
        ('${string, repeat, 2, "a b"}', "a ba b"),
        ("${string,repeat,0,x}", ""),
        ("${${which}}", "1"),
        ("<${${which}_${which}}>", "<both>"),
        ("${${${to}}}", "1"),
        ("${string,repeat,${a},x}", "x"),
        ("${${nested}}", "1"),
    ],
)
def test_references_are_filled_in(text: str, expected: str) -> None:
    values = {"a": "1", "b": "two words", "nested": "${a}", "which": "a", "to": "which"}
    macros = Macros(values | {"a_a": "both", "${a}": "1"})
    assert macros.expand_text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("${${a}}", "${${a}}"), ("${${a}", "${${a}"), ("${${a} ${a}", "${${a} 1"), ("${a}}", "1}")],
)
def test_a_reference_ends_at_the_first_brace_where_unknown_ones_stay(
    text: str, expected: str
) -> None:
    macros = Macros({"a": "1"})
    macros.ignore_unknown = True
    assert macros.expand_text(text) == expected


def test_references_are_nested_only_so_deep() -> None:
    macros = Macros({"a": "a"})
    deepest = "${" * NESTING_MAX + "a" + "}" * NESTING_MAX
    assert macros.expand_text(deepest) == "a"
    with pytest.raises(Failure, match=r"^more than 8 macros within each other$"):
        macros.expand_text("${" + deepest + "}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${nope}", "Macro ${nope} not found"),
        ("${}", "Macro ${} failed: it has no name"),
        ("${a b}", "Macro ${a b} failed: macro does not take arguments"),
        ("${date now}", "Macro ${date now} failed: macro does not take arguments"),
        ("${string}", "Macro ${string} failed: missing action"),
        ("${string,reverse}", "Macro ${string,reverse} failed: unknown action"),
        ("${string,repeat,1}", "Macro ${string,repeat,1} failed: repeat takes 2 arguments"),
        (
            "${string,repeat,-1,x}",
            "Macro ${string,repeat,-1,x} failed: invalid number of repetitions",
        ),
        ("${${nope}}", "Macro ${nope} not found"),
        ("${x${a}}", "Macro ${x${a}} not found"),
        ("${a ${a}", "Macro ${a ${a} failed: macro does not take arguments"),
        ('${a "b}', "Macro ${a \"b} failed: Missing '\"'"),
    ],
)
def test_a_wrong_reference_is_a_failure(text: str, reason: str) -> None:
    with pytest.raises(Failure) as caught:
        Macros({"a": "1"}).expand_text(text)
    assert str(caught.value) == reason


def test_an_unknown_reference_can_stay_as_it_is() -> None:
    macros = Macros({"a": "1"})
    macros.ignore_unknown = True
    assert macros.expand_text("${a} ${b}") == "1 ${b}"


def test_a_failure_in_a_word_is_shown_at_the_reference() -> None:
    token = Source("f", "abc ${nope}").whole()
    with pytest.raises(Failure) as caught:
        Macros().expand(token)
    assert str(caught.value.position) == "f:1:5"


def test_a_failure_in_a_text_has_no_position_of_its_own() -> None:
    with pytest.raises(Failure) as caught:
        Macros().expand_text("abc ${nope}")
    assert caught.value.position is None


def test_a_failure_in_a_nested_reference_is_shown_there() -> None:
    with pytest.raises(Failure) as caught:
        Macros().expand(Source("f", "${a${nope}}").whole())
    assert str(caught.value.position) == "f:1:4"


def test_what_stands_behind_a_value_keeps_its_place() -> None:
    token = Macros({"a": "a long value"}).expand(Source("f", "${a} b").whole())
    assert token == "a long value b"
    assert token.offset(len(token) - 1) == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a=1", ("a", "1")), ("a=", ("a", "")), ("a=b=c", ("a", "b=c")), ("a", None), ("=1", None)],
)
def test_a_definition_of_a_command_line(text: str, expected: tuple[str, str] | None) -> None:
    if expected is not None:
        assert parse_definition(text) == expected
        return
    with pytest.raises(MacroError, match=f"^'{text}' is not NAME=VALUE$"):
        parse_definition(text)


def test_a_macro_can_be_replaced_and_removed() -> None:
    macros = Macros()
    macros.define("a", "1")
    macros.define("a", "2")
    assert macros.expand_text("${a}") == "2"
    assert macros.undefine("a")
    assert not macros.undefine("a")


def test_the_date_is_as_http_writes_it() -> None:
    assert http_date(784111777.0) == "Sun, 06 Nov 1994 08:49:37 GMT"
    found = Macros().expand_text("${date}")
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", found)


WORDS = st.lists(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='",\\}')).filter(
        bool
    ),
    min_size=1,
    max_size=6,
)


@given(WORDS, st.sampled_from([" ", ",", " , ", "  "]))
def test_arguments_are_parted_by_blanks_or_commas(words: list[str], gap: str) -> None:
    assert split_arguments(gap.join(words)) == words


@given(st.text(st.sampled_from('ab ,"\\'), max_size=20))
def test_any_inside_gives_words_or_an_error(inside: str) -> None:
    with contextlib.suppress(MacroError):
        assert split_arguments(inside)


@given(st.text(max_size=40).filter(lambda text: "${" not in text))
def test_text_without_a_reference_stays(text: str) -> None:
    assert Macros().expand_text(text) == text
