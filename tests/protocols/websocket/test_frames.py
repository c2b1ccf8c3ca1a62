"""RFC 6455 section 5, as wire bytes and events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.websocket.wire import KEY, frame

from holdfast.core.limits import WebSocketLimits
from holdfast.protocols.websocket import Close, Event, Ping, Pong, Violation
from holdfast.protocols.websocket.frames import Decoder, close_payload, is_valid_code

LIMITS = WebSocketLimits(frame_bytes_max=1000, message_bytes_max=1500, fragments_max=4)


def decode(data: bytes, *, size: int | None = None, masked: bool = True) -> list[Event]:
    decoder = Decoder(LIMITS, masked=masked)
    size = size or len(data) or 1
    events = []
    for start in range(0, len(data), size):
        events += decoder.receive_data(data[start : start + size])
    return events


EURO = "€".encode()

MESSAGES = [
    pytest.param(frame(1, b"Hello"), ["Hello"], id="5.7-single-masked-text"),
    pytest.param(
        frame(1, b"Hel", fin=False) + frame(0, b"lo"), ["Hello"], id="5.7-fragmented-text"
    ),
    pytest.param(frame(9, b"Hello"), [Ping(b"Hello")], id="5.7-ping"),
    pytest.param(frame(10, b"Hello"), [Pong(b"Hello")], id="5.7-pong"),
    pytest.param(frame(2, bytes(256)), [bytes(256)], id="5.7-256-bytes-binary"),
    pytest.param(frame(1, b"") + frame(2, b""), ["", b""], id="5.6-empty-messages"),
    pytest.param(
        frame(2, b"a", fin=False) + frame(9, b"p") + frame(0, b"b", fin=False) + frame(0, b"c"),
        [Ping(b"p"), b"abc"],
        id="5.4-control-between-fragments",
    ),
    pytest.param(
        frame(1, EURO[:1], fin=False) + frame(0, EURO[1:]), ["€"], id="5.6-character-over-fragments"
    ),
    pytest.param(
        frame(1, b"", fin=False) + frame(0, b"", fin=False) + frame(0, b""),
        [""],
        id="5.4-empty-fragments",
    ),
    pytest.param(frame(8, b""), [Close(1005, "")], id="5.5.1-close-without-code"),
    pytest.param(frame(8, b"\x03\xe8bye"), [Close(1000, "bye")], id="5.5.1-close"),
    pytest.param(frame(8, b"\x0f\xa1"), [Close(4001, "")], id="7.4.2-private-code"),
    pytest.param(frame(8, b"") + frame(1, b"late"), [Close(1005, "")], id="5.5.1-nothing-after"),
]

VIOLATIONS = [
    pytest.param(frame(1, b"x", rsv=1), 1002, id="5.2-rsv3"),
    pytest.param(frame(1, b"x", rsv=2), 1002, id="5.2-rsv2"),
    pytest.param(frame(1, b"x", rsv=4), 1002, id="5.2-rsv1-without-extension"),
    pytest.param(frame(3, b""), 1002, id="5.2-reserved-data-opcode"),
    pytest.param(frame(11, b""), 1002, id="5.2-reserved-control-opcode"),
    pytest.param(b"\x81\xfe\x00\x01" + KEY + b"x", 1002, id="5.2-length-not-minimal"),
    pytest.param(b"\x82\xff\x80" + bytes(11), 1002, id="5.2-length-highest-bit"),
    pytest.param(frame(1, b"x", key=None), 1002, id="5.1-unmasked-client"),
    pytest.param(frame(0, b"x"), 1002, id="5.4-nothing-to-continue"),
    pytest.param(frame(1, b"x", fin=False) + frame(1, b"y"), 1002, id="5.4-new-message-inside-one"),
    pytest.param(frame(9, b"x", fin=False), 1002, id="5.5-fragmented-control"),
    pytest.param(frame(9, bytes(126)), 1002, id="5.5-long-control"),
    pytest.param(frame(8, b"\x03"), 1002, id="5.5.1-half-a-code"),
    pytest.param(frame(8, b"\x03\xe7"), 1002, id="7.4-code-999"),
    pytest.param(frame(8, b"\x03\xed"), 1002, id="7.4.1-code-1005"),
    pytest.param(frame(8, b"\x03\xee"), 1002, id="7.4.1-code-1006"),
    pytest.param(frame(8, b"\x07\xd0"), 1002, id="7.4.2-code-2000"),
    pytest.param(frame(8, b"\x03\xe8\xff"), 1007, id="5.5.1-reason-not-utf8"),
    pytest.param(frame(1, b"\xff"), 1007, id="8.1-not-utf8"),
    pytest.param(frame(1, EURO[:2]), 1007, id="8.1-unfinished-character"),
    pytest.param(frame(1, b"\xed\xa0\x80"), 1007, id="8.1-surrogate"),
    pytest.param(frame(1, b"a", fin=False) + frame(0, b"\xff"), 1007, id="8.1-in-a-fragment"),
    pytest.param(frame(2, bytes(1001)), 1009, id="10.4-frame-too-big"),
    pytest.param(
        frame(2, bytes(900), fin=False) + frame(0, bytes(900)), 1009, id="10.4-message-too-big"
    ),
    pytest.param(
        frame(2, b"", fin=False) + 4 * frame(0, b"", fin=False), 1009, id="10.4-many-fragments"
    ),
]


@pytest.mark.parametrize("size", [None, 1, 2, 3, 7])
@pytest.mark.parametrize(("data", "events"), MESSAGES)
def test_messages(data: bytes, events: list[Event], size: int | None) -> None:
    assert decode(data, size=size) == events


@pytest.mark.parametrize("size", [None, 1, 2, 3, 7])
@pytest.mark.parametrize(("data", "code"), VIOLATIONS)
def test_violations_come_after_the_messages_before_them(
    data: bytes, code: int, size: int | None
) -> None:
    first, second, *events = decode(
        frame(1, b"before") + frame(9) + data + frame(1, b"after"), size=size
    )
    assert [first, second] == ["before", Ping(b"")]
    assert [type(event) for event in events] == [Violation]
    assert isinstance(events[0], Violation)
    assert events[0].code == code


def test_a_masked_server_is_refused() -> None:
    (event,) = decode(frame(1, b"x"), masked=False)
    assert isinstance(event, Violation)
    assert event.code == 1002
    assert decode(frame(1, b"x", key=None), masked=False) == ["x"]


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        pytest.param(b"\x83", 1002, id="reserved-opcode"),
        pytest.param(b"\x82\xff" + (1001).to_bytes(8, "big"), 1002, id="length-not-minimal"),
        pytest.param(b"\x82\xfe" + (1001).to_bytes(2, "big") + KEY, 1009, id="frame-too-big"),
        pytest.param(frame(1, b"\xff" + bytes(500))[:10], 1007, id="6.4-not-utf8"),
        pytest.param(frame(1, b"\xf4\x90" + bytes(500))[:12], 1007, id="6.4-beyond-unicode"),
        pytest.param(b"\x89\xfe", 1002, id="long-control"),
    ],
)
def test_a_bad_frame_fails_before_it_is_complete(prefix: bytes, code: int) -> None:
    events = decode(prefix + b"\x00" if len(prefix) == 1 else prefix)
    assert [(type(event), getattr(event, "code", 0)) for event in events] == [(Violation, code)]


pieces = st.one_of(
    st.builds(
        frame,
        st.sampled_from([0, 1, 2, 8, 9, 10, 3]),
        st.one_of(st.binary(max_size=200), st.text(max_size=60).map(str.encode)),
        fin=st.booleans(),
        rsv=st.sampled_from([0, 0, 0, 0, 4, 1]),
        key=st.sampled_from([KEY, KEY, KEY, b"\0\0\0\0", None]),
    ),
    st.builds(frame, st.sampled_from([1, 2]), st.text(max_size=60).map(str.encode)),
    st.binary(max_size=8),
)


@given(data=st.lists(pieces, max_size=6).map(b"".join), cuts=st.lists(st.integers(1, 40)))
def test_chunking_never_changes_the_events(data: bytes, cuts: list[int]) -> None:
    whole = decode(data)
    decoder = Decoder(LIMITS, masked=True)
    events: list[Event] = []
    pos = 0
    for cut in [*cuts, len(data) or 1]:
        events += decoder.receive_data(data[pos : pos + cut])
        pos += cut
    # A violation found early (by the bytes of half a frame) may only presentable its own words.
    assert [_key(event) for event in events] == [_key(event) for event in whole]


def _key(event: Event) -> object:
    return (Violation, event.code) if isinstance(event, Violation) else event


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (1000, "bye", b"\x03\xe8bye"),
        (1005, "never on the wire", b""),
        (4001, "é" * 100, b"\x0f\xa1" + ("é" * 61).encode()),
    ],
)
def test_a_close_payload_fits_its_frame(code: int, reason: str, payload: bytes) -> None:
    assert close_payload(code, reason) == payload


@pytest.mark.parametrize("code", [0, 999, 1004, 1006, 1015, 2999, 5000])
def test_a_code_that_may_not_be_sent_is_our_own_bug(code: int) -> None:
    with pytest.raises(ValueError, match=f"close code {code} may not be sent"):
        close_payload(code, "")


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1014, 3000, 3999, 4000, 4999])
def test_a_code_that_may_be_sent(code: int) -> None:
    assert is_valid_code(code)
    assert close_payload(code, "") == code.to_bytes(2, "big")
    assert decode(frame(8, code.to_bytes(2, "big"))) == [Close(code, "")]


@pytest.mark.parametrize(("size", "kept"), [(123, 123), (124, 123)])
def test_a_reason_has_a_limit(size: int, kept: int) -> None:
    assert close_payload(1000, "x" * size) == b"\x03\xe8" + b"x" * kept


@pytest.mark.parametrize(("size", "right"), [(125, True), (126, False)])
@pytest.mark.parametrize("opcode", [9, 10])
def test_a_control_frame_has_a_limit(opcode: int, size: int, right: bool) -> None:
    (event,) = decode(frame(opcode, bytes(size)))
    assert isinstance(event, Violation) is not right


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_message_has_a_limit_and_so_has_its_frame(extra: int, parts: int) -> None:
    if parts == 1:
        size = LIMITS.frame_bytes_max + extra
        data = frame(2, bytes(size))
    else:
        size = LIMITS.message_bytes_max + extra
        data = frame(2, bytes(900), fin=False) + frame(0, bytes(size - 900))
    (event,) = decode(data)
    if extra <= 0:
        assert event == bytes(size)
    else:
        assert isinstance(event, Violation)
        assert event.code == 1009


@pytest.mark.parametrize(("parts", "right"), [(4, True), (5, False)])
def test_the_parts_of_a_message_have_a_limit(parts: int, right: bool) -> None:
    data = frame(2, b"a", fin=False)
    data += frame(0, b"b", fin=False) * (parts - 2) + frame(0, b"c")
    (event,) = decode(data)
    assert isinstance(event, bytes) is right
