"""The format of event streams, read as a browser reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols import event_stream


def read(stream: bytes) -> list[tuple[str, str, str]]:
    """Kind, data and id of each event (HTML Living Standard section 9.2.6)."""
    events: list[tuple[str, str, str]] = []
    data: list[str] = []
    kind = last = ""
    for line in stream.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                events.append((kind or "message", "\n".join(data), last))
            kind, data = "", []
        elif field == "event":
            kind = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            last = value
    return events


@given(st.lists(st.text(min_size=1), min_size=1))
def test_events_come_as_they_were_written(texts: list[str]) -> None:
    stream = b"".join(
        event_stream.write_event(text.encode(), id_=b"e:%d" % number)
        + event_stream.write_comment(b" ping")
        for number, text in enumerate(texts)
    )
    assert read(stream) == [
        ("message", text.replace("\r\n", "\n").replace("\r", "\n"), f"e:{number}")
        for number, text in enumerate(texts)
    ]


def test_kinds_comments_and_pauses() -> None:
    stream = event_stream.write_event(b"7", kind=b"stream") + event_stream.write_retry(1500)
    assert stream == b"event: stream\ndata: 7\n\nretry: 1500\n\n"
    assert read(stream + event_stream.write_comment()) == [("stream", "7", "")]


@given(st.from_regex(r"[0-9a-f]{16}", fullmatch=True), st.integers(0, 1 << 53))
def test_a_position_comes_back(epoch: str, number: int) -> None:
    written = event_stream.write_position(epoch, number).decode()
    assert event_stream.read_position(written) == (epoch, number)


@pytest.mark.parametrize("id_", ["", ":", "e", "e:", ":1", "e:-1", "e:1x", "e:²", "e:" + "1" * 17])
def test_what_is_no_position(id_: str) -> None:
    assert event_stream.read_position(id_) is None


def test_an_event_has_an_id_and_a_kind() -> None:
    event = event_stream.write_event(b"7", id_=b"e:1", kind=b"stream")
    assert event == b"id: e:1\nevent: stream\ndata: 7\n\n"
    assert read(event) == [("stream", "7", "e:1")]
