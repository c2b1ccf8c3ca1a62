"""NEW-ENVIRON (RFC 1572) and the variables of MNES."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocols.telnet.wire import (
    client,
    feed,
    properties,
    sb,
    silent_server,
    telnet_server,
    wire,
)

from holdfast.protocols.telnet import Capabilities, CapabilitiesChanged
from holdfast.protocols.telnet.codes import DO, IAC, NEW_ENVIRON, WILL

WILL_ENVIRON = wire(IAC, WILL, NEW_ENVIRON)
IS, INFO = 0, 2
VAR, VALUE, ESC, USERVAR = 0, 1, 2, 3


def test_variables_are_asked_for_by_name_and_never_the_address() -> None:
    _, sent = feed(silent_server(), [WILL_ENVIRON])
    assert sent == sb(
        NEW_ENVIRON,
        b"\1\0CLIENT_NAME\0CLIENT_VERSION\0TERMINAL_TYPE\0MTTS\0CHARSET",
    )
    assert len(sent) < 256  # inetutils takes no more in one subnegotiation


ROWS: dict[str, tuple[bytes, Capabilities]] = {
    "nothing": (wire(IS), Capabilities()),
    "empty": (b"", Capabilities()),
    "send-is-not-for-us": (wire(1, VAR, "CLIENT_NAME", VALUE, "x"), Capabilities()),
    "one": (wire(IS, VAR, "CLIENT_NAME", VALUE, "x"), Capabilities(client_name="x")),
    "info": (wire(INFO, VAR, "CLIENT_NAME", VALUE, "x"), Capabilities(client_name="x")),
    "uservar": (wire(IS, USERVAR, "CLIENT_NAME", VALUE, "x"), Capabilities(client_name="x")),
    "all": (
        wire(
            IS,
            *(VAR, "CLIENT_NAME", VALUE, "Mudlet", VAR, "CLIENT_VERSION", VALUE, "4"),
            *(VAR, "TERMINAL_TYPE", VALUE, "xterm", VAR, "MTTS", VALUE, "9"),
            *(VAR, "CHARSET", VALUE, "ISO-8859-1"),
        ),
        Capabilities("Mudlet", "4", "xterm", 9, "ISO-8859-1"),
    ),
    "undefined": (wire(IS, USERVAR, "CLIENT_NAME", USERVAR, "MTTS"), Capabilities()),
    "empty-value": (wire(IS, VAR, "CLIENT_NAME", VALUE), Capabilities()),
    "value-without-name": (wire(IS, VALUE, "x"), Capabilities()),
    "text-without-mark": (wire(IS, "CLIENT_NAME", VALUE, "x"), Capabilities()),
    "escaped": (
        wire(IS, VAR, "CLIENT_NAME", VALUE, "a", ESC, ESC, ESC, VAR, "b"),
        Capabilities(client_name="a??b"),
    ),
    "escaped-name": (wire(IS, VAR, "CLIENT", ESC, VALUE, "_NAME", VALUE, "x"), Capabilities()),
    "dangling-escape": (
        wire(IS, VAR, "CLIENT_NAME", VALUE, "x", ESC),
        Capabilities(client_name="x"),
    ),
    "another-variable": (
        wire(IS, VAR, "LD_PRELOAD", VALUE, "x"),
        Capabilities(environment=(("LD_PRELOAD", "x"),)),
    ),
    "the-address-is-a-variable-as-others": (
        wire(IS, VAR, "IPADDRESS", VALUE, "::1"),
        Capabilities(environment=(("IPADDRESS", "::1"),)),
    ),
    "unknown-charset": (wire(IS, VAR, "CHARSET", VALUE, "UTF-16"), Capabilities()),
    "another-charset": (wire(IS, VAR, "CHARSET", VALUE, "Big5"), Capabilities(charset="BIG5")),
    "charset-in-lower-case": (
        wire(IS, VAR, "CHARSET", VALUE, "utf-8"),
        Capabilities(charset="UTF-8"),
    ),
    "mtts-says-utf-8": (wire(IS, VAR, "MTTS", VALUE, "4"), Capabilities(mtts=4, charset="UTF-8")),
    "mtts-does-not-overrule-the-charset": (
        wire(IS, VAR, "CHARSET", VALUE, "US-ASCII", VAR, "MTTS", VALUE, "4"),
        Capabilities(mtts=4, charset="US-ASCII"),
    ),
    "escape-sequence": (
        wire(IS, VAR, "CLIENT_NAME", VALUE, "\x1b]0;x\x07"),
        Capabilities(client_name="?]0;x?"),
    ),
}


@pytest.mark.parametrize(("payload", "known"), ROWS.values(), ids=ROWS)
def test_what_a_client_tells(payload: bytes, known: Capabilities) -> None:
    server = telnet_server(WILL_ENVIRON)
    events, sent = feed(server, [sb(NEW_ENVIRON, payload)])
    assert server.capabilities == known
    assert events == ([] if known == Capabilities() else [CapabilitiesChanged(known)])
    assert sent == b""


def escaped(value: bytes) -> bytes:
    return b"".join(bytes((ESC, byte)) if byte < 4 else bytes((byte,)) for byte in value)


@properties
@given(st.dictionaries(st.sampled_from(["CLIENT_NAME", "CLIENT_VERSION"]), st.binary(max_size=30)))
def test_any_value_comes_through_its_escapes(variables: dict[str, bytes]) -> None:
    payload = wire(
        IS,
        *(wire(VAR, name, VALUE, escaped(value)) for name, value in variables.items()),
    )
    known = telnet_server(WILL_ENVIRON, sb(NEW_ENVIRON, payload)).capabilities
    for name, value in variables.items():
        kept = "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in value).strip()
        assert getattr(known, name.lower()) == kept


def test_all_that_a_client_tells_is_kept_up_to_a_limit() -> None:
    server = telnet_server(WILL_ENVIRON)
    feed(server, [sb(NEW_ENVIRON, IS, VAR, "USER", VALUE, "ada", USERVAR, "SHELL", VALUE, "x\x1b")])
    feed(server, [sb(NEW_ENVIRON, INFO, VAR, "USER", VALUE, "bob")])
    assert dict(server.capabilities.environment) == {"USER": "bob", "SHELL": "x?"}
    for number in range(100):
        feed(server, [sb(NEW_ENVIRON, INFO, VAR, f"V{number}", VALUE, "y" * 100)], number * 10.0)
    environment = dict(server.capabilities.environment)
    assert len(environment) == 32
    assert environment["V1"] == "y" * 40
    feed(server, [sb(NEW_ENVIRON, INFO, VAR, "USER", VALUE, "eve")], 2000.0)
    assert dict(server.capabilities.environment)["USER"] == "eve"


TOLD: dict[str, tuple[bytes, bytes]] = {
    "all": (
        b"\1",
        b"\0\0CLIENT_NAME\1Hold\0CLIENT_VERSION\x011\0TERMINAL_TYPE\1xterm\0MTTS\x01271"
        b"\0CHARSET\1UTF-8",
    ),
    "some": (b"\1\0MTTS\3CLIENT_NAME", b"\0\0MTTS\x01271\3CLIENT_NAME\1Hold"),
    "one-twice": (b"\1\0MTTS\0MTTS", b"\0\0MTTS\x01271\0MTTS\x01271"),
    "a-value": (b"\1\0MTTS\1x", b"\0\0MTTS\x01271"),
    "too-many": (b"\1" + b"\0X" * 40, b"\0" + b"\0X" * 32),
    "unknown": (b"\1\0USER\2\1", b"\0\0USER\2\1"),
    "no-address": (b"\1\0IPADDRESS", b"\0\0IPADDRESS"),
}


@pytest.mark.parametrize(("asked", "told"), TOLD.values(), ids=TOLD)
def test_a_client_tells_what_it_is_asked_for(asked: bytes, told: bytes) -> None:
    peer = client()
    assert feed(peer, [wire(IAC, DO, NEW_ENVIRON)])[1] == WILL_ENVIRON
    assert feed(peer, [sb(NEW_ENVIRON, asked)])[1] == sb(NEW_ENVIRON, told)
    assert feed(peer, [sb(NEW_ENVIRON, b"\0\0USER\1x")])[1] == b""
