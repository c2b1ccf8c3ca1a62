from __future__ import annotations

import msgspec
import pytest

from holdfast.core.items import (
    Binary,
    Command,
    Data,
    Formatted,
    Interrupt,
    Notice,
    Output,
    Prompt,
    Resized,
    Span,
    Text,
    is_secret,
    lines_of,
    size_of,
    value_in,
)

# Each item as it is written: a tagged array, the same in JSON and in MessagePack.
WRITTEN: list[tuple[Command | Output | Resized, list[object], int]] = [
    (Text("look"), ["text", "look"], 36),
    (Text("é€😀"), ["text", "é€😀"], 41),
    (Text(""), ["text", ""], 32),
    (Data("Room.Info", '{"n":1}'), ["data", "Room.Info", '{"n":1}'], 48),
    (Interrupt(), ["interrupt"], 32),
    (
        Formatted("a red door", (Span(2, 3, "red"), Span(0, 1, "dim"))),
        ["formatted", "a red door", [[2, 3, "red"], [0, 1, "dim"]]],
        112,
    ),
    (Formatted("plain", ()), ["formatted", "plain", []], 37),
    (Prompt("> "), ["prompt", "> "], 34),
    (Notice("hello"), ["notice", "hello"], 37),
    (Resized(80, 24), ["resized", 80, 24], 0),
]
BINARY = (Binary(b"\x00\xff"), 34)


@pytest.mark.parametrize(("item", "written", "_"), WRITTEN, ids=lambda value: str(value)[:30])
def test_an_item_is_written_as_a_tagged_array(
    item: Command | Output | Resized, written: list[object], _: int
) -> None:
    kind = Command | Output | Resized
    assert msgspec.json.decode(msgspec.json.encode(item)) == written
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(item)) == written
    assert msgspec.convert(written, type=kind) == item


def test_bytes_are_bytes_in_messagepack_and_base64_in_json() -> None:
    item, _ = BINARY
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(item)) == ["binary", b"\x00\xff"]
    assert msgspec.json.encode(item) == b'["binary","AP8="]'


@pytest.mark.parametrize(
    ("item", "size"),
    [*((item, size) for item, _, size in WRITTEN if not isinstance(item, Resized)), BINARY],
    ids=lambda value: str(value)[:30],
)
def test_an_item_counts_for_its_bytes_and_a_little_more(item: Command | Output, size: int) -> None:
    assert size_of(item) == size
    assert size_of(item) > 0, "what counts for nothing would not be bounded"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("look", ["look"]),
        ("look\n", ["look"]),
        ("look\r\n", ["look"]),
        ("a\nb\r\nc\rd", ["a", "b", "c", "d"]),
        ("a\n\n", ["a", ""]),
        ("\n", [""]),
        ("a\u2028b\x0bc", ["a\u2028b\x0bc"]),
    ],
    ids=repr,
)
def test_the_lines_of_a_text(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


@pytest.mark.parametrize(
    ("json", "value"),
    [('{"n": 1}', {"n": 1}), ('"a"', "a"), ("[]", []), ("7", 7), ("go north", "go north")],
)
def test_the_value_of_data_is_that_of_its_json_or_bare_words(json: str, value: object) -> None:
    assert value_in(json) == value


@pytest.mark.parametrize("json", ["", '{"n', "{n}", "[1", '"a', "a\nb", "1e999"], ids=repr)
def test_broken_json_is_no_words(json: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        value_in(json)


@pytest.mark.parametrize(
    ("package", "secret"),
    [("Char.Login", True), ("char.login.credentials", True), ("Char.Vitals", False)],
)
def test_a_login_is_secret(package: str, secret: bool) -> None:
    assert is_secret(Data(package, "{}")) is secret
