"""What is said on the link, byte for byte: another language can copy its tests from here."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.link.structs import values

from holdfast.core import login
from holdfast.core.items import Data, Interrupt, Prompt, Resized, Text
from holdfast.link import messages as m
from holdfast.link.codec import encode_notification, encode_request, encode_response
from holdfast.sessions.records import Capabilities

SID = "018f-1"
INFO = m.SessionInfo(SID, "active", user="ann", protocol="telnet")
NEW = m.SessionInfo(SID, "active", capabilities=Capabilities(width=80, height=24))

# A frame, its kind, and what its params, its result or its error are read as.
FRAMES: list[tuple[str, bytes, bytes, type[Any], Any]] = [
    (
        "hello",
        b"\x00\x00\x00T\x94\x00\x01\xa5hello\x86\xa8protocol\x01\xa3app\xa4chat\xa8instance\xa2i1"
        b"\xa6window\xce\x00@\x00\x00\xa6secret\xa6s3cret\xa7applied\x81\xa6018f-1\x07",
        encode_request(1, m.HELLO, m.Hello(1, "chat", "i1", 1 << 22, "s3cret", {SID: 7})),
        m.Hello,
        m.Hello(1, "chat", "i1", 1 << 22, "s3cret", {SID: 7}),
    ),
    (
        "welcome",
        b"\x00\x00\x00\x97\x94\x01\x01\xc0\x86\xa7gateway\xa8holdfast\xa4node\xa6node-1"
        b"\xabheartbeat_s\xcb@.\x00\x00\x00\x00\x00\x00\xa6window\xce\x00@\x00\x00\xa8accepted\x00"
        b"\xa8sessions\x91\x85\xa3sid\xa6018f-1\xa5state\xa6active\xa4user\xa3ann"
        b"\xaccapabilities\x80\xa8protocol\xa6telnet",
        encode_response(1, None, m.Welcome("holdfast", "node-1", 15.0, 1 << 22, 0, [INFO])),
        m.Welcome,
        m.Welcome("holdfast", "node-1", 15.0, 1 << 22, 0, [INFO]),
    ),
    (
        "hello-refused",
        b"\x00\x00\x004\x94\x01\x01\x82\xa4code\xa6secret\xa7message"
        b"\xbathe link's secret is wrong\xc0",
        encode_response(1, m.LinkFault("secret", "the link's secret is wrong"), None),
        m.LinkFault,
        m.LinkFault("secret", "the link's secret is wrong"),
    ),
    (
        "events",
        b"\x00\x00\x00\xae\x93\x02\xa6events\x95"
        b"\x93\xa6018f-1\x00\x92\xa6opened\x83\xa3sid\xa6018f-1\xa5state\xa6active"
        b"\xaccapabilities\x82\xa5widthP\xa6height\x18"
        b"\x93\xa6018f-1\x08\x92\xa4text\xa4look"
        b"\x93\xa6018f-1\t\x91\xa9interrupt"
        b"\x93\xa6018f-1\x00\x93\xa7resizedd\x1e"
        b"\x93\xa6018f-1\x00\x92\xa8detached\xadnetwork_error",
        encode_notification(
            m.EVENTS,
            events := [
                m.SessionEvent(SID, 0, m.Opened(NEW)),
                m.SessionEvent(SID, 8, Text("look")),
                m.SessionEvent(SID, 9, Interrupt()),
                m.SessionEvent(SID, 0, Resized(100, 30)),
                m.SessionEvent(SID, 0, m.Detached("network_error")),
            ],
        ),
        list[m.SessionEvent],
        events,
    ),
    (
        "emit",
        b"\x00\x00\x00p\x93\x02\xa4emit\x93"
        b"\x94\xa6018f-1\x01\xa4must\x92\xa4text\xa7A door."
        b"\x94\xa6018f-1\x02\xadlatest:prompt\x92\xa6prompt\xa2> "
        b'\x94\xa6018f-1\x03\xa8volatile\x93\xa4data\xa9Room.Info\xa7{"n":1}',
        encode_notification(
            m.EMIT,
            outputs := [
                m.Emit(SID, 1, "must", Text("A door.")),
                m.Emit(SID, 2, "latest:prompt", Prompt("> ")),
                m.Emit(SID, 3, "volatile", Data("Room.Info", '{"n":1}')),
            ],
        ),
        list[m.Emit],
        outputs,
    ),
    (
        "broadcast",
        b"\x00\x00\x00)\x93\x02\xa9broadcast\x95\xa5lobby\x04\xa4must\x92\xa4text\xa2hi\xa6018f-1",
        encode_notification(m.BROADCAST, m.Broadcast("lobby", 4, "must", Text("hi"), SID)),
        m.Broadcast,
        m.Broadcast("lobby", 4, "must", Text("hi"), SID),
    ),
    (
        "applied",
        b"\x00\x00\x00\x14\x93\x02\xa7applied\x91\x92\xa6018f-1\x08",
        encode_notification(m.APPLIED, [m.Applied(SID, 8)]),
        list[m.Applied],
        [m.Applied(SID, 8)],
    ),
    (
        "accepted",
        b"\x00\x00\x00\r\x93\x02\xa8accepted\x91\x04",
        encode_notification(m.ACCEPTED, m.Accepted(4)),
        m.Accepted,
        m.Accepted(4),
    ),
    (
        "refused",
        b"\x00\x00\x00\x11\x93\x02\xa7refused\x93\x05\xa3why\xa0",
        encode_notification(m.REFUSED, m.Refused(5, "why")),
        m.Refused,
        m.Refused(5, "why"),
    ),
    (
        "session.update",
        b"\x00\x00\x00!\x93\x02\xaesession.update\x96\xa6018f-1\x05\xa3ann\xc0\xc0\xc0",
        encode_notification(m.UPDATE, m.Update(SID, 5, user="ann")),
        m.Update,
        m.Update(SID, 5, user="ann"),
    ),
    (
        "input_mode",
        b"\x00\x00\x00\x1d\x93\x02\xaainput_mode\x93\xa6018f-1\x06\xa6secret",
        encode_notification(m.INPUT_MODE, m.InputMode(SID, 6, "secret")),
        m.InputMode,
        m.InputMode(SID, 6, "secret"),
    ),
    (
        "group.join",
        b"\x00\x00\x00\x1d\x93\x02\xaagroup.join\x93\xa5lobby\x06\x91\xa6018f-1",
        encode_notification(m.JOIN, m.Membership("lobby", 6, [SID])),
        m.Membership,
        m.Membership("lobby", 6, [SID]),
    ),
    (
        "session.close",
        b"\x00\x00\x00+\x94\x00\x02\xadsession.close\x82\xa3sid\xa6018f-1\xa6reason\xa6kicked",
        encode_request(2, m.CLOSE, m.Close(SID)),
        m.Close,
        m.Close(SID),
    ),
    (
        "session.close-answered",
        b"\x00\x00\x00\x05\x94\x01\x02\xc0\xc3",
        encode_response(2, None, True),
        bool,
        True,
    ),
    (
        "sessions.list",
        b"\x00\x00\x00\x1f\x94\x00\x03\xadsessions.list\x81\xa5state\xa6active",
        encode_request(3, m.LIST, m.Filter(state="active")),
        m.Filter,
        m.Filter(state="active"),
    ),
    (
        "authenticate",
        b"\x00\x00\x005\x94\x00\x01\xacauthenticate\x83\xa3sid\xa6018f-1\xa8username\xa3ann"
        b"\xa8password\xa2pw",
        encode_request(1, m.AUTHENTICATE, m.Authenticate(SID, "ann", "pw")),
        m.Authenticate,
        m.Authenticate(SID, "ann", "pw"),
    ),
    (
        "heartbeat",
        b"\x00\x00\x00\x0e\x94\x00\x04\xa9heartbeat\x80",
        encode_request(4, m.HEARTBEAT, m.Heartbeat()),
        m.Heartbeat,
        m.Heartbeat(),
    ),
    (
        "goodbye",
        b"\x00\x00\x00*\x93\x02\xa7goodbye\x81\xa6reason\xb7the gateway is stopping",
        encode_notification(m.GOODBYE, m.Goodbye("the gateway is stopping")),
        m.Goodbye,
        m.Goodbye("the gateway is stopping"),
    ),
]
each_frame = pytest.mark.parametrize(
    ("frame", "encoded", "kind", "meaning"),
    [row[1:] for row in FRAMES],
    ids=[row[0] for row in FRAMES],
)


@each_frame
def test_a_frame_is_written_as_the_protocol_says(
    frame: bytes, encoded: bytes, kind: type[Any], meaning: object
) -> None:
    assert encoded == frame


@each_frame
def test_a_frame_is_read_as_the_protocol_says(
    frame: bytes, encoded: bytes, kind: type[Any], meaning: object
) -> None:
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    message: m.Message = msgspec.msgpack.decode(frame[4:], type=m.Message)
    found: object
    match message:
        case m.Request(_, _, raw) | m.Notification(_, raw):
            found = msgspec.msgpack.decode(raw, type=kind)
        case m.Response(_, None, raw):
            found = msgspec.msgpack.decode(raw, type=kind)
        case m.Response(_, error, _):
            found = error
    assert found == meaning


STRUCTS = [
    m.Request,
    m.Response,
    m.Notification,
    m.LinkFault,
    m.SessionInfo,
    m.Authorize,
    m.Hello,
    m.Bounds,
    m.Welcome,
    m.SessionEvent,
    m.Authenticate,
    m.AuthResult,
    m.ProfileSummary,
    m.ProfileCreation,
    m.ProfileChoice,
    m.ProfileQuery,
    m.Remember,
    m.Emit,
    m.Broadcast,
    m.Applied,
    m.Update,
    m.InputMode,
    m.Membership,
    m.Accepted,
    m.Refused,
    m.Close,
    m.Filter,
    m.Heartbeat,
    m.Leaving,
    m.Goodbye,
    m.Forget,
    m.MembersWanted,
    m.Members,
    m.TracedEvent,
    m.NodeAddress,
    m.Nodes,
    m.Inherited,
    m.NodeName,
]
EVENTS = {
    m.Opened,
    m.Adopted,
    m.CapabilitiesChanged,
    m.Detached,
    m.Resumed,
    m.Resync,
    m.Closed,
    m.Moved,
}


def test_every_message_of_the_module_is_among_those_tested_here() -> None:
    defined = {
        value
        for value in vars(m).values()
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and value.__module__ in (m.__name__, login.__name__)
    }
    assert defined == {*STRUCTS, *EVENTS}  # the events are in `SessionEvent`


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_any_value_of_a_message_reads_as_it_was_written(data: st.DataObject, kind: Any) -> None:
    value = data.draw(values(kind))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=kind) == value


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
@settings(max_examples=25)
@given(data=st.data())
def test_what_a_newer_version_adds_is_ignored(data: st.DataObject, kind: Any) -> None:
    value = data.draw(values(kind))
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(value))
    if isinstance(plain, dict):
        plain["of a newer version"] = ["what", {"ever": 1}]
    else:
        plain.append({"of a newer version": 1})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plain), type=kind) == value


def test_the_methods_have_names_of_their_own() -> None:
    names = [value for name, value in vars(m).items() if name.isupper() and isinstance(value, str)]
    assert len(set(names)) == len(names) == 30
