"""What a start of the program imports: never more than the command needs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from holdfast.cli.commands import LISTED

_GATEWAY = ("asyncio", "structlog", "msgspec", "uvloop", "ssl", "holdfast.net", "holdfast.gateway")
_PAGES = ("aiohttp", "prometheus_client")
_OTHER_PARTS = ("holdfast.vtc", "holdfast.client", "holdfast.demo", "regex", "hpack")
_SHOWING = ("rich", "prompt_toolkit", "pygments", "attr", "markdown_it", "pydantic")
_LOOK_UPS = ("importlib.metadata", "multiprocessing", "holdfast.protocols.websocket._codec_pure")
"""What costs a start 15 ms or more, and is needed later or never."""

_IMPORT = "import sys\n{}\nprint(*sys.modules)"
_RUN = "from holdfast.cli.main import app\ntry:\n    app({!r})\nexcept SystemExit:\n    pass"


def imported(code: str) -> set[str]:
    """The modules that a program of `code` has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT.format(code)],
        stdout=subprocess.PIPE,
        check=False,
    )
    assert done.returncode == 0
    return set(done.stdout.splitlines()[-1].decode().split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["sessions", "--admin", "nowhere"]], ids=" ".join
)
def test_help_and_mistakes_need_nothing_of_a_gateway(arguments: list[str]) -> None:
    heavy = set(_PAGES + _OTHER_PARTS)
    if arguments[0] != "sessions":
        heavy |= set(_GATEWAY + _LOOK_UPS + _SHOWING)
    assert heavy & imported(_RUN.format(arguments)) == set()


def test_a_gateway_without_pages_needs_no_http_server_and_no_other_part(tmp_path: Path) -> None:
    code = f"""
import asyncio
from pathlib import Path
from holdfast.cli.commands import load as command
command("serve")
from holdfast.cli.serve import serve_gateway
from holdfast.gateway.config import load
from holdfast.net.loggers import set_level

set_level("warning")

async def once():
    await serve_gateway(load(Path({str(tmp_path / "it.toml")!r})), lambda gateway: gateway.stop())

asyncio.run(once())
"""
    (tmp_path / "it.toml").write_text(
        '[[listener]]\nurl = "ws://127.0.0.1:0/"\n[[listener]]\nurl = "telnet://127.0.0.1:0"\n'
        f'[link]\nlisten = "unix:{tmp_path / "link"}"\n'
        f'[store]\npath = "{tmp_path / "sessions.db"}"\n'
    )
    modules = imported(code)
    assert "holdfast.net.server.listener" in modules
    assert set(_PAGES + _OTHER_PARTS + _SHOWING + _LOOK_UPS) & modules == set()
    assert "structlog" not in modules, "there was nothing to log yet"


def test_a_start_looks_for_no_garbage_in_what_it_imports() -> None:
    code = """
import gc
from holdfast.cli.commands import load

before = gc.get_stats()[0]["collections"]
load("serve")
looks = gc.get_stats()[0]["collections"] - before
print(looks, gc.isenabled())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    looks, enabled = done.stdout.split()
    assert int(looks) < 10, "some fifty, with the collector on"
    assert enabled == "True", "a program that runs is looked at as ever"


@pytest.mark.parametrize("name", LISTED)
def test_the_list_says_what_a_command_says_of_itself(name: str) -> None:
    command = getattr(import_module(f"holdfast.cli.{LISTED[name].module}"), name)
    assert LISTED[name].summary == command.__doc__.split("\n\n")[0]
