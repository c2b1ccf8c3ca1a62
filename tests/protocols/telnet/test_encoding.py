"""The sending side of the NVT: RFC 854, RFC 856, and what other character sets cannot say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import properties

from holdfast.protocols.telnet.charsets import LATIN_1, US_ASCII, UTF_8
from holdfast.protocols.telnet.codes import escape
from holdfast.protocols.telnet.encoding import encode

ROWS: dict[str, tuple[str, str, bytes]] = {
    "lf": (US_ASCII, "a\nb\n", b"a\r\nb\r\n"),
    "cr-lf-is-one-line-end": (US_ASCII, "a\r\nb", b"a\r\nb"),
    "cr-stays": (US_ASCII, "50%\r60%", b"50%\r\x0060%"),
    "cr-cr-lf": (US_ASCII, "a\r\r\n", b"a\r\0\r\n"),
    "lf-cr": (US_ASCII, "a\n\rb", b"a\r\n\r\0b"),
    "colours": (US_ASCII, "\x1b[1mhi\x1b[0m", b"\x1b[1mhi\x1b[0m"),
    "utf-8": (UTF_8, "é “q” 😀\n", "é “q” 😀\r\n".encode()),
    "utf-8-y-with-diaeresis-is-not-iac": (UTF_8, "ÿ", b"\xc3\xbf"),
    "utf-8-lone-surrogate": (UTF_8, "a\udc80b", b"a?b"),
    "latin-1": (LATIN_1, "é\n", b"\xe9\r\n"),
    "latin-1-iac-is-doubled": (LATIN_1, "aÿb", b"a\xff\xffb"),
    "latin-1-transliterates-the-rest": (LATIN_1, "é“œ”", b'\xe9"oe"'),
    "ascii-accents": (US_ASCII, "été Ünïcode", b"ete Unicode"),
    "ascii-combining": (US_ASCII, "e\u0301a", b"ea"),
    "ascii-quotes": (
        US_ASCII,
        "\u201ca\u201d \u2018b\u2019 \u2013 \u2014 \u2026 \xabc\xbb",
        b'"a" \'b\' - - ... "c"',
    ),
    "ascii-letters": (US_ASCII, "straße Øre", b"strasse Ore"),
    "ascii-euro": (US_ASCII, "5 €", b"5 EUR"),
    "ascii-ligature": (US_ASCII, "\ufb01n", b"fin"),
    "ascii-unknown": (US_ASCII, "a😀漢b", b"a??b"),
    "ascii-lone-surrogate": (US_ASCII, "a\udc80b", b"a?b"),
}


@pytest.mark.parametrize(("charset", "text", "data"), ROWS.values(), ids=ROWS)
def test_text_becomes_bytes(charset: str, text: str, data: bytes) -> None:
    assert encode(text, charset) == data


@pytest.mark.parametrize(
    ("text", "data"),
    [("a\rb", b"a\rb"), ("a\r\nb", b"a\r\nb"), ("a\nb", b"a\r\nb")],
    ids=["cr", "cr-lf", "lf"],
)
def test_in_binary_a_cr_needs_no_nul(text: str, data: bytes) -> None:
    assert encode(text, US_ASCII, binary=True) == data


@properties
@given(st.text(), st.sampled_from([UTF_8, LATIN_1, US_ASCII]))
def test_any_text_can_be_sent_and_nothing_in_it_is_a_command(text: str, charset: str) -> None:
    data = encode(text, charset)
    assert b"\xff" not in data.replace(b"\xff\xff", b"")
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert b"\r" not in data.replace(b"\r\n", b"").replace(b"\r\0", b"")
    if charset == US_ASCII:
        assert data.isascii()


@properties
@given(st.binary())
def test_escaping_doubles_each_iac(data: bytes) -> None:
    escaped = escape(data)
    assert escaped.replace(b"\xff\xff", b"\xff") == data
    assert len(escaped) == len(data) + data.count(255)
