"""What requests and responses have by themselves, and both sides of what can be made up."""

from __future__ import annotations

import pytest
from tests.vtc.cases import conversation
from tests.vtc.running import run_script

from holdfast.vtc.http import message
from holdfast.vtc.http.message import Draft
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.registry import commands
from holdfast.vtc.run.results import Outcome


@pytest.fixture(scope="module", autouse=True)
def _all_commands() -> None:
    """Load the commands before a limit that they import is changed."""
    commands(Context.HTTP)


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("Content-Length: 3", "host date Server"),
        ("transfer-encoding: chunked", "host date Server"),
        ("HOST: h", "length date Server"),
        ("Date: today", "length host Server"),
        ("server: me", "length host date"),
        ("User-Agent: me", "length host date Server"),
        ("Server", "length host date Server"),
        ("X: Host: y", "length host date Server"),
    ],
)
def test_a_field_of_the_script_takes_the_place_of_the_one_made_up(line: str, left: str) -> None:
    draft = Draft(["GET / HTTP/1.1"], host=True, date=True, sender="Server", body=b"")
    draft.add_field(line)
    assert draft.lines == ["GET / HTTP/1.1", line]
    words = [name for name in ("length", "host", "date") if getattr(draft, name)]
    assert " ".join([*words, draft.sender]).strip() == left


def test_a_draft_has_a_length_and_no_body_at_first() -> None:
    draft = Draft(["GET / HTTP/1.1"], host=True, date=True, sender="Server")
    assert (draft.body, draft.length, draft.body_given) == (None, True, False)


@pytest.mark.parametrize("command", ["-bodylen", "-gziplen"])
@pytest.mark.parametrize(
    ("word", "length"), [("1", 1), ("10", 10), ("0x9", 9), ("0", 0), ("11", 0), ("-1", 0), ("x", 0)]
)
def test_a_body_that_is_made_up_has_a_limit(
    monkeypatch: pytest.MonkeyPatch, command: str, word: str, length: int
) -> None:
    monkeypatch.setattr(message, "GENERATED_BYTES_MAX", 10)
    unpacked = "gunzip\n" if command == "-gziplen" else ""
    script = conversation(
        f"rxreq\n{unpacked}expect req.bodylen == {length}\ntxresp",
        f"txreq {command} {word}\nrxresp",
    )
    result = run_script(script)
    if length:
        assert result.outcome is Outcome.PASSED, result.text()
    else:
        assert result.outcome is Outcome.FAILED
        assert result.reason == f"a body's length is 1 to 10: {word}"


def test_no_script_makes_up_more_than_64_mib() -> None:
    assert message.GENERATED_BYTES_MAX == 67_108_864


# what stands in txreq, what the server finds
SENT = {
    "a-length": ("-body abc", "expect req.http.content-length == 3"),
    "no-length": ("-nolen -body abc", "expect req.http.content-length == <undef>\nrecv 3"),
    "no-second-length": (
        '-hdr "Content-Length: 1" -body abc',
        "expect req.http.content-length == 1\nrecv 2",
    ),
    "a-date-is-the-servers": ("", "expect req.http.date == <undef>"),
    "an-own-host": ('-hdr "host: h"', "expect req.http.host == h"),
    "no-host": ("-nohost", "expect req.http.host == <undef>"),
    "no-date": ("-nodate", "expect req.http.host == 127.0.0.1"),
    "an-own-agent": ('-hdr "user-agent: me"', "expect req.http.user-agent == me"),
    "a-field-of-digits": ("-hdrlen X 3", "expect req.http.x == 210"),
    "a-field-of-one-digit": ("-hdrlen X 1", "expect req.http.x == 0"),
    "a-field-of-eleven-digits": ("-hdrlen X 11", "expect req.http.x == 09876543210"),
    "an-empty-field": ("-hdrlen X 0", 'expect req.http.x == ""'),
    "a-nul-and-a-digit": (
        "-body {a\\\\01}",
        "expect req.bodylen == 3\nexpect req.body == a",
    ),
    "two-nuls": ("-body {\\\\0\\\\0}", "expect req.bodylen == 3"),
    "zipped": (
        "-gziplevel 9 -gzipbody aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "expect req.http.content-encoding == gzip\nexpect req.bodylen < 40\ngunzip\n"
        "expect req.bodylen == 51",
    ),
    "zipped-without-compression": (
        "-gzipbody aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "expect req.bodylen > 51",
    ),
    "the-last-zipped-body": (
        "-gzipbody abc -gzipbody de",
        "expect req.http.content-encoding == gzip\ngunzip\nexpect req.body == de",
    ),
    "a-residual-is-ignored": ("-gzipresidual 3 -body abc", "expect req.body == abc"),
    "an-upper-method": ("-req PUT -method GET", "expect req.method == PUT"),
    "the-last-url": ("-url /a -url /b", "expect req.url == /b"),
}


@pytest.mark.parametrize(("options", "found"), SENT.values(), ids=SENT)
def test_what_a_request_has(options: str, found: str) -> None:
    script = conversation(f"rxreq\n{found}\ntxresp", f"txreq {options}\nrxresp")
    result = run_script(script.replace("\\\\0", "\\0"))
    assert result.outcome is Outcome.PASSED, result.text()


# what stands in txresp, what the client finds
ANSWERED = {
    "a-length": ("", "expect resp.http.content-length == 0"),
    "no-length": ("-nolen", "expect resp.http.content-length == <undef>"),
    "an-own-date": ('-hdr "Date: today"', "expect resp.http.date == today"),
    "no-date": ("-nodate", "expect resp.http.date == <undef>\nexpect resp.http.server == s1"),
    "an-own-server": ('-hdr "server: me"', "expect resp.http.server == me"),
    "no-server": ("-noserver", 'expect resp.http.server == <undef>\nexpect resp.http.date ~ "G"'),
    "no-host": ("-nohost", "expect resp.http.host == <undef>"),
    "a-reason-of-none": ('-reason ""', 'expect resp.reason == ""'),
}


@pytest.mark.parametrize(("options", "found"), ANSWERED.values(), ids=ANSWERED)
def test_what_a_response_has(options: str, found: str) -> None:
    script = conversation(f"rxreq\ntxresp {options}", f"txreq\nrxresp\n{found}")
    if "-nolen" in options:
        script = script.replace("rxresp", "rxresp -no_obj")
    result = run_script(script)
    assert result.outcome is Outcome.PASSED, result.text()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("-gzipbody a -body b", "txreq: a second body"),
        ("-body a -bodylen 3", "txreq: a second body"),
        ("-gziplevel 10 -gzipbody a", "Gzip error"),
        ("-hdr {A: b} -method GET", "Unknown http txreq spec: -method"),
        ("-hdrlen X", "-hdrlen: NAME NUMBER is missing"),
    ],
)
def test_what_a_request_cannot_have(options: str, reason: str) -> None:
    result = run_script(conversation("rxreq", f"txreq {options}"))
    assert result.outcome is Outcome.FAILED
    assert reason in result.reason, result.text()
