"""The two codecs are one: every test runs over both."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.websocket.wire import KEY, frame

from holdfast.protocols.websocket import _codec_pure, codec

CODECS = [_codec_pure]
if codec.COMPILED:
    from holdfast.protocols.websocket import _codec

    CODECS.append(_codec)

each_codec = pytest.mark.parametrize("twin", CODECS, ids=lambda twin: twin.__name__[-5:])


@each_codec
@given(data=st.binary(max_size=300), key=st.binary(min_size=4, max_size=4), cut=st.integers(0, 300))
def test_masking_twice_gives_the_data_and_cutting_changes_nothing(
    twin: ModuleType, data: bytes, key: bytes, cut: int
) -> None:
    masked = twin.mask(data, key, 0)
    assert masked == bytes(byte ^ key[i % 4] for i, byte in enumerate(data))
    assert twin.mask(masked, key, 0) == data
    assert twin.mask(data[:cut], key, 0) + twin.mask(data[cut:], key, len(data[:cut])) == masked


@each_codec
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 100_000])
@pytest.mark.parametrize("key", [None, KEY], ids=["server", "client"])
def test_a_frame_is_encoded_as_the_rfc_says(twin: ModuleType, size: int, key: bytes | None) -> None:
    payload = bytes(i & 0xFF for i in range(size))
    expected = frame(2, payload, key=key)
    assert twin.encode(0x82, payload, key) == expected
    without_key = len(expected) - size - (4 if key else 0)
    assert twin.head(0x82, size, key is not None) == expected[:without_key]


@each_codec
@pytest.mark.parametrize("key", [None, KEY], ids=["server", "client"])
@given(payloads=st.lists(st.one_of(st.text(max_size=200), st.binary(max_size=200))))
def test_scan_reads_what_encode_writes(
    twin: ModuleType, key: bytes | None, payloads: list[str | bytes]
) -> None:
    data = b"".join(
        twin.encode(0x81, p.encode(), key) if isinstance(p, str) else twin.encode(0x82, p, key)
        for p in payloads
    )
    out: list[Any] = []
    assert twin.scan(data, 0, key is not None, 1000, out) == len(data)
    assert out == payloads


SIZES = st.one_of(st.integers(0, 200), st.sampled_from([125, 126, 65_535, 65_536]))


@each_codec
@given(
    messages=st.lists(
        st.one_of(st.text(max_size=200), st.binary(max_size=200), SIZES.map(bytes)), max_size=8
    )
)
def test_all_are_encoded_as_each_is(twin: ModuleType, messages: list[str | bytes]) -> None:
    expected = b"".join(
        frame(1, m.encode(), key=None) if isinstance(m, str) else frame(2, m, key=None)
        for m in messages
    )
    assert twin.encode_all(messages) == expected


@each_codec
@pytest.mark.parametrize("wrong", [5, None, "\ud800"])
def test_what_is_no_message_is_not_encoded(twin: ModuleType, wrong: Any) -> None:
    with pytest.raises((TypeError, UnicodeEncodeError)):
        twin.encode_all(["right", wrong])


GOOD = frame(1, b"good")

NOT_PLAIN = [
    pytest.param(frame(1, b"x", fin=False), id="fragment"),
    pytest.param(frame(0, b"x"), id="continuation"),
    pytest.param(frame(1, b"x", rsv=4), id="rsv1"),
    pytest.param(frame(9, b"x"), id="ping"),
    pytest.param(frame(8, b""), id="close"),
    pytest.param(frame(3, b""), id="reserved-opcode"),
    pytest.param(frame(1, b"x", key=None), id="unmasked"),
    pytest.param(frame(1, b"\xff"), id="not-utf8"),
    pytest.param(frame(2, bytes(11)), id="too-big"),
    pytest.param(b"\x82", id="half-a-head"),
    pytest.param(b"\x82\xfe\x00", id="half-a-16-bit-length"),
    pytest.param(b"\x82\xff" + bytes(7), id="half-a-64-bit-length"),
    pytest.param(b"\x82\x85" + KEY[:3], id="half-a-key"),
    pytest.param(frame(2, bytes(9))[:-1], id="half-a-payload"),
    pytest.param(b"\x82\xfe\x00\x05" + KEY + bytes(5), id="16-bit-length-not-minimal"),
    pytest.param(b"\x82\xff" + bytes(7) + b"\x05" + KEY + bytes(5), id="64-bit-not-minimal"),
    pytest.param(b"\x82\xff\x80" + bytes(7) + KEY, id="64-bit-length-negative"),
    pytest.param(b"\x82\xff" + b"\xff" * 8 + KEY, id="64-bit-length-huge"),
]


@each_codec
@pytest.mark.parametrize("tail", NOT_PLAIN)
def test_scan_stops_before_what_is_not_plain(twin: ModuleType, tail: bytes) -> None:
    out: list[Any] = []
    assert twin.scan(GOOD + GOOD + tail, 0, True, 10, out) == 2 * len(GOOD)
    assert out == ["good", "good"]


@each_codec
def test_scan_starts_where_it_is_told(twin: ModuleType) -> None:
    out: list[Any] = []
    assert twin.scan(b"??" + GOOD, 2, True, 10, out) == 2 + len(GOOD)
    assert out == ["good"]


@each_codec
@pytest.mark.parametrize("key", [None, KEY], ids=["server", "client"])
@pytest.mark.parametrize("size", [0, 1, 2, 7, 65_536, 65_537, 300_000])
@pytest.mark.parametrize("cut", [1, 3, 1000, 70_000, 1_000_000])
def test_a_payload_is_collected_from_any_pieces(
    twin: ModuleType, key: bytes | None, size: int, cut: int
) -> None:
    if size // cut > 5000:
        cut = size // 100 + 1
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    wire = twin.mask(payload, key, 0) if key else payload
    wire += b"what follows"
    collected = twin.Payload(size, key)
    assert collected.left == size
    pos = 0
    while collected.left:
        with pytest.raises(ValueError, match="not complete"):
            collected.finish()
        data = b"??" + wire[pos : pos + cut]
        taken = collected.take(data, 2) - 2
        assert taken == min(cut, size - pos)
        pos += taken
    found = collected.finish()
    assert found == payload
    assert type(found) is bytes
    assert hash(found) == hash(payload)


@pytest.mark.skipif(not codec.COMPILED, reason="the compiled codec was not built")
@given(data=st.binary(max_size=80), masked=st.booleans(), size_max=st.integers(0, 40))
def test_the_twins_agree_on_any_bytes(data: bytes, masked: bool, size_max: int) -> None:
    outs: list[list[Any]] = [[], []]
    ends = [
        twin.scan(data, 0, masked, size_max, out) for twin, out in zip(CODECS, outs, strict=True)
    ]
    assert ends[0] == ends[1]
    assert outs[0] == outs[1]


@each_codec
@pytest.mark.parametrize("key", [None, KEY], ids=["server", "client"])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537])
def test_scan_reads_every_width_of_a_length(twin: ModuleType, size: int, key: bytes | None) -> None:
    payload = bytes(i & 0xFF for i in range(size))
    data = frame(2, payload, key=key) + frame(1, b"after", key=key)
    out: list[Any] = []
    assert twin.scan(data, 0, key is not None, 70_000, out) == len(data)
    assert out == [payload, "after"]


@each_codec
@pytest.mark.parametrize(("size", "wide"), [(125, 2), (126, 2), (65_535, 8), (65_536, 8)])
def test_scan_takes_only_the_shortest_form_of_a_length(
    twin: ModuleType, size: int, wide: int
) -> None:
    data = bytes((0x82, 126 if wide == 2 else 127)) + size.to_bytes(wide, "big") + bytes(size)
    out: list[Any] = []
    shortest = size >= (126 if wide == 2 else 65_536)
    assert twin.scan(data, 0, False, 70_000, out) == (len(data) if shortest else 0)


@each_codec
@pytest.mark.parametrize(("size_max", "read"), [(9, False), (10, True), (11, True)])
def test_scan_takes_messages_up_to_the_limit(twin: ModuleType, size_max: int, read: bool) -> None:
    data = frame(2, bytes(10))
    out: list[Any] = []
    assert twin.scan(data, 0, True, size_max, out) == (len(data) if read else 0)


@each_codec
@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536])
@pytest.mark.parametrize("masked", [True, False])
def test_scan_waits_for_the_last_byte(twin: ModuleType, size: int, masked: bool) -> None:
    data = frame(2, bytes(size), key=KEY if masked else None)
    out: list[Any] = []
    head = len(data) - size
    for end in (1, 2, head - 1, head, len(data) - 1):
        assert twin.scan(data[:end], 0, masked, 70_000, out) == 0
    assert out == []
