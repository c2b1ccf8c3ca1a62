"""The load of the Telnet benchmark: a client on a blocking socket."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Sequence

from bench.harness import Missing
from holdfast.protocols.telnet import codes

_NEGOTIATION = {codes.DO: codes.WONT, codes.WILL: codes.DONT}
"""What is asked, and its refusal."""
_MARK = b"ready"
_BEGIN = bytes((codes.IAC, codes.SB, codes.MCCP2, codes.IAC, codes.SE))


class Client:
    """Refuses every option that a server asks for or offers, but for those in `accepts`."""

    def __init__(self, port: int, accepts: Sequence[int] = ()) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.settimeout(20)
        self._accepts = accepts

    def close(self) -> None:
        self.socket.close()

    def settle(self) -> None:
        """Answer the opening negotiation until a line is echoed. Raises `Missing`."""
        self.socket.sendall(_MARK + b"\r\n")
        heard, answered = b"", 0
        while _MARK not in _plain(heard):
            data = self.socket.recv(65_536)
            if not data:
                raise Missing("the server has closed a connection")
            heard += data
            if _BEGIN not in heard:
                answered = self._answer(heard, answered)

    def lines(self) -> int:
        """How many lines have come."""
        return self.socket.recv(65_536).count(b"\n")

    def _answer(self, heard: bytes, start: int) -> int:
        """Answer what is asked from `start` on; returns where to go on."""
        answers = b""
        while (at := heard.find(codes.IAC, start)) >= 0 and at + 2 < len(heard):
            verb, option = heard[at + 1], heard[at + 2]
            start = at + (3 if codes.WILL <= verb <= codes.DONT else 2)
            if option in self._accepts and verb == codes.WILL:
                answers += bytes((codes.IAC, codes.DO, option))
            elif verb in _NEGOTIATION:
                answers += bytes((codes.IAC, _NEGOTIATION[verb], option))
        if answers:
            self.socket.sendall(answers)
        return start


def _plain(heard: bytes) -> bytes:
    """All that was heard, once it is decompressed."""
    plain, _, packed = heard.partition(_BEGIN)
    return plain + zlib.decompressobj().decompress(packed)
