"""Inherited sockets and notifications, without a service manager; with one, see tests/cli."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.net.helpers import has_ipv6

from holdfast.core.errors import ConfigurationError
from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import parse_address
from holdfast.net.server import inherited as systemd
from holdfast.net.server.inherited import Inherited, notify
from holdfast.net.server.listener import open_listener


@contextlib.contextmanager
def given(monkeypatch: pytest.MonkeyPatch, *sockets: socket.socket) -> Iterator[dict[str, str]]:
    """The environment of a process to which these sockets were passed, in this order."""
    first = 500
    for number, sock in enumerate(sockets):
        os.dup2(sock.fileno(), first + number)
        sock.close()
    monkeypatch.setattr(systemd, "_FIRST_FD", first)
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets))}
    try:
        yield environment
    finally:
        for number in range(len(sockets)):
            with contextlib.suppress(OSError):
                os.close(first + number)


def listening(host: str = "127.0.0.1", family: int = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family)
    sock.bind((host, 0))
    sock.listen()
    return sock


def test_a_socket_is_found_by_its_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one, two = listening(), listening("0.0.0.0")
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "s"))
    unix.listen()
    ports = [sock.getsockname()[1] for sock in (one, two)]
    with given(monkeypatch, one, two, unix) as environment:
        inherited = Inherited(environment)
        assert environment == {}, "children must not take them for their own"
        assert inherited.take(parse_address(f"tcp://127.0.0.1:{ports[0] ^ 1}")) == []
        assert inherited.take(parse_address(f"tcp://127.0.0.2:{ports[0]}")) == []
        assert inherited.take(parse_address(f"unix:{tmp_path / 't'}")) == []
        for url in (
            f"ws://127.0.0.1:{ports[0]}/",
            f"telnet://0.0.0.0:{ports[1]}",
            f"unix:{tmp_path / 's'}",
        ):
            (found,) = inherited.take(parse_address(url))
            assert not found.get_inheritable()
            assert inherited.take(parse_address(url)) == []
            found.close()
        inherited.finish()


def test_the_file_of_an_inherited_socket_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is the service manager's, for the next start."""
    path = tmp_path / "s"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    loop = asyncio.new_event_loop()
    with given(monkeypatch, sock) as environment:
        inherited = Inherited(environment)
        address = parse_address(f"unix:{path}")
        open_listener(
            loop, address, ConnectionLimits(), lambda *_: True, inherited=inherited
        ).close()
        inherited.finish()
    loop.close()
    assert path.exists()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
@pytest.mark.parametrize(("only", "url"), [(0, "tcp://0.0.0.0:{}"), (1, "tcp://[::]:{}")])
def test_one_socket_may_be_for_both_families(
    monkeypatch: pytest.MonkeyPatch, only: int, url: str
) -> None:
    sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    sock.bind(("::", 0))
    sock.listen()
    port = sock.getsockname()[1]
    with given(monkeypatch, sock) as environment:
        inherited = Inherited(environment)
        if only:
            assert inherited.take(parse_address(f"tcp://0.0.0.0:{port}")) == []
        (found,) = inherited.take(parse_address(url.format(port)))
        found.close()


def test_what_no_listener_takes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = listening()
    port = sock.getsockname()[1]
    with given(monkeypatch, sock) as environment:
        inherited = Inherited(environment)
        with pytest.raises(ConfigurationError, match=f"found none at 127.0.0.1:{port}"):
            inherited.finish()


@pytest.mark.parametrize(
    "environment",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}],
    ids=["nothing", "no-pid", "another-s"],
)
def test_what_was_given_to_another_process_is_not_ours(environment: dict[str, str]) -> None:
    Inherited(environment).finish()
    assert environment == {}


@pytest.mark.parametrize("count", ["x", "-1", "5000"])
def test_a_count_that_is_none_is_named(count: str) -> None:
    with pytest.raises(ConfigurationError, match=f"LISTEN_FDS: expected a number .* '{count}'"):
        Inherited({"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid())})


def test_a_socket_that_does_not_listen_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        given(monkeypatch, socket.socket()) as environment,
        pytest.raises(ConfigurationError, match="expected a listening stream socket"),
    ):
        Inherited(environment)


def test_a_descriptor_that_is_no_socket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "_FIRST_FD", 600)
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    with pytest.raises(ConfigurationError, match="expected a socket at descriptor 600"):
        Inherited(environment)


@pytest.mark.parametrize("where", ["", "relative", "/nowhere/at/all"])
def test_without_a_manager_nothing_is_told(where: str) -> None:
    assert not notify("READY=1", environment={"NOTIFY_SOCKET": where})


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_is_told(tmp_path: Path, abstract: bool) -> None:
    where = f"@{tmp_path}" if abstract else f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(where.replace("@", "\0", 1))
        assert notify("READY=1", "STATUS=up", environment={"NOTIFY_SOCKET": where})
        assert manager.recv(100) == b"READY=1\nSTATUS=up"
