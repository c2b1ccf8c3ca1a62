"""MCCP 2 and 3: compression, what begins and ends it, and bombs."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import (
    LIMITS,
    TERMINAL,
    converse,
    cut,
    cuts,
    feed,
    footprint,
    properties,
    sb,
    wire,
)

from holdfast.protocols.telnet import (
    CapabilitiesChanged,
    Event,
    Fault,
    Gmcp,
    Settled,
    TelnetClient,
    TelnetServer,
    Violation,
)
from holdfast.protocols.telnet.charsets import AUTOMATIC
from holdfast.protocols.telnet.codes import DO, DONT, GMCP, IAC, MCCP2, MCCP3, WILL, WONT
from holdfast.protocols.telnet.options.mccp import Deflater, Inflation
from holdfast.protocols.telnet.server import Offers, server_options

OPTIONS = server_options(Offers(mccp2=True, mccp3=True))
BEGIN2, BEGIN3 = sb(MCCP2), sb(MCCP3)
REFUSALS = wire(IAC, WONT, 24, IAC, WONT, 31, IAC, WONT, 39, IAC, DONT, 42, IAC, DONT, 25)


def compressing_server() -> TelnetServer:
    server = TelnetServer(LIMITS, 0.0, AUTOMATIC, OPTIONS)
    assert server.data_to_send().endswith(wire(IAC, WILL, MCCP2, IAC, WILL, MCCP3))
    return server


def settled_server(*received: bytes) -> tuple[TelnetServer, bytes]:
    """A server whose opening is over, and what it has said since."""
    server = compressing_server()
    answers = REFUSALS + wire(IAC, DO, GMCP, IAC, DO, MCCP2, IAC, DO, MCCP3)
    events, sent = feed(server, [answers, *received])
    assert Settled() in events
    return server, sent


def test_output_is_compressed_once_the_opening_is_over() -> None:
    server = compressing_server()
    assert feed(server, [wire(IAC, DO, MCCP2)]) == ([], b"")
    server.send_text("plain\n")
    assert server.data_to_send() == b"plain\r\n"
    assert server.handle_timer(2.0) == [Settled()]
    server.send_text("one\n")
    server.send_text("two\n")
    sent = server.data_to_send()
    assert sent.startswith(BEGIN2)
    stream = zlib.decompressobj()
    assert stream.decompress(sent[len(BEGIN2) :]) == b"one\r\ntwo\r\n"
    server.send_gmcp("A", "1")  # not agreed upon
    assert server.data_to_send() == b""
    server.receive_data(wire(IAC, DO, GMCP), 3.0)
    server.send_gmcp("A", "1")
    assert stream.decompress(server.data_to_send()) == sb(GMCP, "A 1")


def test_what_was_queued_before_stays_plain() -> None:
    server = compressing_server()
    server.handle_timer(2.0)
    server.send_text("plain\n")
    server.receive_data(wire(IAC, DO, MCCP2), 3.0)
    server.send_text("packed\n")
    plain, begin, packed = server.data_to_send().partition(BEGIN2)
    assert (plain, begin) == (b"plain\r\n", BEGIN2)
    assert zlib.decompressobj().decompress(packed) == b"packed\r\n"


def test_a_client_may_end_it_and_begin_again() -> None:
    server, sent = settled_server()
    stream = zlib.decompressobj()
    assert stream.decompress(sent.partition(BEGIN2)[2]) == b""
    _, sent = feed(server, [wire(IAC, DONT, MCCP2)])
    assert stream.decompress(sent) == wire(IAC, WONT, MCCP2)
    assert stream.eof
    server.send_text("plain\n")
    assert server.data_to_send() == b"plain\r\n"
    assert feed(server, [wire(IAC, DO, MCCP2)])[1] == wire(IAC, WILL, MCCP2) + BEGIN2


def test_input_is_inflated_from_the_mark_on() -> None:
    server, _ = settled_server()
    stream = zlib.compressobj()
    packed = stream.compress(b"say hi\r\n" + sb(GMCP, "A 1")) + stream.flush(zlib.Z_SYNC_FLUSH)
    assert feed(server, [b"plain\r\n" + BEGIN3 + packed])[0] == ["plain", "say hi", Gmcp("A", "1")]
    packed = stream.compress(b"bye\r\n") + stream.flush()
    assert feed(server, [packed + b"plain again\r\n"])[0] == ["bye", "plain again"]
    assert feed(server, [BEGIN3 + zlib.compress(b"once more\r\n")])[0] == ["once more"]


@properties
@given(cuts, st.sampled_from([zlib.Z_SYNC_FLUSH, zlib.Z_FINISH]))
def test_no_cutting_changes_what_comes_out(places: list[int], mode: int) -> None:
    stream = zlib.compressobj()
    text = wire("look\r\n", IAC, IAC, "é\r\n", sb(GMCP, "A 1"), IAC, 241, "x" * 500, "\r\n")
    data = BEGIN3 + stream.compress(text) + stream.flush(mode)
    if mode == zlib.Z_FINISH:
        data += b"plain\r\n"
    whole, _ = settled_server()
    pieces, _ = settled_server()
    assert feed(pieces, cut(data, places)) == feed(whole, [data])


def violation(events: list[Event]) -> Fault | None:
    last = events[-1]
    return last.reason if isinstance(last, Violation) else None


def test_what_is_no_stream_ends_the_connection() -> None:
    server, _ = settled_server()
    events, _ = feed(server, [BEGIN3 + b"look\r\n", b"more"])
    assert events == [Violation(Fault.NOT_COMPRESSED)]


BOMBS = {
    "nul": b"\0",
    "text": b"x",
    "empty-lines": b"\n",
    "short-lines": b"x\r\n",
    "carriage-returns": b"\r",
    "lines-of-latin-1": b"\xe9\n",
    "erasures": b"\x08",
    "escaped-iac": b"\xff\xff",
}


def bomb_of(unit: bytes) -> bytes:
    """58 kB that become some 60 MB: after a full flush, a megabyte is compressed the same again."""
    stream, megabyte = zlib.compressobj(9), unit * (1_000_000 // len(unit))
    first, second = (stream.compress(megabyte) + stream.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return (first + second * 100)[:58_000]


@pytest.mark.parametrize("unit", BOMBS.values(), ids=BOMBS)
def test_a_bomb_costs_little_and_ends_the_connection(unit: bytes) -> None:
    bomb = bomb_of(unit)
    assert len(bomb) == 58_000
    server, _ = settled_server()
    events = server.receive_data(BEGIN3 + bomb, 1.0)
    assert violation(events) is Fault.ZIP_BOMB
    assert server.inflated <= 4 * LIMITS.inflate_bytes_max


def test_screens_of_spaces_are_no_bomb_of_a_server() -> None:
    stream = zlib.compressobj(9)
    screens = [
        stream.compress(b" " * 3_200 + b"\r\n") + stream.flush(zlib.Z_SYNC_FLUSH) for _ in range(50)
    ]
    client = TelnetClient(LIMITS, TERMINAL, also=(MCCP2,))
    client.receive_data(bytes((IAC, WILL, MCCP2)), 1.0)
    events = client.receive_data(BEGIN2 + b"".join(screens), 1.0)
    assert events.count(" " * 3_200) == 50


def test_a_stream_within_the_ratio_is_held_to_the_rate_of_a_client() -> None:
    server, _ = settled_server()
    stream, noise = zlib.compressobj(9), random.Random(1)
    packed = b"".join(
        stream.compress(b"a\n" * 500 + noise.randbytes(45).hex().encode())
        + stream.flush(zlib.Z_SYNC_FLUSH)
        for _ in range(1_000)
    )
    assert violation(server.receive_data(BEGIN3 + packed, 1.0)) is Fault.ZIP_BOMB
    assert server.inflated <= LIMITS.bytes_burst_max + LIMITS.inflate_bytes_max

    server, _ = settled_server()
    server.receive_data(BEGIN3, 1.0)
    for number in range(0, len(packed), 1_000):  # slowly, it may be as much as it likes
        assert not any(
            isinstance(event, Violation)
            for event in server.receive_data(packed[number : number + 1_000], 2.0 + number)
        )


STREAMS = {
    # One stream, and how often a client may begin it anew: as often as it may negotiate.
    "of-the-ratio": zlib.compress(b"x" * 4_000, 9),
    "of-the-rate": zlib.compress(random.Random(1).randbytes(300).hex().encode() * 8, 9),
    "of-nothing": zlib.compress(b"", 9),
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_many_streams_are_held_to_the_limits_of_one(stream: bytes) -> None:
    server, _ = settled_server()
    wire_bytes, inflated = 0, 0
    for number in range(6_000):
        events = server.receive_data(BEGIN3 + stream, 1.0 + number / 60)
        wire_bytes += len(stream)
        if violation(events or [Settled()]):
            break
        inflated = server.inflated
        seconds = number / 60
        assert inflated <= LIMITS.inflate_bytes_max + LIMITS.inflate_ratio_max * wire_bytes
        assert inflated <= LIMITS.bytes_burst_max + LIMITS.bytes_per_second_max * seconds + 10_000
    assert (inflated == 0) is (len(zlib.decompress(stream)) == 0)


def test_a_stream_within_a_stream_is_malformed() -> None:
    server, _ = settled_server()
    stream = zlib.compressobj()
    packed = stream.compress(BEGIN3 + b"look\r\n") + stream.flush(zlib.Z_SYNC_FLUSH)
    assert feed(server, [BEGIN3 + packed])[0] == ["look"]
    assert server.malformed == 1


@pytest.mark.parametrize("mark", [BEGIN2, BEGIN3])
def test_a_mark_that_was_not_agreed_upon_changes_nothing(mark: bytes) -> None:
    server = compressing_server()
    assert feed(server, [mark + b"look\r\n"])[0] == ["look"]
    assert server.malformed == 1


def test_both_ends_compress_both_ways() -> None:
    server = TelnetServer(LIMITS, 0.0, AUTOMATIC, OPTIONS)
    client = TelnetClient(LIMITS, TERMINAL, also=(MCCP2, MCCP3))
    converse(server, client)
    server.send_text("Hello\n" * 100)
    client.send_text("look\n" * 100)
    to_client, to_server = server.data_to_send(), client.data_to_send()
    assert len(to_client) < 100
    assert len(to_server) < 100
    assert client.receive_data(to_client, 1.0) == ["Hello"] * 100
    assert server.receive_data(to_server, 1.0) == ["look"] * 100


def test_a_client_that_does_not_compress_refuses() -> None:
    server = TelnetServer(LIMITS, 0.0, AUTOMATIC, OPTIONS)
    client = TelnetClient(LIMITS, TERMINAL)
    events, _ = converse(server, client)
    assert Settled() in events
    assert any(isinstance(event, CapabilitiesChanged) for event in events)
    server.send_text("Hello\n")
    assert server.data_to_send() == b"Hello\r\n"


def test_the_ratio_of_small_flushes() -> None:
    server, _ = settled_server()
    line = "A {0} orc is here, looking {1}. You see exits to the north, the {2} and a {3} chest.\n"
    words = (
        "huge",
        "green",
        "angry",
        "at you",
        "south",
        "hungry",
        "old",
        "wooden",
        "east",
        "asleep",
    )
    plain = packed = 0
    for number in range(200):
        chosen = [words[(number * step) % len(words)] for step in (3, 7, 1, 9)]
        text = line.format(*chosen) * 2
        server.send_text(text)
        plain += len(text)
        packed += len(server.data_to_send())
    assert plain / packed > 2.0


# --- the stream of the output


@properties
@given(st.lists(st.binary(max_size=9_000), max_size=8), st.integers(0, 8))
def test_a_stream_is_one_for_zlib_whoever_continues_it(pieces: list[bytes], place: int) -> None:
    stream, reader = Deflater(), zlib.decompressobj()
    for number, piece in enumerate(pieces):
        if number == place:
            stream = Deflater(stream.checksum, stream.history)
        assert reader.decompress(stream.compress(piece)) == piece
    assert reader.decompress(stream.finish()) == b""
    assert reader.eof  # its checksum is right


PROSE = "".join(
    f"{number} {word} stones lie {place}; {word} is what {number * 7} others were.\r\n"
    for number in range(60)
    for word, place in (("old", "by the well"), ("grey", "under an oak"), ("wet", "in the rain"))
).encode()


def test_a_stream_is_hardly_longer_than_that_of_one_compressor() -> None:
    stream, whole = Deflater(), zlib.compressobj(6, zlib.DEFLATED, 12, 5)
    ours = theirs = 0
    for start in range(0, len(PROSE), 200):
        piece = PROSE[start : start + 200]
        ours += len(stream.compress(piece))
        theirs += len(whole.compress(piece) + whole.flush(zlib.Z_SYNC_FLUSH))
    assert len(PROSE) / ours > 2.0
    assert ours < 1.02 * theirs


def test_between_two_flushes_a_stream_costs_its_window() -> None:
    server, _ = settled_server()
    before = footprint(server)
    server.send_text("x" * 10_000 + "\n")
    server.data_to_send()
    assert footprint(server) - before < 4_100


def test_a_burst_that_is_just_allowed_is_not_too_fast() -> None:
    burst = LIMITS.bytes_burst_max
    assert not Inflation(LIMITS).is_too_fast(burst, 0.0)
    assert Inflation(LIMITS).is_too_fast(burst + 1, 0.0)
