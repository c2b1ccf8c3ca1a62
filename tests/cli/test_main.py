"""The program as a whole: versions and help."""

from __future__ import annotations

import platform

import pytest
from typer.testing import CliRunner

from holdfast import __version__
from holdfast.cli.main import app
from holdfast.core import items
from holdfast.net.transport import transports as sockets
from holdfast.protocols.websocket import codec

COMMANDS = (
    "serve",
    "run",
    "demo",
    "connect",
    "echo",
    "check",
    "version",
    "vtc",
    "record",
    "sessions",
    "connections",
    "kick",
    "drain",
)


@pytest.mark.parametrize("asked", ["--version", "version"])
def test_the_version(asked: str) -> None:
    result = CliRunner().invoke(app, [asked])
    assert (result.exit_code, result.stdout) == (0, f"holdfast {__version__}\n")


@pytest.mark.parametrize("asked", ["--version", "version"])
def test_the_version_and_what_it_runs_on(asked: str) -> None:
    result = CliRunner().invoke(app, [asked, "-v"])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"holdfast {__version__}",
        f"python {platform.python_version()} on {platform.system()}",
        "event loop: uvloop",
        f"websocket codec: {'compiled' if codec.COMPILED else 'pure Python'}",
        f"sockets: {'compiled' if sockets.COMPILED else 'of the event loop'}",
        f"core: {'pure Python' if items.__file__.endswith('.py') else 'compiled'}",
    ]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("holdfast se", ["serve", "sessions"]), ("holdfast serve --lo", ["--log-level"]),
     ("holdfast kick --to", ["--token-file"])],
)  # fmt: skip
def test_shells_complete(typed: str, completed: list[str]) -> None:
    """Also the options of a command, which is imported for that."""
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    environment = {"_HOLDFAST_COMPLETE": "complete_bash", **words}
    result = CliRunner().invoke(app, [], prog_name="holdfast", env=environment)
    assert result.stdout.split() == completed


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_s_help_has_examples(command: str, option: str) -> None:
    result = CliRunner().invoke(app, [command, option])
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert result.stdout.count(f"holdfast {command}") >= 3  # its usage and two examples


@pytest.mark.parametrize("arguments", [[], ["-v"]], ids=["nothing", "only-verbose"])
def test_who_asks_for_nothing_gets_help(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.output


@pytest.mark.parametrize(
    "arguments",
    [["dance"], ["serve", "--dance"], ["connect"], ["echo"], ["serve", "--log-level", "loud"]],
    ids=" ".join,
)
def test_what_is_not_understood_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2
