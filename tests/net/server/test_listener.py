"""Listening sockets: each on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from tests.net.helpers import call, has_ipv6, patience, unix

from holdfast.core.errors import BusyError, ConfigurationError
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address, parse_address
from holdfast.net.server.bind import AddressInUseError, BindOptions
from holdfast.net.server.listener import Listener, open_listener
from holdfast.net.transport.transports import Sockets

LIMITS = ConnectionLimits()

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


class Greeter(asyncio.Protocol):
    """Says hello and closes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.write(b"hello")
        transport.close()


@contextlib.asynccontextmanager
async def listening(
    url: str, make: Callable[[], asyncio.Protocol] = Greeter, **options: Any
) -> AsyncIterator[Listener]:
    loop = asyncio.get_running_loop()
    sockets = Sockets(loop)

    def accepted(sock: socket.socket, where: object) -> bool:
        sockets.adopt(make(), sock)
        return True

    bind_options = BindOptions(**options)
    listener = open_listener(loop, parse_address(url), LIMITS, accepted, options=bind_options)
    try:
        yield listener
    finally:
        listener.close()


async def greeting(address: Address, host: str | None = None) -> bytes:
    address = structs.replace(address, host=host) if host else address
    async with call(address) as caller:
        return await caller.read_all()


@pytest.mark.parametrize(
    "url",
    ["tcp://127.0.0.1:0", pytest.param("tcp://[::1]:0", marks=needs_ipv6), "telnet://127.0.0.1:0"],
)
async def test_port_0_takes_a_free_port_and_says_which(url: str) -> None:
    async with listening(url) as listener:
        assert listener.address.port > 0
        assert listener.address.scheme == parse_address(url).scheme
        assert await greeting(listener.address) == b"hello"


@needs_ipv6
async def test_a_name_of_two_families_is_one_port_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),  # as with two lines in hosts
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    async with listening("tcp://localhost:0") as listener:
        monkeypatch.undo()
        for host in ("127.0.0.1", "::1"):
            assert await greeting(listener.address, host) == b"hello"


NO_SUCH_FAMILY = (socket.AF_DECnet, socket.SOCK_STREAM, 0, "", ("::1", 0, 0, 0))
"""An address family that this kernel does not have, as IPv6 in many containers."""


async def test_localhost_is_served_where_one_of_its_families_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
    for found in ([NO_SUCH_FAMILY, here], [here, NO_SUCH_FAMILY]):
        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", lambda *_, found=found, **__: found)
            async with listening("tcp://localhost:0") as listener:
                patched.undo()
                assert await greeting(listener.address, "127.0.0.1") == b"hello"


@pytest.mark.parametrize(
    "found",
    [
        [NO_SUCH_FAMILY],
        [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        ],
    ],
    ids=["nothing-is-left", "an-address-of-another-machine"],
)
async def test_an_address_that_this_machine_lacks_is_refused(
    monkeypatch: pytest.MonkeyPatch, found: list[Any]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(ConfigurationError, match="cannot listen there"):
        async with listening("tcp://somewhere:0"):
            pass


@pytest.mark.parametrize("tries", [1, 3, 1_000])
async def test_a_free_port_that_is_taken_in_the_other_family_is_not_insisted_on(
    monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    two = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    left = tries

    class Sock(socket.socket):
        def bind(self, where: Any) -> None:
            nonlocal left
            if where[0] == "127.0.0.1":
                left -= 1
                if left > 0:
                    raise OSError(98, "Address already in use")
            super().bind(where)

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: two)
    monkeypatch.setattr(socket, "socket", Sock)
    if tries > 100:
        with pytest.raises(AddressInUseError):
            async with listening("tcp://somewhere:0"):
                pass
        return
    async with listening("tcp://somewhere:0") as listener:
        monkeypatch.undo()
        for host in ("127.0.0.1", "127.0.0.2"):
            assert await greeting(listener.address, host) == b"hello"


@needs_ipv6
async def test_an_ipv6_address_leaves_ipv4_alone() -> None:
    for _ in range(10):
        async with listening("tcp://[::]:0") as six:
            try:
                async with listening(f"tcp://0.0.0.0:{six.address.port}") as four:
                    assert await greeting(four.address, "127.0.0.1") == b"hello"
                    assert await greeting(six.address, "::1") == b"hello"
                    return
            except AddressInUseError:
                pass  # by another program, which has that port in IPv4 alone
    pytest.fail("each port of IPv6 was taken in IPv4")


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_an_address_in_use_is_named(kind: str, tmp_path: Path) -> None:
    async with listening("tcp://127.0.0.1:0" if kind == "tcp" else unix(tmp_path)) as listener:
        with pytest.raises(AddressInUseError) as caught:
            async with listening(str(listener.address)):
                pass
        assert str(caught.value) == f"{listener.address}: another process listens there already"
        assert isinstance(caught.value, BusyError)
        assert caught.value.retryable
        assert await greeting(listener.address) == b"hello"


async def test_a_port_can_be_taken_again_at_once() -> None:
    async with listening("tcp://127.0.0.1:0") as first:
        assert await greeting(first.address) == b"hello"
    async with listening(str(first.address)) as second:
        assert await greeting(second.address) == b"hello"


async def test_a_closed_listener_accepts_no_more(tmp_path: Path) -> None:
    for url in ("tcp://127.0.0.1:0", unix(tmp_path)):
        async with listening(url) as listener:
            pass
        with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
            await greeting(listener.address)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("tcp://192.0.2.1:0", "cannot listen there: "),
        ("tcp://nowhere.invalid:0", "cannot listen there: "),
        ("unix:/nowhere/at/all/s", "cannot listen there: No such file or directory"),
        ("unix:/" + 120 * "x", "cannot listen there: "),
    ],
)
async def test_an_address_that_this_machine_does_not_have_is_named(url: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        async with listening(url):
            pass
    message = str(caught.value)
    assert message.startswith(f"{parse_address(url)}: {fault}")
    assert not message.endswith((": ", ": None"))


async def test_a_port_for_which_this_user_has_no_right_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(sock: socket.socket, where: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", type("Sock", (socket.socket,), {"bind": refuse}))
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:80: this user may not listen"):
        async with listening("tcp://127.0.0.1:80"):
            pass


async def test_what_was_bound_is_closed_when_a_later_family_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A socket that is left open is a ResourceWarning, which is an error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        two = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", port)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: two)
        with pytest.raises(AddressInUseError):
            async with listening(f"tcp://somewhere:{port}"):
                pass
        with socket.create_server(("127.0.0.2", port)):
            pass


async def test_urgent_data_stays_in_its_place() -> None:
    """RFC 854: SYNCH sends DM as urgent data, and it counts where it stands in the stream."""
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    class Listening(asyncio.Protocol):
        data = b""

        def data_received(self, data: bytes) -> None:
            self.data += data
            if self.data.endswith(b"z"):
                heard.set_result(self.data)

    async with listening("tcp://127.0.0.1:0", Listening) as listener:
        with socket.create_connection(("127.0.0.1", listener.address.port)) as sock:
            sock.send(b"ab\xff")
            sock.send(b"\xf2", socket.MSG_OOB)
            sock.send(b"yz")
            async with patience():
                assert await heard == b"ab\xff\xf2yz"


# --- Unix sockets


async def test_a_unix_socket_has_a_file_while_it_listens(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with listening(unix(tmp_path)) as listener:
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert await greeting(listener.address) == b"hello"
    assert not path.exists()


async def test_the_file_may_be_gone_when_the_listener_closes(tmp_path: Path) -> None:
    async with listening(unix(tmp_path)):
        (tmp_path / "s").unlink()


async def test_the_file_of_a_process_that_is_gone_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    async with listening(unix(tmp_path)) as listener:
        assert await greeting(listener.address) == b"hello"


async def test_the_socket_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        inode = path.stat().st_ino
        with pytest.raises(AddressInUseError, match="another process listens there already"):
            async with listening(unix(tmp_path)):
                pass
        assert path.stat().st_ino == inode


@pytest.mark.parametrize("kind", ["file", "folder"])
async def test_what_is_no_socket_is_refused_and_kept(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    if kind == "file":
        path.write_text("precious")
    else:
        path.mkdir()
    with pytest.raises(ConfigurationError, match="expected a socket or nothing, found a file"):
        async with listening(unix(tmp_path)):
            pass
    assert path.is_dir() or path.read_text() == "precious"


@needs_linux
async def test_an_abstract_socket_has_no_file() -> None:
    name = f"@holdfast-test-{os.getpid()}"
    async with listening(f"unix:{name}") as listener:
        assert await greeting(listener.address) == b"hello"
        assert name not in os.listdir()
        with pytest.raises(AddressInUseError, match="another process listens there already"):
            async with listening(f"unix:{name}"):
                pass
    async with listening(f"unix:{name}"):
        pass


@pytest.mark.parametrize("mode", ["0600", "0660", "777"])
async def test_a_unix_socket_has_the_mode_that_was_asked_for(tmp_path: Path, mode: str) -> None:
    async with listening(unix(tmp_path), mode=mode) as listener:
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == int(mode, 8)
        assert await greeting(listener.address) == b"hello"


async def test_a_unix_socket_is_of_the_group_that_was_asked_for(tmp_path: Path) -> None:
    number = (os.getgroups() or [os.getgid()])[-1]
    for group in (str(number), grp.getgrgid(number).gr_name):
        async with listening(unix(tmp_path), group=group, mode="0660"):
            found = (tmp_path / "s").stat()
            assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (number, 0o660)


async def test_a_file_that_another_has_put_in_its_place_is_left_alone(tmp_path: Path) -> None:
    """As a restart without a gap does: the new process listens before the old one goes."""
    path = tmp_path / "s"
    async with listening(unix(tmp_path)):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
    assert path.exists()


# --- options


@needs_ipv6
async def test_one_socket_may_take_both_families() -> None:
    async with listening("tcp://[::]:0", dual_stack=True) as listener:
        for host in ("127.0.0.1", "::1"):
            assert await greeting(listener.address, host) == b"hello"


async def test_several_may_share_a_port() -> None:
    async with (
        listening("tcp://127.0.0.1:0", reuse_port=True) as first,
        listening(str(first.address), reuse_port=True) as second,
    ):
        assert second.address == first.address
        with pytest.raises(AddressInUseError):
            async with listening(str(first.address)):
                pass


@needs_linux
async def test_only_an_interface_may_be_listened_at() -> None:
    async with listening("tcp://0.0.0.0:0", interface="lo") as listener:
        assert await greeting(listener.address, "127.0.0.1") == b"hello"


@pytest.mark.parametrize(
    ("url", "options", "fault"),
    [
        ("tcp://0.0.0.0:0", {"interface": "eth99"}, r"interface: expected one of .*lo.* 'eth99'"),
        ("unix:s", {"interface": "lo"}, "interface: expected none for a Unix socket"),
        ("unix:s", {"reuse_port": True}, "reuse_port: expected none for a Unix socket"),
        ("unix:s", {"mode": "0999"}, "mode: expected permissions as in '0660', found '0999'"),
        ("unix:s", {"mode": "7777"}, "mode: expected permissions as in '0660', found '7777'"),
        ("unix:s", {"group": "nobody's"}, "group: expected a group of this machine, found"),
        ("unix:@s", {"group": "0"}, "group: expected none for unix:@s, which has no file"),
        ("tcp://0.0.0.0:0", {"group": "0"}, "group: expected none for tcp://0.0.0.0:0"),
        ("unix:@s", {"mode": "0600"}, "mode: expected none for unix:@s, which has no file"),
        ("tcp://0.0.0.0:0", {"mode": "0600"}, "mode: expected none for tcp://0.0.0.0:0"),
        ("tcp://0.0.0.0:0", {"dual_stack": True}, r"dual_stack: expected only for the host \[::\]"),
    ],
)
async def test_an_option_that_cannot_be_is_named(
    url: str, options: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        async with listening(url, **options):
            pass
