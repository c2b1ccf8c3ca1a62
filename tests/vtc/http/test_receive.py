"""Both sides of the limits of what is received, and how bodies are cut into parts."""

from __future__ import annotations

import pytest
from tests.vtc.cases import conversation
from tests.vtc.running import run_script

from holdfast.vtc.http import connection, receive
from holdfast.vtc.http.connection_state import ConnectionState
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.registry import commands
from holdfast.vtc.run.results import Outcome, RunSettings


@pytest.fixture(scope="module", autouse=True)
def _all_commands() -> None:
    """Load the commands before a limit that they import is changed."""
    commands(Context.HTTP)


CHUNKED = 'txresp -nolen -hdr "Transfer-Encoding: chunked"'
HEAD = "HTTP/1.1 200 OK\\r\\n"


def outcome(server: str, client: str) -> tuple[Outcome, str]:
    result = run_script(conversation(f"rxreq\n{server}", f"txreq\n{client}"))
    return result.outcome, result.reason


def passes(server: str, client: str) -> bool:
    found, reason = outcome(server, client)
    assert found is Outcome.PASSED, reason
    return True


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test reaches in no time."""
    assert connection.MESSAGE_BYTES_MAX == 2_097_152
    assert receive.CHUNK_LINE_BYTES_MAX == 4_096
    monkeypatch.setattr(receive, "MESSAGE_BYTES_MAX", 200)
    monkeypatch.setattr(receive, "CHUNK_LINE_BYTES_MAX", 8)
    monkeypatch.setattr(receive, "RECEIVE_BYTES_MAX", 16)


def padded(size: int, body: str = "") -> str:
    """A response whose head has `size` bytes."""
    field = "x" * (size - len("HTTP/1.1 200 OK\r\nX: \r\n\r\n"))
    return f'send "{HEAD}X: {field}\\r\\n\\r\\n{body}"'


def with_length(size: int, length: int) -> str:
    """A response whose head has `size` bytes, and a body of `length`."""
    told = f"Content-Length: {length}"
    field = "x" * (size - len(f"HTTP/1.1 200 OK\r\n{told}\r\nX: \r\n\r\n"))
    return f'send "{HEAD}{told}\\r\\nX: {field}\\r\\n\\r\\n"\nsend_n {length} "y"'


@pytest.mark.parametrize(("size", "fits"), [(199, True), (200, False), (201, False)])
def test_a_head_has_a_limit(size: int, fits: bool) -> None:
    found, reason = outcome(padded(size), "rxresp -no_obj\nexpect resp.status == 200")
    assert found is (Outcome.PASSED if fits else Outcome.FAILED), reason
    assert fits or reason.endswith("the message is longer than 200 bytes")


@pytest.mark.parametrize(("length", "fits"), [(99, True), (100, False)])
def test_a_message_of_a_length_has_a_limit(length: int, fits: bool) -> None:
    client = f"rxresp\nexpect resp.bodylen == {length}"
    found, reason = outcome(with_length(100, length), client)
    assert found is (Outcome.PASSED if fits else Outcome.FAILED), reason
    assert fits or reason.endswith("the message is longer than 200 bytes")


@pytest.mark.parametrize(("length", "fits"), [(99, True), (100, False)])
def test_a_message_to_the_end_of_the_stream_has_a_limit(length: int, fits: bool) -> None:
    client = f"rxresp\nexpect resp.bodylen == {length}"
    found, reason = outcome(padded(100, "y" * length), client)
    assert found is (Outcome.PASSED if fits else Outcome.FAILED), reason
    assert fits or reason.endswith("the message is longer than 200 bytes")


@pytest.mark.parametrize(("second", "fits"), [(49, True), (50, False)])
def test_chunks_have_a_limit_together(second: int, fits: bool) -> None:
    field = "x" * (100 - len("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: \r\n\r\n"))
    head = f'send "{HEAD}Transfer-Encoding: chunked\\r\\nX: {field}\\r\\n\\r\\n"'
    server = f"{head}\nchunkedlen 50\nchunkedlen {second}\nchunkedlen 0"
    found, reason = outcome(server, f"rxresp\nexpect resp.bodylen == {50 + second}")
    assert found is (Outcome.PASSED if fits else Outcome.FAILED), reason
    assert fits or reason.endswith("the message is longer than 200 bytes")


@pytest.mark.parametrize(("zeros", "fits"), [(5, True), (6, False)])
def test_the_line_of_a_chunk_has_a_limit(zeros: int, fits: bool) -> None:
    line = "0" * zeros + "1\\r\\n"  # with its end, 8 bytes and 9
    server = f'{CHUNKED}\nsend "{line}x\\r\\n0\\r\\n\\r\\n"'
    found, reason = outcome(server, "rxresp\nexpect resp.body == x")
    assert found is (Outcome.PASSED if fits else Outcome.FAILED), reason
    assert fits or reason.endswith("a chunk's length is longer than 8 bytes")


@pytest.mark.parametrize(
    ("line", "length"),
    [
        ("a\\r\\n", 10),
        ("0xA\\r\\n", 10),
        ("+A\\r\\n", 10),
        (" \\tA\\n", 10),
        ("A ; x\\r\\n", 10),
    ],
)
def test_the_length_of_a_chunk_is_read_as_the_reference_reads_it(line: str, length: int) -> None:
    server = f'{CHUNKED}\nsend "{line}0123456789\\r\\n"\nchunkedlen 0'
    assert passes(server, f"rxresp -no_obj\nrxchunk\nexpect resp.chunklen == {length}\nrxchunk")


@pytest.mark.parametrize(
    "line", ["-1\\r\\n", "g\\r\\n", "1g\\r\\n", "\\r\\n\\r\\n", "123456789\\n"]
)
def test_what_is_no_length_of_a_chunk_is_refused(
    monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setattr(receive, "CHUNK_LINE_BYTES_MAX", 20)
    found, reason = outcome(f'{CHUNKED}\nsend "{line}"', "rxresp")
    assert found is Outcome.FAILED
    assert "Chunklen fail" in reason


@pytest.mark.parametrize("end", ["\\r\\n", "\\nx"])
def test_a_chunk_ends_with_a_line_end(end: str) -> None:
    assert passes(f'{CHUNKED}\nsend "1\\r\\nx{end}"', "rxresp -no_obj\nrxchunk")


@pytest.mark.parametrize(
    ("most", "first", "rest"),
    [(0, "abcdefgh", "abcdefgh"), (3, "abc", "abcdefgh"), (8, "abcdefgh", "abcdefgh")],
)
@pytest.mark.parametrize("told", [True, False], ids=["length", "end-of-stream"])
def test_a_body_in_parts(most: int, first: str, rest: str, told: bool) -> None:
    server = "txresp -body abcdefgh" if told else "txresp -nolen -body abcdefgh"
    client = (
        f"rxresphdrs\nrxrespbody -max {most}\nexpect resp.body == {first}\n"
        f"expect resp.bodylen == {len(first)}\nrxrespbody\nexpect resp.body == {rest}\n"
        f"expect resp.bodylen == {len(rest)}"
    )
    assert passes(server, client)


@pytest.mark.parametrize(("most", "length"), [(1, 2), (2, 2), (3, 4), (0, 6)])
def test_chunks_in_parts(most: int, length: int) -> None:
    server = f"{CHUNKED}\nchunked ab\nchunked cd\nchunked ef\nchunkedlen 0"
    client = f"rxresphdrs\nrxrespbody -max {most}\nexpect resp.bodylen == {length}"
    assert passes(server, client)


def test_a_negative_length_is_none() -> None:
    server = f'send "{HEAD}Content-Length: -3\\r\\n\\r\\n"'
    assert passes(server, "rxresp\nexpect resp.bodylen == 0")


def test_the_coding_is_found_in_any_case_and_only_whole() -> None:
    server = f'send "{HEAD}transfer-encoding: CHUNKED\\r\\n\\r\\n2\\r\\nab\\r\\n0\\r\\n\\r\\n"'
    assert passes(server, "rxresp\nexpect resp.body == ab")
    server = f'send "{HEAD}Transfer-Encoding: gzip\\r\\n\\r\\nab"'
    assert passes(server, "rxresp\nexpect resp.body == ab")


@pytest.mark.parametrize("cut", range(1, 5))
def test_the_end_of_a_head_may_come_in_pieces(cut: int) -> None:
    end = ["\\r", "\\n", "\\r", "\\n"]
    pieces = "".join(end[:cut]), "".join(end[cut:])
    server = f'send "{HEAD}A: b{pieces[0]}"\ndelay .01\nsend "{pieces[1]}xyz"'
    assert passes(server, "rxresp -no_obj\nexpect resp.http.a == b\nrecv 3")


def test_an_end_in_the_line_of_a_chunk() -> None:
    found, reason = outcome(f'{CHUNKED}\nsend "1"', "rxresp")
    assert found is Outcome.FAILED
    assert "HTTP rx EOF" in reason


def test_a_body_that_is_cut_short_says_how_much_is_missing() -> None:
    server = 'txresp -hdr "Content-Length: 20" -body 0123456789abcdefg'
    found, reason = outcome(server, "rxresp")
    assert found is Outcome.FAILED
    assert reason.endswith("read: Success) 3")


def test_what_is_not_fatal_leaves_what_came() -> None:
    client = (
        "non_fatal\nrxresphdrs\nrxrespbody\nexpect resp.body == abc\nexpect resp.bodylen == <undef>"
    )
    assert passes('txresp -hdr "Content-Length: 5" -body abc', client.replace("== abc", '!= "x"'))


def test_a_peer_may_take_half_of_the_time_of_the_test() -> None:
    assert RunSettings(seconds_max=5.0).io_seconds_max == 2.5
    state = ConnectionState("c1", 2.5, is_client=True)
    assert (state.name, state.seconds_max, state.is_client) == ("c1", 2.5, True)
    assert (state.fatal, state.body_length, state.gzip_level) == (True, "", 0)


def test_a_request_has_its_parts_too() -> None:
    result = run_script(
        conversation(
            "rxreqhdrs\nrxreqbody\nexpect req.body == abc\ntxresp",
            "txreq -body abc\nrxresp",
        )
    )
    assert result.outcome is Outcome.PASSED, result.text()
