"""What the demo tells of how to come in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from holdfast.cli.demo import _pages, _say_how, _say_process
from holdfast.net.addresses import parse_address


def gateway(*urls: str) -> Any:
    return SimpleNamespace(addresses=[parse_address(url) for url in urls])


def test_each_listener_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    urls = ("telnet://127.0.0.1:4000", "tcp://127.0.0.1:4001", "ws://127.0.0.1:8080/")
    _say_how(gateway(*urls), tmp_path)
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
    _say_how(gateway("wss://127.0.0.1:8443/x"), tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:4] == [
        "  browser   https://127.0.0.1:8443/",
        "  terminal  holdfast connect wss://127.0.0.1:8443/x",
    ]
    assert len(lines) == 6
    _say_how(gateway(), tmp_path)
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_the_process_to_kill_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    _say_process(7)
    assert capsys.readouterr().out == "The chat itself is process 7.\n"


def test_the_page_is_there() -> None:
    assert (_pages() / "index.html").is_file()
