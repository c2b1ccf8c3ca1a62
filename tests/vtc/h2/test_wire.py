"""Each command of a stream and its bytes, in both directions."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.vtc.running import run_script

from holdfast.vtc.h2.frames import PREFACE
from holdfast.vtc.run.results import Outcome, Result


class Peer:
    """The other end: it sends some bytes, and keeps what it gets."""

    def __init__(self, listener: socket.socket, says: bytes) -> None:
        self._listener = listener
        self._says = says
        self.heard = b""

    def run(self) -> None:
        sock, _ = self._listener.accept()
        with sock:
            sock.sendall(self._says)
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65_536):
                self.heard += data


@contextmanager
def peer(says: bytes) -> Iterator[tuple[Peer, str]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30.0)
        it = Peer(listener, says)
        thread = threading.Thread(target=it.run)
        thread.start()
        yield it, f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(30.0)


def as_client(stream: str, commands: str, says: bytes = b"") -> tuple[Result, bytes]:
    """Run commands on a stream of a client; the result, and the bytes behind the preface."""
    with peer(says) as (it, at):
        lines = f"stream {stream} {{\n{commands}\n}} -run"
        result = run_script(f"client c1 -connect {at} {{\ntxpri\n{lines}\n}} -run")
    assert it.heard.startswith(PREFACE)
    return result, it.heard.removeprefix(PREFACE)


def frame(kind: int, flags: int, stream: int, payload: str = "") -> bytes:
    """A frame from its payload in hexadecimal."""
    data = bytes.fromhex(payload)
    return len(data).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + data


def literal(name: str, value: str) -> str:
    """A field as a literal that is not indexed, in hexadecimal."""
    data = b"".join(bytes((len(word),)) + word.encode() for word in (name, value))
    return "00" + data.hex()


GET = literal(":path", "/") + literal(":method", "GET") + literal(":scheme", "http")

# the stream, its command, the frames
SENT: dict[str, tuple[str, str, bytes]] = {
    "a-reset": ("1", "txrst", frame(3, 0, 1, "00000000")),
    "a-reset-by-name": ("1", "txrst -err CANCEL", frame(3, 0, 1, "00000008")),
    "a-reset-by-number": ("3", "txrst -err 0xffffffff", frame(3, 0, 3, "ffffffff")),
    "a-priority": ("1", "txprio", frame(2, 0, 1, "00000000 00")),
    "a-priority-of-all": (
        "1", "txprio -stream 0x7fffffff -weight 255", frame(2, 0, 1, "7fffffff ff"),
    ),
    "an-exclusive-priority": (
        "1", "txprio -stream 3 -ex -weight 7", frame(2, 0, 1, "80000003 07"),
    ),
    "a-ping": ("0", "txping", frame(6, 0, 0, "00" * 8)),
    "a-ping-with-data": ("0", "txping -data 12345678", frame(6, 0, 0, b"12345678".hex())),
    "a-pong": ("0", "txping -ack -data abcdefgh", frame(6, 1, 0, b"abcdefgh".hex())),
    "a-goodbye": ("0", "txgoaway", frame(7, 0, 0, "00" * 8)),
    "a-goodbye-with-all": (
        "0",
        "txgoaway -err PROTOCOL_ERROR -laststream 5 -debug why",
        frame(7, 0, 0, "00000005 00000001" + b"why".hex()),
    ),
    "an-update": ("1", "txwinup -size 1000", frame(8, 0, 1, "000003e8")),
    "settings": ("0", "txsettings", frame(4, 0, 0)),
    "settings-ack": ("0", "txsettings -ack", frame(4, 1, 0)),
    "every-setting": (
        "0",
        "txsettings -hdrtbl 4096 -push true -maxstreams 3 -winsize 65535 -framesize 16384"
        " -hdrsize 7 -0x9 1",
        frame(
            4, 0, 0,
            "0001 00001000 0002 00000001 0003 00000003 0004 0000ffff 0005 00004000"
            " 0006 00000007 0009 00000001",
        ),
    ),
    "no-push": ("0", "txsettings -push false", frame(4, 0, 0, "0002 00000000")),
    "data": ("1", "txdata -data abc", frame(0, 1, 1, b"abc".hex())),
    "no-data": ("1", "txdata", frame(0, 1, 1)),
    "data-that-go-on": ("1", "txdata -data abc -nostrend", frame(0, 0, 1, b"abc".hex())),
    "data-of-a-length": ("1", "txdata -datalen 3", frame(0, 1, 1, b'!"\n'.hex())),
    "padded-data": ("1", "txdata -data abc -pad xy", frame(0, 9, 1, b"\2abcxy".hex())),
    "data-with-padding-of-a-length": (
        "1", "txdata -data abc -padlen 2", frame(0, 9, 1, b"\2abc!\n".hex()),
    ),
    "a-request": ("1", "txreq", frame(1, 5, 1, GET)),
    "a-request-of-its-own": (
        "1",
        "txreq -url /x -method PUT -scheme https",
        frame(
            1, 5, 1,
            literal(":path", "/x") + literal(":method", "PUT") + literal(":scheme", "https"),
        ),
    ),
    "a-request-with-one-of-its-own": (
        "1",
        "txreq -req PUT -hdr a b",
        frame(
            1, 5, 1,
            literal(":method", "PUT") + literal("a", "b") + literal(":path", "/")
            + literal(":scheme", "http"),
        ),
    ),
    "a-request-without-fields": ("1", "txreq -noadd", frame(1, 5, 1)),
    "a-request-that-goes-on": ("1", "txreq -noadd -nostrend", frame(1, 4, 1)),
    "fields-that-go-on": ("1", "txreq -noadd -nohdrend", frame(1, 1, 1)),
    "a-request-with-a-body": (
        "1", "txreq -noadd -body abc", frame(1, 4, 1) + frame(0, 1, 1, b"abc".hex()),
    ),
    "a-padded-request": ("1", "txreq -noadd -pad xy", frame(1, 13, 1, b"\2xy".hex())),
    "a-request-with-a-priority": (
        "1", "txreq -noadd -dep 3 -ex -weight 9", frame(1, 37, 1, "80000003 09"),
    ),
    "a-request-with-a-dependency": ("1", "txreq -noadd -dep 3", frame(1, 37, 1, "00000003 10")),
    "a-request-with-a-weight": ("1", "txreq -noadd -weight 1", frame(1, 37, 1, "00000000 01")),
    "padding-and-priority": (
        "1", "txreq -noadd -pad xy -dep 3", frame(1, 45, 1, "02 00000003 10" + b"xy".hex()),
    ),
    "a-field-by-index": ("1", "txreq -noadd -idxHdr 2", frame(1, 5, 1, "82")),
    "a-name-by-index": (
        "1", "txreq -noadd -litIdxHdr inc 4 plain /x", frame(1, 5, 1, "44 02" + b"/x".hex()),
    ),
    "a-name-by-index-not-indexed": (
        "1", "txreq -noadd -litIdxHdr not 4 plain /x", frame(1, 5, 1, "04 02" + b"/x".hex()),
    ),
    "a-name-by-index-never-indexed": (
        "1", "txreq -noadd -litIdxHdr never 4 plain /x", frame(1, 5, 1, "14 02" + b"/x".hex()),
    ),
    "a-compressed-value": (
        "1",
        "txreq -noadd -litHdr inc plain custom-key huf www.example.com",
        frame(
            1, 5, 1,
            "40 0a" + b"custom-key".hex() + "8c f1e3c2e5f23a6ba0ab90f4ff",  # RFC 7541 C.4.1
        ),
    ),
    "a-continuation": ("1", "txcont -hdr a b", frame(9, 4, 1, literal("a", "b"))),
    "a-continuation-that-goes-on": ("1", "txcont -nohdrend", frame(9, 0, 1)),
    "bytes": ("1", "sendhex {00 01 ff}", b"\x00\x01\xff"),
    "two-in-order": ("1", "txrst\ntxrst", frame(3, 0, 1, "00" * 4) * 2),
}  # fmt: skip


@pytest.mark.parametrize(("stream", "command", "sent"), SENT.values(), ids=SENT)
def test_a_command_has_its_bytes(stream: str, command: str, sent: bytes) -> None:
    result, heard = as_client(stream, command)
    assert result.outcome is Outcome.PASSED, result.text()
    assert heard == sent


# what comes, the stream, the commands that receive it
RECEIVED: dict[str, tuple[bytes, str, str]] = {
    "a-reset": (frame(3, 0, 1, "00000008"), "1", "rxrst\nexpect rst.err == CANCEL"),
    "a-priority": (
        frame(2, 0, 1, "80000003 09"),
        "1",
        "rxprio\nexpect prio.stream == 3\nexpect prio.exclusive == true\nexpect prio.weight == 9\n"
        "expect stream.weight == 9\nexpect stream.dependency == 3",
    ),
    "no-priority": (b"", "1", "expect stream.weight == 16\nexpect stream.dependency == 0"),
    "a-ping": (
        frame(6, 0, 0, b"12345678".hex()),
        "0",
        "rxping\nexpect ping.data == 12345678\nexpect ping.ack == false",
    ),
    "a-pong": (frame(6, 1, 0, b"12345678".hex()), "0", "rxping\nexpect ping.ack == true"),
    "a-goodbye": (
        frame(7, 0, 0, "00000005 00000001" + b"why".hex()),
        "0",
        "rxgoaway\nexpect goaway.laststream == 5\nexpect goaway.err == 1\n"
        "expect goaway.debug == why",
    ),
    "a-goodbye-without-words": (
        frame(7, 0, 0, "00" * 8), "0", "rxgoaway\nexpect goaway.debug == <undef>",
    ),
    "an-update-of-a-stream": (
        frame(8, 0, 1, "00000007"),
        "1",
        "expect stream.peer_window == 65535\nrxwinup\nexpect winup.size == 7\n"
        "expect stream.peer_window == 65542\nexpect stream.window == 65535",
    ),
    "an-update-of-the-connection": (
        frame(8, 0, 0, "00000007"), "0", "rxwinup\nexpect stream.peer_window == 65542",
    ),
    "settings": (
        frame(
            4, 0, 0,
            "0001 00001000 0002 00000001 0003 00000003 0004 0000ffff 0005 00004000 0006 00000007",
        ),
        "0",
        "rxsettings\nexpect settings.ack == false\nexpect settings.hdrtbl == 4096\n"
        "expect settings.push == true\nexpect settings.maxstreams == 3\n"
        "expect settings.winsize == 65535\nexpect settings.framesize == 16384\n"
        "expect settings.hdrsize == 7\nexpect tbl.enc.maxsize == 4096",
    ),
    "settings-of-nothing": (
        frame(4, 1, 0),
        "0",
        "rxsettings\nexpect settings.ack == true\nexpect settings.push == <undef>\n"
        "expect settings.winsize == <undef>",
    ),
    "no-push": (frame(4, 0, 0, "0002 00000000"), "0", "rxsettings\nexpect settings.push == false"),
    "data": (
        frame(0, 0, 1, b"abc".hex()) + frame(0, 1, 1, b"de".hex()),
        "1",
        "rxdata -all\nexpect resp.body == abcde\nexpect resp.bodylen == 5\n"
        "expect stream.window == 65530\nexpect frame.size == 2\nexpect frame.stream == 1\n"
        "expect frame.type == 0\nexpect frame.data == de",
    ),
    "some-data": (
        frame(0, 0, 1, b"a".hex()) * 3,
        "1",
        "rxdata -some 2\nexpect resp.body == aa\nrxdata\nexpect resp.body == aaa",
    ),
    "padded-data": (
        frame(0, 9, 1, b"\2abcxy".hex()),
        "1",
        "rxdata\nexpect frame.padding == 2\nexpect resp.body == abc\nexpect stream.window == 65532",
    ),
    "a-response": (
        frame(1, 5, 1, literal(":status", "404") + literal("Name", "value")),
        "1",
        "rxresp\nexpect resp.status == 404\nexpect resp.http.name == value\n"
        "expect resp.http.other == <undef>\nexpect resp.body == <undef>\nexpect resp.bodylen == 0",
    ),
    "a-response-in-parts": (
        frame(1, 0, 1, literal(":status", "200")) + frame(9, 4, 1, literal("a", "b"))
        + frame(0, 0, 1, b"x".hex()) + frame(0, 1, 1, b"y".hex()),
        "1",
        "rxresp\nexpect resp.status == 200\nexpect resp.http.a == b\nexpect resp.body == xy",
    ),
    "a-response-behind-an-update": (
        frame(8, 0, 1, "00000001") + frame(1, 5, 1, literal(":status", "200")),
        "1",
        "rxresp\nexpect resp.status == 200",
    ),
    "fields-in-parts": (
        frame(1, 0, 1) + frame(9, 0, 1) + frame(9, 4, 1) + frame(3, 0, 1, "00000000"),
        "1",
        "rxhdrs\nrxcont -some 2\nrxrst",
    ),
    "all-fields": (
        frame(1, 0, 1) + frame(9, 0, 1) + frame(9, 4, 1) + frame(3, 0, 1, "00000000"),
        "1",
        "rxhdrs -all\nexpect frame.type == 9\nrxrst",
    ),
    "a-promise": (
        frame(5, 4, 1, "00000002" + literal(":path", "/x")),
        "1",
        "rxpush\nexpect push.id == 2\nexpect req.url == /x",
    ),
    "any-frame": (
        frame(6, 0, 1, b"12345678".hex()), "1", "rxframe\nexpect frame.type == 6",
    ),
    "a-priority-with-the-fields": (
        frame(1, 37, 1, "80000003 09" + literal(":status", "200")),
        "1",
        "rxresp\nexpect stream.weight == 9\nexpect stream.dependency == 3",
    ),
    "a-window-of-another-size": (
        frame(4, 0, 0, "0004 00000064"),
        "0",
        "rxsettings\nexpect settings.winsize == 100\nexpect stream.peer_window == 65535",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("says", "stream", "commands"), RECEIVED.values(), ids=RECEIVED)
def test_what_comes_has_its_values(says: bytes, stream: str, commands: str) -> None:
    result, _ = as_client(stream, commands, says)
    assert result.outcome is Outcome.PASSED, result.text()


@pytest.mark.parametrize(
    ("stream", "command", "reason"),
    [
        ("1", "txrst -err 0x100000000", "-err must be a 32-bits integer (found 0x100000000)"),
        ("1", "txprio -stream 0x80000000", "-stream must be a 31-bits integer"),
        ("1", "txprio -weight 256", "-weight must be a 8-bits integer (found 256)"),
        ("0", "txgoaway -laststream 0x80000000", "-laststream must be a 31-bits integer"),
        ("1", "txreq -weight 256", "-weight must be a 8-bits integer"),
        ("1", "txreq -dep 0x100000000", "-dep must be a 32-bits integer"),
        ("1", "txdata -padlen 256", "Padding is limited to 255 bytes"),
        ("1", "txdata -pad a -pad b", "a second padding"),
        ("1", "txdata -data a -datalen 3", "a second body"),
        ("1", "txreq -noadd -litIdxHdr inc 99 plain x", ""),
        ("0", "txsettings -0x10000 1", "Invalid settings tag"),
        ("0", "txping -data 123456789", "data must be a 8-char string"),
        ("1", "sendhex 0g", "Illegal hex string"),
        ("1", "rxdata -some 0", '-some argument must be more than 0 (found "0")'),
    ],
)
def test_what_cannot_be_sent_is_refused(stream: str, command: str, reason: str) -> None:
    result, heard = as_client(stream, command)
    assert result.outcome is Outcome.FAILED
    assert reason in result.reason
    assert heard == b""


@pytest.mark.parametrize(
    ("says", "command", "reason"),
    [
        (frame(6, 0, 1, "00" * 8), "rxrst", "Wrong frame type PING (6) wanted RST_STREAM"),
        (
            frame(1, 0, 1) + frame(0, 0, 1),
            "rxhdrs -all",
            "Expected CONTINUATION frame for stream 1",
        ),
        (frame(1, 4, 1) + frame(1, 4, 1), "rxresp", "Frame #2 for rxresp was of type HEADERS (1)"),
        (frame(3, 0, 1, "0000"), "rxrst", "Size should be 4, but isn't (2)"),
        (frame(1, 5, 1, "ff"), "rxresp", "Header decoding failed"),
        (b"\x00\x00", "rxrst", "could not get frame header: end of the stream"),
        (frame(3, 0, 1, "00000000")[:-1], "rxrst", "could not get frame body: end of the stream"),
        (b"\xff\xff\xff" + bytes(6), "rxrst", "the frame is longer than 2097152 bytes"),
    ],
)
def test_what_should_not_come_fails_the_test(says: bytes, command: str, reason: str) -> None:
    result, _ = as_client("1", command, says)
    assert result.outcome is Outcome.FAILED
    assert reason in result.reason
