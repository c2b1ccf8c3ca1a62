"""What the demo tells of how to come in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.backends.ssh.servers import PASSWORD, scripted
from tests.backends.terminal.client import term_client
from tests.gateway.running import serving

from holdfast.backends.ssh.config import TargetConfig
from holdfast.cli.demo import _say_how
from holdfast.cli.demo_config import demo_pages, with_terminals
from holdfast.cli.run import make_config
from holdfast.core.errors import ConfigurationError
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.net.addresses import Address, parse_address


def gateway(*urls: str) -> tuple[Config, list[Address]]:
    return started(Config(listener=tuple(ListenerConfig(url=url, pages=".") for url in urls)))


def started(config: Config) -> tuple[Config, list[Address]]:
    """What a gateway with this configuration tells of where it listens."""
    return config, [parse_address(listener.url) for listener in config.listener]


def test_each_listener_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    urls = ("ws://127.0.0.1:8080/", "telnet://127.0.0.1:4000", "tcp://127.0.0.1:4001")
    _say_how(*gateway(*urls), tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        "The chat is running. Connect with:",
        "",
        "  browser   http://127.0.0.1:8080/",
        "  terminal  holdfast connect ws://127.0.0.1:8080/",
        "  telnet    telnet 127.0.0.1 4000",
        "  netcat    nc 127.0.0.1 4001",
        "",
        f"Sessions are stored in {tmp_path}. Ctrl-C stops the demo; they stay.",
    ]


def test_only_what_there_is_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _say_how(*gateway("wss://127.0.0.1:8443/x"), tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:4] == [
        "  browser   https://127.0.0.1:8443/",
        "  terminal  holdfast connect wss://127.0.0.1:8443/x",
    ]
    assert len(lines) == 6
    _say_how(*gateway(), tmp_path)
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_the_page_is_there() -> None:
    assert (demo_pages() / "index.html").is_file()


def test_the_terminals_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = make_config(("ws://127.0.0.1:8080/",), tmp_path, demo_pages())
    _say_how(*started(with_terminals(config, "ws://127.0.0.1:8022/", "localhost")), tmp_path)
    assert capsys.readouterr().out.splitlines()[2:5] == [
        "  browser   http://127.0.0.1:8080/",
        "  terminal  holdfast connect ws://127.0.0.1:8080/",
        "  shell     http://127.0.0.1:8022/",
    ]


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [("build.example.org", "build.example.org", 22), ("127.0.0.1:2222", "127.0.0.1", 2222),
     ("[::1]:2222", "::1", 2222)],
)  # fmt: skip
def test_the_ssh_server_of_the_terminals(tmp_path: Path, server: str, host: str, port: int) -> None:
    config = make_config(("ws://127.0.0.1:8080/",), tmp_path)
    backend: Any = with_terminals(config, "ws://127.0.0.1:0/", server).listener[-1].backend
    assert backend.ssh.target == (TargetConfig(name=server, host=host, port=port),)


@pytest.mark.parametrize("server", ["a:b", "::1", ":22", "host:123456"])
def test_an_ssh_server_that_is_none(tmp_path: Path, server: str) -> None:
    config = make_config(("ws://127.0.0.1:8080/",), tmp_path)
    with pytest.raises(ConfigurationError, match="--ssh: expected HOST or HOST:PORT, found"):
        with_terminals(config, "ws://127.0.0.1:8022/", server)


async def test_a_terminal_of_the_demo(tmp_path: Path) -> None:
    """On this machine by its name: the operator has named it, so its loopback address is one that
    may be reached."""
    async with scripted(tmp_path) as server:
        config = with_terminals(
            Config(listener=()), "ws://127.0.0.1:0/", f"localhost:{server.port}"
        )
        async with serving(config) as gateway, term_client(gateway) as client:
            await client.asked("user")
            await client.answers(server.user)
            assert server.fingerprint in (await client.asked("hostkey"))["text"]
            await client.answers("yes")
            await client.logs_in(PASSWORD)
            await client.sees("$ ")
