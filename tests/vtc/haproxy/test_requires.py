from pathlib import Path

import pytest

from holdfast.vtc.haproxy import processes as process
from holdfast.vtc.haproxy.processes import haproxy_program
from holdfast.vtc.haproxy.requires import (
    HaproxyFacts,
    parse_facts,
    parse_version,
    requirements,
    why_not,
)

SAID = """\
HAProxy version 2.6.12-1+deb12u1 2023/12/16 - https://
Build options :
  TARGET  = linux-glibc
  CPU     = generic

Feature list : -51DEGREES +LUA +OPENSSL -QUIC +SLZ -ZLIB

Available services : prometheus-exporter
Available filters :
"""
FACTS = HaproxyFacts(
    (2, 6, 12, 0),
    "linux-glibc",
    frozenset({"LUA", "OPENSSL", "SLZ"}),
    frozenset({"prometheus-exporter"}),
)


def test_haproxy_says_what_it_is() -> None:
    assert parse_facts(SAID) == FACTS
    assert parse_facts("something else") is None


@pytest.mark.parametrize(
    ("text", "version"),
    [("2.6.12-1+deb12u1", (2, 6, 12, 0)), ("2.7-dev0", (2, 7, 0, 0)), ("3", (3, 0, 0, 0))],
)
def test_versions_have_four_numbers(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("comment", "reason"),
    [
        ("", ""),
        ("#REQUIRE_VERSION=2.6", ""),
        ("#REQUIRE_VERSION=2.6.12", ""),
        ("#REQUIRE_VERSION=2.6.13", "requires HAProxy 2.6.13"),
        ("#REQUIRE_VERSION_BELOW=2.7", ""),
        ("#REQUIRE_VERSION_BELOW=2.6.12", "requires HAProxy below 2.6.12"),
        ("#REQUIRE_OPTIONS=OPENSSL,LUA", ""),
        ("#REQUIRE_OPTIONS=ZLIB|SLZ", ""),
        ("#REQUIRE_OPTIONS=OPENSSL,QUIC", "requires option QUIC"),
        ("#REQUIRE_OPTION=QUIC, this needs QUIC", "requires option QUIC"),
        ("#REQUIRE_SERVICE=prometheus-exporter", ""),
        ("#REQUIRE_SERVICES=foo", "requires service foo"),
        ("#EXCLUDE_TARGETS=dos,linux-glibc", "excludes target linux-glibc"),
        ("#EXCLUDE_TARGET=freebsd, no abns there", ""),
        ("#REGTEST_TYPE=slow", ""),
        ("# REQUIRE_VERSION=9.9", ""),
    ],
)
def test_a_script_says_in_comments_what_it_needs(comment: str, reason: str) -> None:
    assert why_not(f'vtest "x"\n{comment}\n', FACTS) == reason


def test_without_haproxy_nothing_that_needs_one_runs() -> None:
    assert why_not('vtest "x"\n#REQUIRE_VERSION=1.0\n', None) == "there is no haproxy"
    assert why_not('vtest "x"\n', None) == ""


def test_the_haproxy_that_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, sbin, none = (tmp_path / name for name in ("first", "sbin", "none"))
    for folder in (first, sbin):
        folder.mkdir()
        (folder / "haproxy").touch(0o755)
    monkeypatch.setattr(process, "_SBIN", (str(sbin),))
    path = bytes(first)
    assert haproxy_program({b"HAPROXY_PROGRAM": b"my own", b"PATH": path}) == "my own"
    assert haproxy_program({b"PATH": path}) == str(first / "haproxy")
    assert haproxy_program({b"PATH": bytes(none), b"HAPROXY_PROGRAM": b""}) == str(sbin / "haproxy")
    monkeypatch.setattr(process, "_SBIN", ())
    assert haproxy_program({b"PATH": bytes(none)}) == "haproxy"


def test_words_are_parted_by_commas() -> None:
    assert requirements("#REQUIRE_OPTIONS=A, B,C|D\n#REQUIRE_OPTION=E,reason\n") == {
        "REQUIRE_OPTIONS": ["A", "B", "C|D", "E"]
    }
