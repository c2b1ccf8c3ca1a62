"""The receiving side of the NVT: RFC 854, and the ends of line of real clients."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import LIMITS, cut, cuts, footprint, properties

from holdfast.core.limits import Limits
from holdfast.protocols.telnet.charsets import AUTOMATIC, LATIN_1, UTF_8, Charsets
from holdfast.protocols.telnet.events import CharsetHeard, Event, LineTooLong
from holdfast.protocols.telnet.lines import Lines

SMALL = Limits().but(telnet={"line_chars_max": 6}).telnet


def receive(*chunks: bytes, charset: str = "", small: bool = False) -> list[Event]:
    lines = Lines(SMALL if small else LIMITS)
    events = [line for chunk in chunks for line in lines.receive(chunk, charset)]
    return [event for event in events if not isinstance(event, CharsetHeard)]


ROWS: dict[str, tuple[bytes, list[Event]]] = {
    "cr-lf": (b"look\r\n", ["look"]),
    "cr-nul": (b"look\r\0", ["look"]),
    "lf": (b"look\n", ["look"]),
    "cr": (b"look\rnorth\r\n", ["look", "north"]),
    "unfinished": (b"look", []),
    "empty-line": (b"\r\n", [""]),
    "empty-lines": (b"\r\n\r\n\n\n", ["", "", "", ""]),
    "many": (b"a\r\nb\r\nc\r\n", ["a", "b", "c"]),
    "many-kinds": (b"a\r\0b\nc\rd\r\n", ["a", "b", "c", "d"]),
    "lf-cr-is-two": (b"a\n\rb\r\n", ["a", "", "b"]),
    "cr-cr-lf": (b"a\r\r\n", ["a", ""]),
    "cr-nul-lf": (b"a\r\0\n", ["a", ""]),
    "lone-nul-is-nothing": (b"\0", []),
    "nul-in-a-line": (b"lo\0ok\r\n", ["look"]),
    "bs": (b"loi\x08ok\r\n", ["look"]),
    "del": (b"loi\x7fok\r\n", ["look"]),
    "bs-at-the-beginning": (b"\x08\x08look\r\n", ["look"]),
    "bs-does-not-reach-the-line-before": (b"a\r\n\x08b\r\n", ["a", "b"]),
    "bs-takes-a-character-of-two-bytes": ("né\x08o\r\n".encode(), ["no"]),
    "bs-takes-a-character-of-three-bytes": ("n€\x08o\r\n".encode(), ["no"]),
    "bs-takes-a-character-of-four-bytes": ("n😀\x08o\r\n".encode(), ["no"]),
    "bs-at-the-start-takes-a-character-of-two-bytes": ("é\x08o\r\n".encode(), ["o"]),
    "bs-at-the-start-takes-a-character-of-three-bytes": ("€\x08o\r\n".encode(), ["o"]),
    "bs-at-the-start-takes-a-character-of-four-bytes": ("😀\x08o\r\n".encode(), ["o"]),
    "bs-takes-one-of-two": ("éé\x08\r\n".encode(), ["é"]),
    "bs-takes-one-byte-of-latin-1": (b"n\xe9\x08o\r\n", ["no"]),
    "bs-takes-one-byte-that-is-no-character": (b"\x80\x80\x80\x80\x80\x08\r\n", ["\x80" * 4]),
    "tab-and-esc-are-text": (b"\ta\x1b[1mb\r\n", ["\ta\x1b[1mb"]),
    "other-controls-are-dropped": (bytes(set(range(32)) - {8, 9, 10, 13, 27}) + b"a\r\n", ["a"]),
    "utf-8": ("dis été 😀\r\n".encode(), ["dis été 😀"]),
    "not-utf-8": (b"dis \xe9t\xe9\r\n", ["dis été"]),
    "not-utf-8-is-a-matter-of-one-line": (b"\xe9\r\n\xc3\xa9\r\n", ["é", "é"]),
    "overlong": (b"\xc0\xaf\r\n", ["À¯"]),
    "surrogate": (b"\xed\xa0\x80\r\n", ["í\xa0\x80"]),
    "literal-iac": (b"\xff\r\n", ["ÿ"]),
    "bidi-override-is-text": ("a\u202eb\r\n".encode(), ["a\u202eb"]),
}


@pytest.mark.parametrize(("data", "lines"), ROWS.values(), ids=ROWS)
def test_bytes_become_lines(data: bytes, lines: list[Event]) -> None:
    assert receive(data) == lines


@pytest.mark.parametrize(("data", "lines"), ROWS.values(), ids=ROWS)
def test_bytes_one_by_one_become_the_same_lines(data: bytes, lines: list[Event]) -> None:
    assert receive(*(bytes((byte,)) for byte in data)) == lines


@pytest.mark.parametrize(
    ("charset", "data", "line", "undecodable"),
    [
        pytest.param("", b"\xe9\n", "é", 1, id="unknown-latin"),
        pytest.param("", b"\xc3\xa9\n", "é", 0, id="unknown-utf-8"),
        pytest.param(UTF_8, b"a\xe9\n", "a\ufffd", 1, id="agreed-utf-8-but-is-not"),
        pytest.param(UTF_8, b"\xc3\xa9\n", "é", 0, id="agreed-utf-8"),
        pytest.param(LATIN_1, b"\xc3\xa9\n", "Ã©", 0, id="latin-1"),
    ],
)
def test_character_sets(charset: str, data: bytes, line: str, undecodable: int) -> None:
    lines = Lines(LIMITS)
    heard = [CharsetHeard(LATIN_1)] if not charset and undecodable else []
    assert lines.receive(data, charset) == [line, *heard]
    assert lines.undecodable == undecodable


def heard(charsets: Charsets, *chunks: bytes) -> list[Event]:
    lines = Lines(LIMITS, charsets)
    return [line for chunk in chunks for line in lines.receive(chunk, "")]


def test_what_is_no_utf_8_is_in_the_fall_back() -> None:
    koi8 = Charsets(fallback="KOI8-R")
    ascii_only, russian = b"look\r\n", "Привет\r\n"
    assert heard(koi8, ascii_only, russian.encode("koi8-r")) == ["look", "Привет"]
    assert heard(koi8, russian.encode(), russian.encode("koi8-r")) == [
        "Привет",
        CharsetHeard(UTF_8),
        "Привет",
        CharsetHeard("KOI8-R"),
    ]
    assert heard(AUTOMATIC, "café\r\n".encode(), ascii_only) == ["café", "look"]
    assert heard(AUTOMATIC, "café\r\n".encode("latin-1"), ascii_only) == [
        "café",
        CharsetHeard(LATIN_1),
        "look",
    ]


@pytest.mark.parametrize(
    ("charset", "typed", "kept"),
    [
        pytest.param("BIG5", "天地", "天", id="big5"),
        pytest.param("GBK", "say 天地a", "say 天地", id="gbk-ascii"),
        pytest.param("GB18030", "天€", "天", id="gb18030"),
        pytest.param("SHIFT-JIS", "表", "", id="whose-last-byte-is-a-backslash"),
        pytest.param("BIG5", "天" * 200 + "地", "天" * 200, id="long"),
        pytest.param("KOI8-R", "Привет", "Приве", id="koi8-r"),
        pytest.param("US-ASCII", "ab", "a", id="ascii"),
    ],
)
def test_backspace_takes_one_character(charset: str, typed: str, kept: str) -> None:
    assert receive(typed.encode(charset) + b"\x08\r\n", charset=charset) == [kept]


def test_half_a_code_point_is_not_shown() -> None:
    lines = Lines(LIMITS)
    lines.receive("Имя: é".encode()[:-1], "")
    assert lines.unfinished("") == "Имя: "
    assert lines.receive(b"\xa9\r\n", "") == ["Имя: é"]


TOO_LONG = LineTooLong()

LENGTHS: dict[str, tuple[bytes, list[Event]]] = {
    "at-the-limit": (b"123456\r\n", ["123456"]),
    "over-it": (b"1234567\r\n", [TOO_LONG]),
    "characters-count-not-bytes": ("éééééé\r\n".encode(), ["éééééé"]),
    "of-four-bytes": (("😀" * 6 + "\r\n").encode(), ["😀" * 6]),
    "of-four-bytes-over-it": (("😀" * 7 + "\r\n").encode(), [TOO_LONG]),
    "controls-do-not-count": (b"\0" * 100 + b"123456\r\n", ["123456"]),
    "edited-in-time": (b"1234567\x08\r\n", ["123456"]),
    "edited-too-late": (b"1" * 25 + b"\x08" * 25 + b"\r\n", [TOO_LONG]),
    "the-next-line-is-well": (b"1" * 100 + b"\r\nlook\r\n", [TOO_LONG, "look"]),
    "unfinished-is-nothing-yet": (b"1" * 100, []),
}


@pytest.mark.parametrize(("data", "lines"), LENGTHS.values(), ids=LENGTHS)
def test_a_line_that_is_too_long_is_discarded(data: bytes, lines: list[Event]) -> None:
    assert receive(data, small=True) == lines
    assert receive(*(bytes((byte,)) for byte in data), small=True) == lines


def test_erase_character_and_line() -> None:
    lines = Lines(LIMITS)
    lines.receive("loé".encode(), "")
    lines.erase_character("")
    lines.receive(b"ok", "")
    assert lines.unfinished("") == "look"
    lines.erase_line()
    lines.erase_character("")
    assert lines.receive(b"x\r\n", "") == ["x"]


@pytest.mark.parametrize("first", ["é", "☃", "👍"])
def test_the_first_character_of_a_line_is_erased_whole(first: str) -> None:
    lines = Lines(LIMITS)
    lines.receive(first.encode(), "")
    lines.erase_character("")
    assert lines.unfinished("") == ""
    assert lines.receive(b"look\r\n", "") == ["look"]


def test_the_rest_of_a_line_that_is_too_long_is_no_line() -> None:
    assert receive(b"1" * 100, b"rest\r\n", b"look\r\n", small=True) == [TOO_LONG, "look"]


def test_a_line_that_is_too_long_can_be_erased() -> None:
    lines = Lines(SMALL)
    lines.receive(b"1" * 100, "")
    lines.erase_line()
    assert lines.receive(b"look\r\n", "") == ["look"]


def test_what_belongs_to_a_cr_is_skipped_across_chunks_once() -> None:
    assert receive(b"a\r", b"\n", b"\n") == ["a", ""]
    assert receive(b"a\r", b"\0b\r", b"c\n") == ["a", "b", "c"]
    assert receive(b"a\r", b"", b"\n") == ["a"]
    # A whole plain line in between takes the quick way.
    assert receive(b"a\r", b"b\r\n", b"\n") == ["a", "b", ""]


def model(data: bytes, charset: str, chars_max: int) -> list[Event]:
    """The same, byte by byte, without a thought of speed."""
    lines: list[Event] = []
    line: list[int] = []
    too_long = after_cr = False
    for byte in data:
        if after_cr and byte in b"\n\0":
            after_cr = False
            continue
        after_cr = byte == 13
        if byte in b"\r\n":
            text = decode(bytes(line), charset)
            lines.append(LineTooLong() if too_long or len(text) > chars_max else text)
            line, too_long = [], False
        elif byte in b"\x08\x7f":
            if line and not too_long:
                line = line[:-1] if charset == LATIN_1 else shortened(line)
        elif byte in b"\t\x1b" or byte >= 32:
            line.append(byte)
            too_long = too_long or len(line) > 4 * chars_max
    return lines


def decode(line: bytes, charset: str) -> str:
    if charset == LATIN_1:
        return line.decode("latin-1")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("utf-8", "replace") if charset == UTF_8 else line.decode("latin-1")


def shortened(line: list[int]) -> list[int]:
    for count in (4, 3, 2):
        last = bytes(line[-count:])
        try:
            if len(last) == count and len(last.decode("utf-8")) == 1:
                return line[:-count]
        except UnicodeDecodeError:
            pass
    return line[:-1]


typed = st.lists(
    st.sampled_from(
        [
            b"look",
            b"\r\n",
            b"\r",
            b"\n",
            b"\0",
            b"\x08",
            b"\x7f",
            b"\x1b[A",
            b"\t",
            b"\xff",
            b"\xe9",
        ]
    )
    | st.sampled_from("é€😀\u202eaß").map(str.encode)
    | st.binary(max_size=3),
    max_size=40,
).map(b"".join)


@properties
@given(typed, cuts, st.sampled_from(["", UTF_8, LATIN_1]))
@example(b"\xc3\xa9\x7f\n", [], LATIN_1)  # a character of UTF-8, where each byte is one
def test_any_cutting_gives_what_a_plain_model_gives(
    data: bytes, places: list[int], charset: str
) -> None:
    assert receive(*cut(data, places), charset=charset, small=True) == model(data, charset, 6)


def test_memory_is_bounded_without_a_line_end() -> None:
    lines = Lines(LIMITS)
    for _ in range(200):
        assert lines.receive(b"x" * 65_536, "") == []
    assert footprint(lines) < 1_000


def test_memory_is_bounded_at_the_limit() -> None:
    lines = Lines(LIMITS)
    lines.receive(b"x" * 4 * LIMITS.line_chars_max, "")
    assert footprint(lines) < 5 * LIMITS.line_chars_max


@properties
@given(
    st.binary(min_size=1, max_size=80),
    st.sampled_from(["", UTF_8, LATIN_1, "GB18030", "GBK", "BIG5", "SHIFT-JIS", "EUC-KR", "CP437"]),
)
@example(b"\x80\x81", "GB18030")  # U+FFFD has four bytes there
def test_each_erasure_takes_something_and_little(data: bytes, charset: str) -> None:
    lines = Lines(LIMITS)
    lines._partial = bytearray(data)
    while lines._partial:
        before = bytes(lines._partial)
        lines.erase_character(charset)
        assert before.startswith(lines._partial)
        assert 1 <= len(before) - len(lines._partial) <= 64


@pytest.mark.parametrize(
    ("data", "charset", "text"),
    [
        ("né".encode(), "", "né"),
        ("n€".encode()[:-1], "", "n"),
        ("n€".encode()[:-1], UTF_8, "n"),
        (b"\xe9n", "", "én"),
        (b"n\xe9", "ascii", "n\N{REPLACEMENT CHARACTER}"),
        (b"", "", ""),
    ],
)
def test_an_incomplete_line_can_be_looked_at(data: bytes, charset: str, text: str) -> None:
    lines = Lines(LIMITS)
    assert list(lines.receive(data, charset)) == []
    assert lines.unfinished(charset) == text
    assert lines.pending == len(data)
