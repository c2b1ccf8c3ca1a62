"""A generator of hostile input for the Telnet engine, and the rules it must not break.

Whatever comes: nothing is raised, what is kept and what is answered is bounded, a violation is
the last event, and time grows with the bytes.
"""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from tests.protocols.telnet.recorded import RECORDED
from tests.protocols.websocket.fuzzing import Broken, Tally

from holdfast.core.limits import TelnetLimits
from holdfast.protocols.telnet import TelnetClient, TelnetServer, Terminal, Violation, codes
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.connection import TelnetCore
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.server import Offers, server_options
from holdfast.protocols.telnet.start_tls import StartTls, Upgrade

LIMITS: Final = TelnetLimits(
    line_chars_max=100,
    subnegotiation_bytes_max=200,
    gmcp_bytes_max=400,
    negotiation_burst_max=64,
    bytes_burst_max=4096,
    start_tls_bytes_max=200,
)
_OPTIONS: Final = server_options(
    Offers(msdp=True, mssp=lambda: {"NAME": "x"}, mxp=True, mccp2=True, mccp3=True)
)
_CODES: Final = (*(row.code for row in _OPTIONS.rows), codes.START_TLS, 6, 85, 255)
_TERMINAL: Final = Terminal("Fuzz", "1", "XTERM", 80, 24)
_SECONDS_MAX: Final = 1.0
"""Of CPU time for so many inputs, each of which takes microseconds: a thousand times more for one
of them is not linear."""
_TIMED: Final = 100
"""Inputs that are timed together: reading the clock takes as long as an input."""
_ANSWER_BYTES_MAX: Final = 600
"""Beside what an input's own length may be answered with."""
_WORDS: Final = (
    b"\r\n", b"\n", b"\r", b"\r\0", b"\0", b"\x08", b"\x7f", b"look", "é😀".encode(), b"\xe9",
    b"\xff\xff", b"\xff", b"\xff\xf0", b"\xff\xfa", b"\xff\xf4", b"\xff\xf5", b"\xff\xf9",
    b"\x16\x03", b"GET / HTTP/1.1", b"SSH-2.0-", b"MSSP-REQUEST", b"\x1b[1z",
)  # fmt: skip
_PAYLOADS: Final = (
    b"\0", b"\1", b"\2", b"\3", b"\4", b"\5", b"\6", b"\xff\xff", b"\x03\x02\x03", b";UTF-8",
    b'Core.Hello {"a":[1]}', b"[" * 40, b"MTTS 271", b"UNKNOWN", b"XTERM", b"\xfd\x02", b"\xfb\x02",
)  # fmt: skip
_TRANSCRIPTS: Final = tuple(b"".join(chunks) for chunks in RECORDED.values())


def _subnegotiation(rng: random.Random) -> bytes:
    payload = b"".join(rng.choice(_PAYLOADS) for _ in range(rng.randrange(6)))
    end = b"\xff\xf0" if rng.random() < 0.9 else b""
    return b"\xff\xfa" + bytes((rng.choice(_CODES),)) + payload + end


def _piece(rng: random.Random) -> bytes:
    match rng.randrange(10):
        case 0:
            return rng.randbytes(rng.randrange(12))
        case 1 | 2:
            return _subnegotiation(rng)
        case 3 | 4 | 5:
            return bytes((255, rng.randrange(251, 255), rng.choice(_CODES)))
        case 6:
            text = rng.choice(_TRANSCRIPTS)
            at = rng.randrange(len(text))
            return text[at : at + rng.randrange(40)]
        case _:
            return rng.choice(_WORDS) * rng.choice((1, 1, 1, 1, 60))


def _input(rng: random.Random) -> bytes:
    data = b"".join(_piece(rng) for _ in range(rng.randrange(1, 10)))
    if rng.random() < 0.1:  # compressed: by the option that the server offers, or the client takes
        code = rng.choice((codes.MCCP2, codes.MCCP3))
        verb = rng.choice((codes.DO, codes.WILL))
        packed = zlib.compress(data * rng.choice((1, 1, 200)))
        data = bytes((255, verb, code, 255, 250, code, 255, 240)) + packed + data
    return data


def _pieces(rng: random.Random, data: bytes) -> list[bytes]:
    made = []
    while data:
        size = rng.choice((1, 3, 20, 10_000))
        made.append(data[:size])
        data = data[size:]
    return made


def _check(core: TelnetCore, data: bytes, sent: int) -> None:
    if sent > _ANSWER_BYTES_MAX + 12 * len(data) + 2 * core.inflated:
        raise Broken(f"{data!r}: {sent} bytes of answers")
    if len(core._lines._partial or b"") > 4 * LIMITS.line_chars_max + 4:
        raise Broken(f"{data!r}: {len(core._lines._partial or b'')} bytes of a line are kept")
    if len(core._parser._payload or b"") > LIMITS.gmcp_bytes_max:
        raise Broken(f"{data!r}: too much of a subnegotiation is kept")
    if len(core.capabilities.environment) > LIMITS.environment_variables_max:
        raise Broken(f"{data!r}: too many variables are kept")


def _core(rng: random.Random, core: TelnetCore) -> Tally:
    data = _input(rng)
    now, lines, over = 1.0, 0, False
    sent = len(core.data_to_send())
    for piece in _pieces(rng, data):
        now += rng.choice((0.0, 0.01, 3.0))
        due = core.next_deadline()
        events = core.handle_timer(now) if due is not None and due <= now else []
        events += core.receive_data(piece, now)
        if events and over:
            raise Broken(f"{data!r}: events after the last one: {events!r}")
        lines += sum(isinstance(event, str) for event in events)
        faults = [number for number, it in enumerate(events, 1) if isinstance(it, Violation)]
        if faults and faults != [len(events)]:
            raise Broken(f"{data!r}: a violation is not the last event: {events!r}")
        over = over or bool(faults)
        sent += len(core.data_to_send())
    _check(core, data, sent)
    return Tally(1, len(data), lines, int(over))


def _server(rng: random.Random) -> Tally:
    return _core(rng, TelnetServer(LIMITS, 1.0, AUTOMATIC, _OPTIONS))


def _client(rng: random.Random) -> Tally:
    return _core(rng, TelnetClient(LIMITS, _TERMINAL, also=_CODES))


def _start_tls(rng: random.Random) -> Tally:
    core, data = StartTls(LIMITS, rng.choice((Side.US, Side.HIM))), _input(rng)
    for piece in _pieces(rng, data):
        if core.decided:
            break
        core.receive_data(piece)
        kept = len(core._kept) + len(core._partial)
        asked = core.state is Upgrade.ASKED
        if asked and kept > LIMITS.start_tls_bytes_max + len(piece):
            raise Broken(f"{data!r}: {kept} bytes are kept")
    return Tally(1, len(data), int(core.decided), 0)


def _run(one: Callable[[random.Random], Tally], seed: int, count: int) -> Tally:
    rng = random.Random(seed)
    total = Tally()
    began = time.process_time()
    for number in range(1, count + 1):
        try:
            total = total + one(rng)
        except Broken:
            raise
        except Exception as error:
            raise Broken(f"{type(error).__name__}: {error}") from error
        if number % _TIMED == 0:
            took, began = time.process_time() - began, time.process_time()
            if took > _SECONDS_MAX:
                raise Broken(f"{_TIMED} inputs took {took:.1f} s")
    return total


PARTS: Final[Mapping[str, Callable[[int, int], Tally]]] = {
    "telnet-server": lambda seed, count: _run(_server, seed, count),
    "telnet-client": lambda seed, count: _run(_client, seed, count),
    "telnet-start-tls": lambda seed, count: _run(_start_tls, seed, count),
}
