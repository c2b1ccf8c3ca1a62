import socket

import pytest

from holdfast.vtc.io.socket_address import AddressError, SocketAddress, resolve, split

STREAM = socket.SOCK_STREAM


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", "80")),
        ("127.0.0.1 80", ("127.0.0.1", "80")),
        ("127.0.0.1", ("127.0.0.1", None)),
        ("[::1]:80", ("::1", "80")),
        ("[::1] 80", ("::1", "80")),
        ("[::1]", ("::1", None)),
        ("::1", ("::1", None)),
        ("localhost:80", ("localhost", "80")),
        (":80", (None, "80")),
    ],
)
def test_host_and_port(text: str, expected: tuple[str | None, str | None]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize("text", ["[::1", "[::1]x80", "@", "/" + "x" * 107])
async def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        await resolve(text, "0", STREAM)


async def test_numbers_are_not_looked_up() -> None:
    assert await resolve("127.0.0.1:80", None, STREAM) == [
        SocketAddress(socket.AF_INET, ("127.0.0.1", 80))
    ]
    (found,) = await resolve("[::1]", "81", STREAM)
    assert found.joined == "[::1]:81"


async def test_names_are_looked_up() -> None:
    found = await resolve("localhost:80", None, STREAM)
    assert ("127.0.0.1", 80) in [(one.host, one.port) for one in found]


async def test_unix_sockets_have_a_path() -> None:
    (found,) = await resolve("/tmp/x.sock", None, STREAM)
    assert (found.path, found.host, found.port) == ("/tmp/x.sock", "0.0.0.0", 0)
    (abstract,) = await resolve("@name", None, STREAM)
    assert abstract.sockaddr == b"\0name"
    assert abstract.joined == "@name"
