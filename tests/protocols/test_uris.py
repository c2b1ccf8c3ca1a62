"""Request targets, hosts and origins in the form in which equal ones are equal."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols.uris import (
    Origin,
    ascii_host,
    bracketed,
    encode_target,
    normal_path,
    parse_origin,
    split_authority,
    split_target,
    without_user,
)

# --- targets (RFC 3986, 3987, 9112)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("/a/b?c=d", "/a/b?c=d"),
        ("/caf\u00e9", "/caf%C3%A9"),
        ("/%41", "/%41"),
        ("/100%", "/100%25"),
        ("/%zz%4", "/%25zz%254"),
        ('/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("/a b", "/a%20b"),
        ("/[x]~*'()!;:@&=+$,", "/[x]~*'()!;:@&=+$,"),
    ],
)
def test_a_target_is_written_as_a_uri(text: str, encoded: str) -> None:
    assert encode_target(text) == encoded


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_encoded_target_stays_as_it_is(text: str) -> None:
    encoded = encode_target(text)
    assert encoded.isascii()
    assert " " not in encoded
    assert encode_target(encoded) == encoded


def test_what_is_no_text_has_no_target() -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - a subclass: UnicodeEncodeError
        encode_target("/\ud800")


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/%7Euser/%41%2e", "/~user/A."),
        ("/a%2fb", "/a%2Fb"),
        ("/%", "/%"),
        ("/A", "/A"),
    ],
)
def test_equal_paths_are_the_same_text(path: str, normal: str) -> None:
    """RFC 3986 section 6.2.2."""
    assert normal_path(path) == normal


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("/a?b", (None, "/a?b")),
        ("//a/b", (None, "//a/b")),
        ("http://h/a?b", ("h", "/a?b")),
        ("HTTPS://h:1", ("h:1", "/")),
        ("ws://h?a", ("h", "/?a")),
        ("*", (None, "*")),
        ("h:443", (None, "h:443")),
        ("ftp://h/a", (None, "ftp://h/a")),
    ],
)
def test_a_target_may_be_a_whole_url(target: str, parts: tuple[str | None, str]) -> None:
    """RFC 9112 section 3.2.2."""
    assert split_target(target) == parts


# --- hosts and origins (RFC 6454, 9110)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Example.ORG", ("example.org", None)),
        ("example.org:8080", ("example.org", 8080)),
        ("example.org.:80", ("example.org.", 80)),
        ("example.org:", ("example.org", None)),
        ("[::1]", ("::1", None)),
        ("[::1]:80", ("::1", 80)),
        ("b\u00fccher.example", ("xn--bcher-kva.example", None)),
        ("", None),
        (":80", None),
        ("a:b", None),
        ("a:+1", None),
        ("a:12345", ("a", 12345)),
        ("a:123456", None),
        ("a..b", ("a..b", None)),
        ("A" * 64, ("a" * 64, None)),
        ("::1", None),
        ("[::1", None),
        ("[::1]x", None),
    ],
)
def test_an_authority_has_a_host_and_maybe_a_port(
    text: str, parts: tuple[str, int | None] | None
) -> None:
    assert split_authority(text) == parts


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://example.org", Origin("https", "example.org", 443)),
        ("https://example.org:443", Origin("https", "example.org", 443)),
        ("HTTP://Example.ORG", Origin("http", "example.org", 80)),
        ("http://[::1]:8080", Origin("http", "::1", 8080)),
        ("chrome-extension://abcdef", Origin("chrome-extension", "abcdef", 0)),
        ("ws://a", Origin("ws", "a", 80)),
        ("wss://a", Origin("wss", "a", 443)),
        ("null", None),
        ("", None),
        ("https://", None),
        ("://example.org", None),
        ("https://example.org/", None),
        ("https://example.org?x", None),
        ("https://a@example.org", None),
        ("https://a, https://b", None),
    ],
)
def test_an_origin_is_a_scheme_a_host_and_a_port(text: str, origin: Origin | None) -> None:
    assert parse_origin(text) == origin


@given(st.text())
def test_any_text_is_an_authority_or_none(text: str) -> None:
    split_authority(text)
    parse_origin(text)
    parse_origin(f"https://{text}")


def test_a_name_that_is_too_long_is_none() -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - a subclass: UnicodeError
        ascii_host("\u00fc" * 100)


@pytest.mark.parametrize("unit", ["%", "%a", "%41", ":", "/", "[", "a.", "\u00fc.", "http://"])
def test_everything_is_read_in_linear_time(unit: str) -> None:
    text = unit * (1 << 16)
    begin = time.process_time()
    for function in (encode_target, normal_path, split_target, split_authority, parse_origin):
        function(text)
    parse_origin(f"https://{text}")
    assert time.process_time() - begin < 5.0  # quadratic time would be minutes


@pytest.mark.parametrize(
    ("host", "written"), [("example.org", "example.org"), ("::1", "[::1]"), ("1.2.3.4", "1.2.3.4")]
)
def test_a_host_is_written_as_in_an_authority(host: str, written: str) -> None:
    assert bracketed(host) == written


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://db.example:5432/name", "postgresql://db.example:5432/name"),
        ("postgresql://user@db.example/name", "postgresql://db.example/name"),
        ("postgresql://user:secret@db.example/name", "postgresql://db.example/name"),
        ("postgresql://user:se/cr#e?t@db.example/name", "postgresql://db.example/name"),
        ("postgresql://user:se@cret@db.example/name", "postgresql://db.example/name"),
        ("postgresql://db.example/name?password=secret", "postgresql://db.example/name"),
        ("https://app.example/x#secret", "https://app.example/x"),
        ("unix:/run/a@b", "unix:/run/a@b"),
        ("words", "words"),
        ("", ""),
    ],
)
def test_a_uri_is_shown_without_its_secrets(uri: str, shown: str) -> None:
    assert without_user(uri) == shown
