from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.net.addresses import (
    SCHEMES,
    Address,
    InvalidAddressError,
    parse_address,
    peer_name,
)

GOOD = [
    ("tcp://127.0.0.1:4001", Address("tcp", "127.0.0.1", 4001, ""), "tcp://127.0.0.1:4001"),
    ("tcp://[::1]:0", Address("tcp", "::1", 0, ""), "tcp://[::1]:0"),
    ("tls://[::]:4433", Address("tls", "::", 4433, ""), "tls://[::]:4433"),
    ("tcp://[fe80::1%eth0]:1", Address("tcp", "fe80::1%eth0", 1, ""), "tcp://[fe80::1%eth0]:1"),
    ("tcp://LocalHost:65535", Address("tcp", "localhost", 65535, ""), "tcp://localhost:65535"),
    ("telnet://a.example", Address("telnet", "a.example", 23, ""), "telnet://a.example:23"),
    ("telnets://a.example", Address("telnets", "a.example", 992, ""), "telnets://a.example:992"),
    ("ws://a.example", Address("ws", "a.example", 80, "/"), "ws://a.example:80/"),
    ("wss://a.example/", Address("wss", "a.example", 443, "/"), "wss://a.example:443/"),
    ("ws://a:8080/b?c=d", Address("ws", "a", 8080, "/b?c=d"), "ws://a:8080/b?c=d"),
    ("TCP://localhost:80", Address("tcp", "localhost", 80, ""), "tcp://localhost:80"),
    ("ws://a?b=c", Address("ws", "a", 80, "/?b=c"), "ws://a:80/?b=c"),
    ("ws://a/caf\u00e9", Address("ws", "a", 80, "/caf%C3%A9"), "ws://a:80/caf%C3%A9"),
    (
        "ws://a/?q=\u65e5 x",
        Address("ws", "a", 80, "/?q=%E6%97%A5%20x"),
        "ws://a:80/?q=%E6%97%A5%20x",
    ),
    ("ws://a/50%", Address("ws", "a", 80, "/50%25"), "ws://a:80/50%25"),
    ("ws://a/%2f%C3", Address("ws", "a", 80, "/%2f%C3"), "ws://a:80/%2f%C3"),
    (
        "wss://b\u00fccher.example/",
        Address("wss", "xn--bcher-kva.example", 443, "/"),
        "wss://xn--bcher-kva.example:443/",
    ),
    ("ws://a.example./", Address("ws", "a.example.", 80, "/"), "ws://a.example.:80/"),
    ("ws://[fe80::1%25eth0]/", Address("ws", "fe80::1%eth0", 80, "/"), "ws://[fe80::1%eth0]:80/"),
    ("UNIX:/run/h.sock", Address("unix", "", 0, "/run/h.sock"), "unix:/run/h.sock"),
    ("unix:/run/h.sock", Address("unix", "", 0, "/run/h.sock"), "unix:/run/h.sock"),
    ("unix:///run/h.sock", Address("unix", "", 0, "/run/h.sock"), "unix:/run/h.sock"),
    ("unix:data/link.sock", Address("unix", "", 0, "data/link.sock"), "unix:data/link.sock"),
    ("unix:@name", Address("unix", "", 0, "@name"), "unix:@name"),
]


@pytest.mark.parametrize(("text", "address", "written"), GOOD, ids=[row[0] for row in GOOD])
def test_an_address_is_read_and_written(text: str, address: Address, written: str) -> None:
    assert parse_address(text) == address
    assert str(address) == written
    assert parse_address(written) == address


BAD = [
    ("", "expected one of tcp, tls, unix, ws, wss, telnet, telnets before the first colon"),
    ("localhost", "expected one of tcp"),
    ("localhost:4000", "expected one of tcp"),
    ("http://localhost:80", "before the first colon; in place of http, ws"),
    ("https://localhost", "; in place of https, wss"),
    ("tcp:", "expected a host, as in tcp://127.0.0.1:4000"),
    ("tcp:127.0.0.1:4000", "expected a host"),
    ("tcp://", "expected a host"),
    ("tcp://:4000", "expected a host"),
    ("tcp://[::1:4000", "expected a host"),
    ("tcp://[localhost]:4000", "expected a host"),
    ("tcp://a..b:4000", "expected a host"),
    ("tcp://" + 64 * "a" + ":4000", "expected a host"),
    ("tcp://localhost", "expected a port from 0 to 65535 after the host"),
    ("tls://localhost:", "expected a port from 0 to 65535 after the host"),
    ("tcp://localhost:x", "expected a port"),
    ("tcp://localhost:-1", "expected a port"),
    ("tcp://localhost:65536", "expected a port"),
    ("tcp://localhost:1/path", "a tcp address has no path, found '/path'"),
    ("telnet://localhost/?q", "a telnet address has no path, found '/?q'"),
    ("tcp://user@localhost:1", "an address has neither a user nor a fragment"),
    ("ws://user:secret@localhost/", "an address has neither a user nor a fragment"),
    ("ws://localhost/#top", "an address has neither a user nor a fragment"),
    ("unix:", "expected a path, as in unix:/run/holdfast.sock"),
    ("unix://", "expected a path"),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[repr(row[0])[:30] for row in BAD])
def test_a_bad_address_is_named_with_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(InvalidAddressError) as caught:
        parse_address(text)
    assert str(caught.value).startswith(f"{text!r}: ")
    assert message in str(caught.value)


@given(
    scheme=st.sampled_from([*SCHEMES, "http", ""]),
    rest=st.one_of(st.text(), st.text("ab1:/[]@?#%. é\N{ACCOUNT OF}\n")),
)
def test_any_text_is_an_address_or_refused(scheme: str, rest: str) -> None:
    try:
        address = parse_address(f"{scheme}://{rest}")
    except InvalidAddressError:
        return
    assert address.scheme in SCHEMES
    assert 0 <= address.port <= 65535
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "secure"),
    [
        ("tcp://a:1", False),
        ("tls://a:1", True),
        ("ws://a", False),
        ("wss://a", True),
        ("telnet://a", False),
        ("telnets://a", True),
        ("unix:a", False),
    ],
)
def test_the_scheme_says_whether_there_is_tls(text: str, secure: bool) -> None:
    assert parse_address(text).secure is secure


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("ws://a.example/", "a.example"),
        ("ws://a.example:443/", "a.example:443"),
        ("wss://a.example:443/", "a.example"),
        ("ws://[::1]/", "[::1]"),
        ("ws://[::1]:8080/", "[::1]:8080"),
        ("tcp://a:80", "a:80"),
        ("ws://[fe80::1%25eth0]:8080/", "[fe80::1]:8080"),
        ("ws://b\u00fccher.example/", "xn--bcher-kva.example"),
    ],
)
def test_an_authority_leaves_out_the_port_that_its_scheme_means(text: str, authority: str) -> None:
    """RFC 9110 section 7.2, RFC 6455 section 4.1."""
    assert parse_address(text).authority == authority


@pytest.mark.parametrize(
    ("text", "path"),
    [("unix:@holdfast", "\0holdfast"), ("unix:/a/@b", "/a/@b"), ("unix:@a@b", "\0a@b")],
)
def test_an_at_sign_means_the_abstract_namespace(text: str, path: str) -> None:
    assert parse_address(text).socket_path == path


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("wss://a.example/", "a.example"),
        ("wss://a.example./", "a.example"),
        ("tls://[fe80::1%25eth0]:1", "fe80::1"),
    ],
)
def test_a_certificate_is_for_a_name_without_a_final_dot_and_without_a_zone(
    text: str, name: str
) -> None:
    """RFC 6066 section 3."""
    assert parse_address(text).tls_name == name


PEERS: list[tuple[object, str]] = [
    (("192.0.2.1", 4000), "192.0.2.1:4000"),
    (("::ffff:192.0.2.1", 4000, 0, 0), "192.0.2.1:4000"),
    (("::ffff:c000:201", 4000, 0, 0), "192.0.2.1:4000"),
    (("::FFFF:C000:201", 4000), "192.0.2.1:4000"),
    (("2001:db8::1", 4000, 0, 0), "[2001:db8::1]:4000"),
    (("::ffff:0:c000:201", 4000, 0, 0), "[::ffff:0:c000:201]:4000"),
    (("fe80::1%eth0", 4000, 0, 2), "[fe80::1%eth0]:4000"),
    ("", "unix"),
    (b"\0name", "unix"),
]


@pytest.mark.parametrize(("where", "name"), PEERS, ids=[str(row[0]) for row in PEERS])
def test_a_peer_has_one_name_whichever_socket_it_comes_through(where: object, name: str) -> None:
    assert peer_name(where) == name
