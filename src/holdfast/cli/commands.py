"""The commands by name: the module of one is imported once that command is run.

Each start of the program pays for what it imports; help and the short commands need nothing of a
gateway.
"""

from __future__ import annotations

import gc
from importlib import import_module
from typing import Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command


class Listed(NamedTuple):
    """A command as the help of the whole program lists it."""

    module: str
    """Where the function of the command's name is, below `holdfast.cli`."""
    summary: str
    """The first line of that function's docstring."""


LISTED: Final = {
    "serve": Listed(
        "serve", "Run a gateway until SIGTERM, which notifies each client and keeps each session."
    ),
    "run": Listed(
        "run",
        "Run a gateway and an application together; the application is restarted when it ends.",
    ),
    "demo": Listed(
        "demo", "Run the demo: a chat of several rooms, for Telnet, plain TCP and the browser."
    ),
    "connect": Listed(
        "connect", "Connect a terminal to a gateway; it reconnects and resumes by itself."
    ),
    "publish": Listed(
        "publish",
        "Send outputs to sessions, users and groups of a gateway. Exits with 1 if one does not"
        " exist.",
    ),
    "echo": Listed("echo", "Echo input: for benchmarks, conformance suites and trials."),
    "check": Listed(
        "check", "Check a configuration without serving it. Exits with 2 if it is wrong."
    ),
    "config": Listed(
        "config", "Print what a configuration may say: a reference, a JSON Schema or an example."
    ),
    "store": Listed(
        "store", "Migrate, check or copy a store. Exits with 1 if something cannot be read."
    ),
    "vtc": Listed(
        "vtc", "Run network test scripts (.vtc), compatible with VTest2 and varnishtest."
    ),
    "record": Listed(
        "record", "Forward clients to a server, and write their conversation as a test script."
    ),
    "version": Listed("version", "Print the version, and with `-v` what it runs on."),
    "health": Listed(
        "admin",
        "Ask a running gateway whether it is well. Exits with 1 if it is not, or does not answer.",
    ),
    "sessions": Listed("admin", "List the sessions of a running gateway, oldest first."),
    "connections": Listed("admin", "List the open connections of a running gateway, oldest first."),
    "nodes": Listed(
        "admin",
        "List the gateways that run on the same PostgreSQL database, as one of them sees them.",
    ),
    "explain": Listed(
        "explain",
        "Explain a session: its numbers and epochs, what has happened to it, and why it was reset.",
    ),
    "kick": Listed(
        "admin",
        "Close sessions, or close connections and keep their sessions.",
    ),
    "say": Listed(
        "admin",
        "Show a notice to the clients that are connected to a running gateway: to all, or to some.",
    ),
    "backup": Listed(
        "backup", "Copy the store of a running gateway to a new file, while it serves."
    ),
    "restore": Listed(
        "backup", "Let a backup take the place of the store of a gateway that is stopped."
    ),
    "reload": Listed(
        "reload", "Let a running gateway read its configuration again. Prints what is different."
    ),
    "drain": Listed(
        "admin",
        "Stop a running gateway: it notifies clients and keeps their sessions for the next start.",
    ),
}


def make_typer(*, whole: bool = False) -> typer.Typer:
    """A Typer application with the settings that every command shares.

    That of the `whole` program installs the completion of shells.
    """
    return typer.Typer(
        name="holdfast",
        cls=Commands,
        add_completion=whole,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Holds your users' connections and sessions while your application comes and goes.",
    )


class Commands(TyperGroup):
    """The group of all commands: it lists summaries, and imports the one that is run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` name. Raises what `TyperGroup` raises for an unknown one."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else load(name), rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the list in plain text: rich would take most of the time."""
        super(TyperGroup, self).format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write every command with its whole summary."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.summary) for name, listed in LISTED.items()])


def load(name: str) -> Any:
    """Return the command `name` with its options. Raises `KeyError` if there is none."""
    gc.disable()  # what is imported stays: looking for garbage in it takes some 25 ms of a start
    try:
        module = import_module(f"holdfast.cli.{LISTED[name].module}")
    finally:
        gc.enable()
    alone = make_typer()
    alone.command(name)(getattr(module, name))
    return get_command(alone)


def list_commands(app: typer.Typer) -> None:
    """Add a name and a summary for each command to `app`."""
    for name, listed in LISTED.items():
        app.command(name, help=listed.summary)(_only_listed)


def _only_listed() -> None:
    raise AssertionError("a command of the list is replaced by the real one before it is run")
