"""What a specification needs is there before its connection is."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.vtc.running import SECONDS_MAX, run_script

from holdfast.vtc.io.socket_address import peer_address
from holdfast.vtc.io.stream_socket import StreamSocket
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.prepare import prepare
from holdfast.vtc.language.source import Source

_SIOCOUTQNSD = 0x894B
"""`ioctl`: bytes that were written and not sent (linux/sockios.h)."""

WATCHED = """\
import sys
seen = []
def watch(event, args):
    if event == "socket.connect":
        seen.append("connected")
    elif event in ("import", "compile", "open") and seen and "/vtc." not in str(args[0]):
        seen.append(f"{event} {args[0]!r:.80}")
sys.addaudithook(watch)
from holdfast.vtc.program import main
sys.argv = ["holdfast-vtest", "-q", "watched.vtc"]
status = main()
print(status, *seen, sep="\\n")
"""

EVERYTHING = r"""
vtest "each command of a client and a server is used for the first time"

server s1 {
    recv 16
    loop 1 {
        rxreq
        expect req.http.host ~ "^[a-z0-9.]+"
        barrier b1 sync
        txresp -hdr "A: b" -bodylen 10
    }
    chunkedlen 2
} -start

barrier b1 cond 2

client c1 -connect ${s1_sock} -proxy2 "1.2.3.4:5 6.7.8.9:10" {
    txreq -url "/${localhost}"
    barrier b1 sync
    rxresp
    expect resp.status ~ "^2..$"
    expect resp.http.a == "b"
    recv 7
} -run
"""


def test_nothing_is_imported_compiled_or_read_while_a_peer_waits(tmp_path: Path) -> None:
    text = EVERYTHING.replace("recv 16", "recv 28")  # the PROXY header: 16 and 12 bytes
    (tmp_path / "watched.vtc").write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.stdout.splitlines() == ["0", "connected"], done.stdout + done.stderr


def test_a_specification_is_cut_once() -> None:
    spec = Source("f", "loop 2 {\n rxreq\n txresp\n}\n").whole()
    prepare(spec, Context.HTTP)
    before = spec.specification
    assert before is not None
    inner = before.commands[0].words[2]
    assert inner.specification is not None
    assert [command.line for command in inner.specification.commands] == ["rxreq", "txresp"]
    prepare(spec, Context.HTTP)
    assert spec.specification is before


def test_what_is_wrong_is_told_when_its_command_runs(tmp_path: Path) -> None:
    result = run_script(f'shell {{touch {tmp_path}/ran}}\nshell "unfinished\n')
    assert (tmp_path / "ran").exists()
    assert result.failure is not None
    assert "Unterminated quoted string" in str(result.failure)


@pytest.mark.parametrize(
    ("commands", "first"),
    [
        ('sendhex "31 32"\nsend "3"\nsend_n 3 "4"\nchunked "5"\nrecv 1', b"1234441\r\n5\r\n"),
        ('send "PROXY"\ntxreq -nouseragent -nohost\nrecv 1', b"PROXYGET / HTTP/1.1\r\n\r\n"),
        ('loop 2 {\nsend "1"\nsend "2"\n}\nrecv 1', b"12"),
    ],
    ids=["raw bytes", "and a request", "a loop's turn is a border"],
)
def test_what_is_written_at_once_leaves_in_one_piece(commands: str, first: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        got: list[bytes] = []

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                got.append(connection.recv(65536))
                connection.sendall(b".")
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        result = run_script(f"client c1 -connect {address} {{\n{commands}\n}} -run\n")
        thread.join(SECONDS_MAX)
    assert result.failure is None
    assert got[0].startswith(first)


async def test_an_empty_send_lets_go_of_what_was_held_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    wire = StreamSocket(ours, peer_address(ours))
    with theirs:
        await wire.send(b"held", more=True)
        assert _unsent(wire) == 4
        await wire.send(b"")
        assert _unsent(wire) == 0
    wire.close()


def _unsent(wire: StreamSocket) -> int:
    """How many bytes the kernel holds back."""
    (count,) = struct.unpack("i", fcntl.ioctl(wire.fd, _SIOCOUTQNSD, bytes(4)))
    return int(count)
