"""Names of character sets, from operators and from peers."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from encodings import aliases

import pytest

from holdfast.protocols.telnet import charsets
from holdfast.protocols.telnet.charsets import Charsets, known_charset, supported_charset

NAMES = {
    "utf8": "UTF-8",
    "UTF-8": "UTF-8",
    "latin1": "ISO-8859-1",
    "ISO_8859-1:1987": "ISO-8859-1",
    "iso8859-2": "ISO-8859-2",
    "us-ascii": "US-ASCII",
    "KOI8-R": "KOI8-R",
    "koi8-u": "KOI8-U",
    "windows-1251": "CP1251",
    "IBM437": "CP437",
    "CP437": "CP437",
    "Big5": "BIG5",
    "gbk": "GBK",
    "GB18030": "GB18030",
    "Shift_JIS": "SHIFT-JIS",
    "EUC-KR": "EUC-KR",
    # Not text, not ASCII, or not by lines.
    "UTF-16": None,
    "cp037": None,
    "utf-7": None,
    "iso-2022-jp": None,
    "hex": None,
    "rot13": None,
    "unknown": None,
    "": None,
    "a\0b": None,
}


@pytest.mark.parametrize("find", [known_charset, supported_charset])
@pytest.mark.parametrize(("name", "charset"), NAMES.items(), ids=map(repr, NAMES))
def test_names(find: Callable[[str], str | None], name: str, charset: str | None) -> None:
    assert find(name) == charset
    if charset is not None:
        assert find(charset) == charset
        assert "look".encode(charset) == b"look"


def test_a_peers_name_is_remembered_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for alias in aliases.aliases:
        known_charset(alias)
    monkeypatch.setattr(codecs, "lookup", lambda name: pytest.fail(f"looked up {name!r}"))
    assert known_charset("no_such_charset") is None
    assert known_charset("koi8_r") == "KOI8-R"


def test_what_is_no_utf_8_is_taken_for() -> None:
    assert Charsets().legacy == "ISO-8859-1"
    assert Charsets(fallback="KOI8-R").legacy == "KOI8-R"


class Codec(codecs.Codec):
    """US-ASCII, but for one character in one direction."""

    def __init__(self, encodes: tuple[str, str] = ("", ""), decodes: tuple[str, str] = ("", "")):
        self.encodes, self.decodes = encodes, decodes

    def info(self) -> codecs.CodecInfo:
        def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
            return text.replace(*self.encodes).encode("ascii"), len(text)

        def decode(data: object, errors: str = "strict") -> tuple[str, int]:
            assert isinstance(data, bytes)
            return data.decode("ascii").replace(*self.decodes), len(data)

        return codecs.CodecInfo(encode, decode, name="other")


@pytest.mark.parametrize("char", [" ", "~", "@", "\r", "\t", "\x1b"], ids=repr)
def test_a_charset_in_which_a_sign_of_ascii_is_another_is_not_supported(
    monkeypatch: pytest.MonkeyPatch, char: str
) -> None:
    for number, other in enumerate(
        (Codec(encodes=(char, "x")), Codec(decodes=(char, "x")), Codec(encodes=("\x7f", "x")))
    ):
        monkeypatch.setattr(codecs, "lookup", lambda name, other=other: other.info())
        charsets._supported.cache_clear()
        assert (supported_charset("other") is not None) is (number == 2), number
    charsets._supported.cache_clear()
