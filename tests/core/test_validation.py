"""What may be said, and what is refused with which words."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.items import Binary, Data, Formatted, Interrupt, Notice, Prompt, Span, Text
from holdfast.core.validation import (
    UnsendableError,
    check_choice,
    check_data,
    check_delivery,
    check_output,
    check_text,
    to_json,
)

MAX = 100


class Colour(enum.StrEnum):
    RED = "red"


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "bytes as text": (Text(b"x"), TypeError, "text: expected str; found bytes"),  # type: ignore[arg-type]
    "a subclass": (Text(Colour.RED), TypeError, "text: expected str; found Colour"),
    "no prompt": (Prompt(None), TypeError, "prompt: expected str; found NoneType"),  # type: ignore[arg-type]
    "a number": (Notice(1), TypeError, "notice: expected str; found int"),  # type: ignore[arg-type]
    "text as bytes": (Binary("x"), TypeError, "binary: expected bytes; found str"),  # type: ignore[arg-type]
    "bytes that change": (Binary(bytearray(b"x")), TypeError, "expected bytes; found bytearray"),  # type: ignore[arg-type]
    "no output": (Interrupt(), TypeError, "expected an output; found Interrupt"),
    "no item": ("text", TypeError, "expected an output; found str"),
    "a surrogate": (
        Text("caf\udce9"),
        UnsendableError,
        r"text: expected Unicode text; found the lone surrogate '\\udce9' at character 3",
    ),
    "half an emoji": (Prompt("\ud83d"), UnsendableError, "prompt: .* lone surrogate"),
    "too long": (Text("x" * 101), UnsendableError, "text: expected at most 100 bytes; found 101"),
    "too long in UTF-8": (Text("😀" * 26), UnsendableError, "expected at most 100 .* found 104"),
    "too many bytes": (Binary(bytes(101)), UnsendableError, "binary: expected at most 100"),
    "too many spans": (
        Formatted("abc", (Span(0, 1, "red"),) * 10),
        UnsendableError,
        "formatted: expected at most 100 bytes",
    ),
    "a tuple as span": (
        Formatted("abc", ((0, 1, "red"),)),  # type: ignore[arg-type]
        TypeError,
        "a span: expected Span; found tuple",
    ),
    "half a character": (
        Formatted("abc", (Span(0, 1.5, "red"),)),  # type: ignore[arg-type]
        TypeError,
        "a span's length: expected int; found float",
    ),
    "before the text": (
        Formatted("abc", (Span(-1, 1, "red"),)),
        UnsendableError,
        "a span's start: expected 0 or more; found -1",
    ),
    "a span of 70 bits": (Formatted("abc", (Span(0, 1 << 70, "red"),)), UnsendableError, "length"),
    "a style of bytes": (
        Formatted("abc", (Span(0, 1, b"red"),)),  # type: ignore[arg-type]
        TypeError,
        "a span's style: expected str; found bytes",
    ),
    "a package of two words": (
        Data("Room Info", "1"),
        UnsendableError,
        "a package: expected letters, digits, '_', '.' and '-'; found 'Room Info'",
    ),
    "a package with an end": (Data("Room\n", "1"), UnsendableError, "a package: "),
    "no package": (Data("", "1"), UnsendableError, "a package: "),
    "no JSON": (Data("a", "{"), UnsendableError, "data: expected JSON text; found '{'"),
    "two JSONs": (Data("a", "1 2"), UnsendableError, "data: expected JSON text"),
    "not a number": (Data("a", "NaN"), UnsendableError, "data: expected JSON text"),
    "70 bits": (
        Data("a", f'{{"b":[{1 << 70}]}}'),
        UnsendableError,
        "data: expected integers of 64 bits; found 1180591620717411303424",
    ),
    "a package of bytes": (
        Data(b"Room", "1"),  # type: ignore[arg-type]
        TypeError,
        "a package: expected str; found bytes",
    ),
    "formatted bytes": (
        Formatted(b"abc", ()),  # type: ignore[arg-type]
        TypeError,
        "formatted: expected str; found bytes",
    ),
    "JSON in bytes": (
        Data("a", b"1"),  # type: ignore[arg-type]
        TypeError,
        "data: expected str; found bytes",
    ),
    "a key of 70 bits": (
        Data("a", f'[{1 << 70}, {{"1": 2}}]'),
        UnsendableError,
        "data: .* 64 bits",
    ),
    "a long package": (
        Data("Room Info" * 10, "1"),
        UnsendableError,
        f"found '{('Room Info' * 10)[:60]}\\.\\.\\.'$",
    ),
    "a package of 60 characters": (
        Data("x" * 59 + " ", "1"),
        UnsendableError,
        f"found '{'x' * 59} '$",
    ),
    "deep": (Data("a", "[" * 40 + "1" + "]" * 39), UnsendableError, "data: expected JSON text"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_sent_is_refused_with_a_reason(name: str) -> None:
    item, kind, words = WRONG[name]
    with pytest.raises(kind, match=words):
        check_output(item, MAX)


@pytest.mark.parametrize(
    "item",
    [
        Text("x" * 100),
        Text("é" * 50),
        Text(""),
        Formatted("abc", (Span(0, 1, "red"), Span(9, 9, "?"))),
        Formatted("", ()),
        Data("A-b_c.d", " null "),
        Data("a", "[0.1234567890123456789,18446744073709551615,-9223372036854775808]"),
        Data("a", '"12345678901234567890123"'),
        Prompt("> "),
        Binary(bytes(60)),
        Notice("\x00\x1b"),
    ],
    ids=str,
)
def test_what_can_be_sent_has_a_size(item: Any) -> None:
    assert check_output(item, 132) > 0


@pytest.mark.parametrize("delivery", ["must", "volatile", "latest:", "latest:hp", "latest:é"])
def test_a_delivery_class_that_exists(delivery: str) -> None:
    check_delivery(delivery, 2)


@pytest.mark.parametrize(
    ("delivery", "kind", "words"),
    [
        ("", UnsendableError, "expected must, volatile or latest:KEY; found ''"),
        ("mustard", UnsendableError, "found 'mustard'"),
        ("latest:" + "k" * 3, UnsendableError, "the key of latest: expected at most 2 bytes"),
        ("latest:\ud83d", UnsendableError, "the key of latest: .* surrogate"),
        (None, TypeError, "delivery: expected str; found NoneType"),
    ],
)
def test_a_delivery_class_that_does_not_exist(
    delivery: Any, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        check_delivery(delivery, 2)


def test_names_bytes_and_choices() -> None:
    assert check_text("user", "é", 2) == 2
    assert check_data("store", b"abc", 3) == 3
    check_choice("mode", "key", ("line", "key"))
    for check, kind, words in (
        (lambda: check_text("user", 42, 9), TypeError, "user: expected str; found int"),  # type: ignore[arg-type]
        (lambda: check_data("store", b"abcd", 3), UnsendableError, "store: expected at most 3"),
        (
            lambda: check_choice("mode", "KEY", ("line", "key")),
            UnsendableError,
            "mode: expected one of line, key; found 'KEY'",
        ),
        (lambda: check_choice("mode", None, ("a",)), TypeError, "found NoneType"),  # type: ignore[arg-type]
    ):
        with pytest.raises(kind, match=words):
            check()


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (float("nan"), UnsendableError, "data: expected finite numbers; found nan"),
        ([1, {"a": float("-inf")}], UnsendableError, "found -inf"),
        (
            1 << 64,
            UnsendableError,
            "data: expected integers of 64 bits; found 18446744073709551616",
        ),
        ({"a": -(1 << 63) - 1}, UnsendableError, "integers of 64 bits"),
        ({1 << 70: "key"}, UnsendableError, "integers of 64 bits"),
        (1 << 4_000, UnsendableError, "found a larger number"),
        (1 << 128, UnsendableError, "found a larger number"),
        ((1 << 128) - 1, UnsendableError, f"found {(1 << 128) - 1}"),
        ("caf\udce9", UnsendableError, "data: expected Unicode text; found surrogates"),
        ({"\ud83d": 1}, UnsendableError, "surrogates"),
        (LOOP, UnsendableError, "nested too deeply"),
        (object(), TypeError, "object"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_json_cannot_hold(value: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        to_json("data", value)


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (None, "null"),
        ([None, 1 << 63, 0.5], "[null,9223372036854775808,0.5]"),
        ({"null": "1" * 30}, '{"null":"' + "1" * 30 + '"}'),
        ({1: datetime.date(2026, 1, 2)}, '{"1":"2026-01-02"}'),
        ((Span(0, 1, "red"), None), '[[0,1,"red"],null]'),
    ],
)
def test_what_json_can_hold(value: Any, json: str) -> None:
    assert to_json("data", value) == json


PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(PLAIN)
def test_what_is_written_as_json_can_be_sent(value: Any) -> None:
    """Both ends agree: what the application may say, the gateway takes."""
    try:
        json = to_json("data", value)
    except UnsendableError:
        return
    assert check_output(Data("a", json), 1 << 20) > 0
    msgspec.msgpack.encode(msgspec.json.decode(json))


def _refused(check: Callable[[], object]) -> bool:
    try:
        check()
    except (TypeError, UnsendableError):
        return True
    return False


@given(st.text(st.characters(exclude_categories=[])), st.integers(0, 40))
def test_text_is_refused_if_and_only_if_it_cannot_be_written(text: str, bytes_max: int) -> None:
    try:
        fits = len(text.encode()) <= bytes_max
    except UnicodeEncodeError:
        fits = False
    assert _refused(lambda: check_text("text", text, bytes_max)) is not fits
    assert _refused(lambda: check_output(Prompt(text), bytes_max)) is not fits


@pytest.mark.parametrize(
    ("item", "size"),
    [
        (Text("x" * 100), 132),
        (Text("é" * 50), 132),
        (Prompt("> "), 34),
        (Notice(""), 32),
        (Binary(bytes(60)), 92),
        (Formatted("abc", (Span(0, 1, "red"),)), 70),
        (Formatted("abc", (Span(0, (1 << 53) - 1, "red"),)), 70),
        (Data("ab", "[1]"), 37),
    ],
    ids=str,
)
def test_what_is_checked_has_the_size_that_it_counts_for(item: Any, size: int) -> None:
    assert check_output(item, 100) == size


def test_a_span_ends_at_the_largest_number_that_every_language_has() -> None:
    with pytest.raises(UnsendableError, match=r"a span's start: expected 0 or more"):
        check_output(Formatted("abc", (Span(1 << 53, 1, "red"),)), MAX)


def test_a_choice_of_another_type_is_named() -> None:
    with pytest.raises(TypeError, match="mode: expected str; found int"):
        check_choice("mode", 1, ("a",))  # type: ignore[arg-type]


def test_json_is_checked_and_not_decoded() -> None:
    """The decoder of values has a limit of its own; what is only checked need not meet it."""
    assert check_output(Data("a", '{"a":1,"a":2}'), MAX) == 46
