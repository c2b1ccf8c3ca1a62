"""RFC 7692: permessage-deflate, its negotiation, its contexts and its limits."""

from __future__ import annotations

import random
import re
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.websocket.wire import frame

from holdfast.core.limits import WebSocketLimits
from holdfast.protocols.websocket import (
    CLIENT_DEFAULTS,
    ClientConnection,
    Deflate,
    DeflateSettings,
    Event,
    HandshakeError,
    Headers,
    Offer,
    Request,
    ServerConnection,
    State,
    Violation,
)
from holdfast.protocols.websocket.broadcast import Broadcast
from holdfast.protocols.websocket.deflate import (
    Agreement,
    DeflateSettingsError,
    parse_extensions,
)

LIMITS = WebSocketLimits(message_bytes_max=100_000, frame_bytes_max=100_000)
WIDE = DeflateSettings(server_max_window_bits=15, client_max_window_bits=15, threshold_bytes=1)
RANDOM = random.Random(7)
TEXT = b"the quick brown fox jumps over the lazy dog "
LONG = TEXT + b"and now for something completely different " + TEXT


def entropy(size: int) -> bytes:
    return RANDOM.randbytes(size)


def pair(
    server: DeflateSettings, client: DeflateSettings = CLIENT_DEFAULTS
) -> tuple[ServerConnection, ClientConnection]:
    """Both ends of a connection, open."""
    ours = ServerConnection(LIMITS, Deflate(server))
    theirs = ClientConnection(LIMITS, Offer("a", deflate=Deflate(client)), entropy)
    (request,) = ours.receive_data(theirs.data_to_send())
    assert isinstance(request, Request)
    ours.accept()
    theirs.receive_data(ours.data_to_send())
    return ours, theirs


def opened(
    offer: str, settings: DeflateSettings = WIDE, *, limits: WebSocketLimits = LIMITS
) -> ServerConnection:
    """A server that has accepted a client's offer."""
    server = ServerConnection(limits, Deflate(settings))
    server.receive_data(
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Extensions: %s\r\n\r\n" % offer.encode()
    )
    server.accept()
    server.data_to_send()
    return server


def answer(offer: str, settings: DeflateSettings = WIDE) -> str | None:
    accepted = Deflate(settings).accept(Headers((("sec-websocket-extensions", offer),)))
    return accepted and accepted[1]


# --- negotiation (section 7.1)

NARROW = DeflateSettings(server_max_window_bits=10, client_max_window_bits=11)
ALONE = DeflateSettings(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    server_max_window_bits=15,
    client_max_window_bits=15,
)
PMD = "permessage-deflate"
WORDS = {
    "PMD": PMD,
    "SN": "server_no_context_takeover",
    "CN": "client_no_context_takeover",
    "SB": "server_max_window_bits",
    "CB": "client_max_window_bits",
}


def full(text: str) -> str:
    """A header value from its abbreviation."""
    return re.sub(r"\b(PMD|SN|CN|SB|CB)\b", lambda found: WORDS[found[0]], text)


@pytest.mark.parametrize(
    ("settings", "offer", "expected"),
    [
        (WIDE, "PMD", "PMD"),
        (WIDE, "x-webkit-deflate-frame, PMD", "PMD"),
        (WIDE, "Permessage-deflate", None),
        (WIDE, "PMD; SN", "PMD; SN"),
        (WIDE, "PMD; CN", "PMD; CN"),
        (ALONE, "PMD", "PMD; SN; CN"),
        (WIDE, "PMD; CB", "PMD"),
        (NARROW, "PMD; CB", "PMD; SB=10; CB=11"),
        (NARROW, "PMD", "PMD; SB=10"),
        (NARROW, "PMD; SB=9", "PMD; SB=9"),
        (NARROW, "PMD; CB=9", "PMD; SB=10; CB=9"),
        (WIDE, 'PMD; SB="12"', "PMD; SB=12"),
        (WIDE, "PMD; SB=15", "PMD; SB=15"),
        (WIDE, "PMD; SB=8, PMD", "PMD"),
        (WIDE, "PMD; CB=8", "PMD; CB=8"),
        *[
            (WIDE, f"PMD; {bad}", None)
            for bad in (
                "SB", "SB=8", "SB=16",
                "SB=09", "SB=+9", "CB=7",
                "CB=", "SN=1", "CN=true",
                "unknown", "CB; CB=9", "",
            )
        ],
        (WIDE, "", None),
        (WIDE, ",,;", None),
    ],
)  # fmt: skip
def test_an_offer_and_its_answer(
    settings: DeflateSettings, offer: str, expected: str | None
) -> None:
    assert answer(full(offer), settings) == (expected and full(expected))


@pytest.mark.parametrize(
    ("settings", "offer"),
    [
        (CLIENT_DEFAULTS, "PMD; CB"),
        (ALONE, "PMD; SN; CN; CB"),
        (NARROW, "PMD; SB=10; CB"),
    ],
)  # fmt: skip
def test_a_client_s_offer(settings: DeflateSettings, offer: str) -> None:
    assert Deflate(settings).offer() == full(offer)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ("PMD; unknown", "unknown parameters: unknown"),
        ("PMD; SB=9", "server_no_context_takeover was asked"),
        ("PMD; SN=1", "has no value"),
        ("PMD; SN", "server_max_window_bits=10 was asked"),
        ("PMD; SN; SB=11", "server_max_window_bits=11"),
        ("PMD; SN; SB=9; CB=8", "client_max"),
        ("PMD; SN; SB=9; CB", "client_max"),
        ("PMD; SN; SN", "stands twice"),
        ("permessage-foo", "not offered: permessage-foo"),
        ("PMD, PMD", "not offered"),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_fit_the_offer_fails_the_client(chosen: str, words: str) -> None:
    asked = DeflateSettings(server_no_context_takeover=True, server_max_window_bits=10)
    client = ClientConnection(
        LIMITS, Offer("a", deflate=Deflate(asked)), lambda n: b"the sample nonce"[:n]
    )
    with pytest.raises(HandshakeError, match=words):
        client.receive_data(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
            b"Sec-WebSocket-Extensions: %s\r\n\r\n" % full(chosen).encode()
        )


def test_the_extension_is_agreed_on_only_where_both_want_it() -> None:
    plain = ServerConnection(LIMITS)
    client = ClientConnection(LIMITS, Offer("a", deflate=Deflate()), entropy)
    plain.receive_data(client.data_to_send())
    plain.accept()
    client.receive_data(plain.data_to_send())
    assert (plain.deflate, client.deflate) == (None, None)


@pytest.mark.parametrize(
    "values",
    [
        {"server_max_window_bits": 8},
        {"client_max_window_bits": 16},
        {"level": 0},
        {"memory_level": 10},
        {"threshold_bytes": 0},
    ],
)
def test_a_setting_out_of_range_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(DeflateSettingsError, match=f"{next(iter(values))}: expected a number from"):
        DeflateSettings(**values)  # type: ignore[arg-type]


@given(st.text(alphabet='abc;,="\t 09', max_size=60))
def test_any_header_is_parsed(text: str) -> None:
    for name, _ in parse_extensions([text]):
        assert name


# --- messages (section 7.2)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param("f248cdc9c90700", id="7.2.3.1-one-block"),
        pytest.param("000500faff48656c6c6f00", id="7.2.3.3-no-compression"),
        pytest.param("f348cdc9c9070000", id="7.2.3.4-bfinal"),
        pytest.param("f24805000000ffffcac9c90700", id="7.2.3.5-two-blocks"),
    ],
)
def test_the_rfc_s_own_examples(payload: str) -> None:
    data = bytes.fromhex(payload)
    server = opened(PMD)
    assert server.receive_data(frame(1, data, rsv=4)) == ["Hello"]
    # 7.2.3.2: in fragments; the first says that the message is compressed.
    parts = frame(1, data[:3], fin=False, rsv=4) + frame(0, data[3:])
    assert server.receive_data(parts) == ["Hello"]
    assert server.state is State.OPEN


def test_a_message_may_refer_to_the_one_before() -> None:
    """Section 7.2.3.2: with context takeover, the second Hello is shorter."""
    server = opened(PMD)
    first, second = bytes.fromhex("f248cdc9c90700"), bytes.fromhex("f200110000")
    events = server.receive_data(frame(1, first, rsv=4) + frame(1, second, rsv=4))
    assert events == ["Hello", "Hello"]
    alone = opened(f"{PMD}; client_no_context_takeover")
    events = alone.receive_data(frame(1, first, rsv=4) + frame(1, second, rsv=4))
    assert [type(event) for event in events] == [str, Violation]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        pytest.param(frame(1, b"\xff\xff\xff", rsv=4), 1007, id="no-deflate"),
        pytest.param(frame(9, b"", rsv=4), 1002, id="6.1-compressed-control"),
        pytest.param(
            frame(1, b"\xf2", fin=False, rsv=4) + frame(0, b"", rsv=4), 1002, id="6.1-rsv1-goes-on"
        ),
        pytest.param(frame(1, b"", rsv=2), 1002, id="rsv2"),
        pytest.param(
            frame(1, zlib.compress(b"\xff\xff", wbits=-15) + b"\x00", rsv=4), 1007, id="no-utf-8"
        ),
        pytest.param(frame(2, b"\x03\x00" * 40, rsv=4), 1009, id="many-final-blocks"),
    ],
)  # fmt: skip
def test_a_violation_has_its_code(frames: bytes, code: int) -> None:
    server = opened(PMD)
    (event,) = server.receive_data(frames)
    assert isinstance(event, Violation)
    assert event.code == code
    assert server.state is State.CLOSED


def test_without_the_extension_rsv1_is_a_violation() -> None:
    server = opened("permessage-foo")
    (event,) = server.receive_data(frame(1, bytes.fromhex("f248cdc9c90700"), rsv=4))
    assert isinstance(event, Violation)


@pytest.mark.parametrize("split", [1, 7, 1000, 100_000])
def test_a_bomb_is_defused_at_the_message_limit(split: int) -> None:
    packer = zlib.compressobj(wbits=-15)
    bomb = (packer.compress(bytes(50_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(bomb) < 60_000
    server = opened(PMD)
    data = frame(2, bomb, rsv=4)
    events: list[Event] = []
    for start in range(0, len(data), split):
        events += server.receive_data(data[start : start + split])
        if events:
            break
    (event,) = events
    assert isinstance(event, Violation)
    assert event.code == 1009


def test_many_small_bombs_in_one_read_are_one_bomb() -> None:
    limits = WebSocketLimits(message_bytes_max=10_000, inflated_bytes_max=35_000)
    server, client = pair(WIDE)
    bombs = b"".join([client.encode_binary(bytes(10_000)) for _ in range(4)])
    strict = opened(f"{PMD}; client_no_context_takeover", limits=limits)
    shorter = b"".join(
        [frame(2, zlib.compress(bytes(10_000), wbits=-15) + b"\0", rsv=4) for _ in range(4)]
    )
    assert [type(event) for event in strict.receive_data(shorter)] == [bytes] * 3 + [Violation]
    assert server.receive_data(bombs) == [bytes(10_000)] * 4
    calm = opened(f"{PMD}; client_no_context_takeover", limits=limits)
    for _ in range(5):
        assert calm.receive_data(shorter[: len(shorter) // 4]) == [bytes(10_000)]


def test_the_limit_itself_is_not_too_much() -> None:
    server, client = pair(WIDE)
    message = bytes(LIMITS.message_bytes_max)
    assert server.receive_data(client.encode_binary(message)) == [message]
    (event,) = server.receive_data(client.encode_binary(message + b"\0"))
    assert isinstance(event, Violation)


# --- contexts


def test_a_short_message_and_an_incompressible_one_go_out_plain() -> None:
    server, client = pair(DeflateSettings(threshold_bytes=10))
    noise = RANDOM.randbytes(1000)
    for message, first in ((b"x" * 9, 0x82), (b"x" * 10, 0xC2), (noise, 0x82), (TEXT * 9, 0xC2)):
        data = server.encode_binary(message)
        assert data[0] == first
        assert client.receive_data(data) == [message]


@pytest.mark.parametrize("threshold", [1, 1_000], ids=["compressed", "not"])
def test_many_messages_are_encoded_at_once_by_either_end(threshold: int) -> None:
    ours, theirs = pair(DeflateSettings(threshold_bytes=threshold))
    messages: list[str | bytes] = [LONG, LONG.decode(), b"", "ä", bytes(70_000)]
    assert theirs.receive_data(ours.encode_all(messages)) == messages
    assert ours.receive_data(theirs.encode_all(messages)) == messages


def test_context_takeover_makes_the_second_message_shorter() -> None:
    server, client = pair(WIDE)
    sizes = []
    for _ in range(2):
        data = server.encode_text(LONG)
        sizes.append(len(data))
        assert client.receive_data(data) == [LONG.decode()]
    assert sizes[1] < sizes[0] / 2


def test_connections_without_context_share_a_compressor_and_no_content() -> None:
    deflate = Deflate(ALONE)
    frames = []
    for _ in range(2):
        server = ServerConnection(LIMITS, deflate)
        client = ClientConnection(LIMITS, Offer("a", deflate=Deflate(ALONE)), entropy)
        server.receive_data(client.data_to_send())
        server.accept()
        client.receive_data(server.data_to_send())
        assert server.deflate is not None
        assert server.deflate.compressor is deflate.shared(15)
        frames.append(server.encode_text(TEXT * 3))
        assert client.receive_data(frames[-1]) == [(TEXT * 3).decode()]
    assert frames[0] == frames[1]


def test_rest_gives_the_context_back_and_the_peer_does_not_notice() -> None:
    server, client = pair(WIDE)
    sizes = []
    for _ in range(3):
        data = server.encode_text(TEXT)
        sizes.append(len(data))
        assert client.receive_data(data) == [TEXT.decode()]
        server.rest()
    assert sizes[0] == sizes[1] == sizes[2]
    ServerConnection(LIMITS).rest()  # nothing to give back


@pytest.mark.parametrize("message", [TEXT * 5, (TEXT * 5).decode(), b"tiny", RANDOM.randbytes(500)])
def test_a_broadcast_is_compressed_once_and_fits_every_connection(message: str | bytes) -> None:
    deflate = Deflate(DeflateSettings(server_max_window_bits=15))
    pairs = []
    for asked in (CLIENT_DEFAULTS, CLIENT_DEFAULTS, ALONE, NARROW, None):
        server = ServerConnection(LIMITS, deflate)
        offer = Offer("a", deflate=Deflate(asked) if asked is not None else None)
        client = ClientConnection(LIMITS, offer, entropy)
        server.receive_data(client.data_to_send())
        server.accept()
        client.receive_data(server.data_to_send())
        pairs.append((server, client))
    for _ in range(2):
        for server, client in pairs:  # before and after, each has a context of its own
            assert client.receive_data(server.encode_text(TEXT)) == [TEXT.decode()]
        broadcast = Broadcast(message)
        frames = [broadcast.frame(server) for server, _ in pairs]
        assert frames[0] is frames[1] is frames[2]
        packs = (message != b"tiny" and not isinstance(message, bytes)) or message == TEXT * 5
        assert [frame[0] & 0x40 for frame in frames] == [0x40 * packs] * 4 + [0]
        assert not packs or len(frames[0]) < len(frames[4])
        assert [client.receive_data(f) for (_, client), f in zip(pairs, frames, strict=True)] == [
            [message]
        ] * len(pairs)


# --- properties

windows = st.integers(9, 15)
some_settings = st.builds(
    DeflateSettings,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=windows,
    client_max_window_bits=windows,
    level=st.integers(1, 9),
    memory_level=st.integers(1, 9),
    threshold_bytes=st.integers(1, 200),
)
messages = st.lists(
    st.one_of(
        st.binary(max_size=400),
        st.text(max_size=200),
        st.builds(lambda part, times: part * times, st.binary(max_size=9), st.integers(0, 900)),
    ),
    max_size=8,
)


@settings(max_examples=60)
@given(
    server=some_settings,
    client=some_settings,
    said=messages,
    chunk=st.integers(1, 3000),
    rests=st.sets(st.integers(0, 7)),
)
def test_whatever_two_ends_agree_on_messages_arrive(
    server: DeflateSettings,
    client: DeflateSettings,
    said: list[str | bytes],
    chunk: int,
    rests: set[int],
) -> None:
    ours, theirs = pair(server, client)
    assert ours.deflate is not None
    assert theirs.deflate is not None
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        wire = b""
        for index, message in enumerate(said):
            if isinstance(message, str):
                wire += sender.encode_text(message.encode())
            else:
                wire += sender.encode_binary(message)
            if index in rests:
                sender.rest()
        events: list[Event] = []
        for start in range(0, len(wire), chunk):
            events += receiver.receive_data(wire[start : start + chunk])
        assert events == said


@given(payload=st.binary(max_size=200), opcode=st.sampled_from([1, 2]), cut=st.integers(1, 50))
def test_any_compressed_bytes_give_a_message_or_a_violation(
    payload: bytes, opcode: int, cut: int
) -> None:
    whole, pieces = opened(PMD), opened(PMD)
    data = frame(opcode, payload, rsv=4)
    expected = whole.receive_data(data)
    assert all(isinstance(event, str | bytes | Violation) for event in expected)
    found: list[Event] = []
    for start in range(0, len(data), cut):
        found += pieces.receive_data(data[start : start + cut])
    assert [e if not isinstance(e, Violation) else e.code for e in found] == [
        e if not isinstance(e, Violation) else e.code for e in expected
    ]


@pytest.mark.parametrize(
    ("bits", "accepted"),
    [("8", True), ("9", True), ("15", True), ("16", False), ("7", False), ("010", False)],
)
def test_a_client_s_window_has_8_to_15_bits(bits: str, accepted: bool) -> None:
    offered = answer(full(f"PMD; CB={bits}"))
    assert (offered is not None) is accepted


def test_what_is_agreed_on_by_default_is_what_the_rfc_has() -> None:
    assert Agreement() == Agreement(
        server_no_context_takeover=False,
        client_no_context_takeover=False,
        server_max_window_bits=15,
        client_max_window_bits=15,
    )
    assert DeflateSettings(server_max_window_bits=15) == CLIENT_DEFAULTS


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("server_max_window_bits", 9, 15),
        ("client_max_window_bits", 9, 15),
        ("level", 1, 9),
        ("memory_level", 1, 9),
        ("threshold_bytes", 1, 1 << 31),
    ],
)
def test_a_setting_has_bounds(name: str, low: int, high: int) -> None:
    for value in (low, high):
        assert getattr(DeflateSettings(**{name: value}), name) == value  # type: ignore[arg-type]
    for value in (low - 1, high + 1):
        with pytest.raises(DeflateSettingsError, match=f"from {low} to {high}, found {value}"):
            DeflateSettings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("blocks", "read"), [(16, True), (17, False)])
def test_final_blocks_have_a_limit(blocks: int, read: bool) -> None:
    server = opened(PMD)
    (event,) = server.receive_data(frame(2, b"\x03\x00" * blocks + b"\x00", rsv=4))
    assert (event == b"") is read
    if read:  # and the next message has as many
        (event,) = server.receive_data(frame(2, b"\x03\x00" * blocks + b"\x00", rsv=4))
        assert event == b""


# --- much at once


def test_input_that_becomes_much_is_read_in_parts() -> None:
    ours, theirs = pair(WIDE)
    ours.pause_inflated = 100_000
    texts = [f"{number} ".ljust(40_000, "x") for number in range(20)]
    packed = b"".join(theirs.encode_text(text.encode()) for text in texts)
    packed += theirs.encode_text(b"short") + frame(0x9, b"ping")
    found = [ours.receive_data(packed)]
    while ours.unread:
        found.append(ours.receive_data(b""))
    assert [event for part in found for event in part][:-1] == [*texts, "short"]
    assert [len(part) for part in found] == [3, 3, 3, 3, 3, 3, 4]
    assert ours.receive_data(b"") == []
    assert not ours.unread


def test_nothing_waits_behind_a_violation_or_for_a_frame_that_is_incomplete() -> None:
    ours, theirs = pair(WIDE)
    ours.pause_inflated = 10_000
    long = theirs.encode_text(b"x" * 20_000)
    half = theirs.encode_text(b"y" * 20_000)
    (text,) = ours.receive_data(long + half[:7])
    assert text == "x" * 20_000
    while ours.unread:
        assert ours.receive_data(b"") == []
    assert ours.receive_data(half[7:]) == ["y" * 20_000]
    bad = theirs.encode_text(b"x" * 20_000) + b"\xff" * 20
    found = ours.receive_data(bad)
    while ours.unread:
        found += ours.receive_data(b"")
    assert type(found[-1]) is Violation
    assert not ours.unread
