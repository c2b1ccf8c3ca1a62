"""`holdfast`: the program."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Annotated

import typer

from holdfast import __version__
from holdfast.cli.admin import connections, drain, kick, sessions
from holdfast.cli.check import check
from holdfast.cli.connect import connect
from holdfast.cli.demo import demo
from holdfast.cli.echo import echo
from holdfast.cli.output import EXIT_MISCONFIGURED
from holdfast.cli.record import record
from holdfast.cli.run import run
from holdfast.cli.serve import serve
from holdfast.cli.vtc import vtc
from holdfast.net.runtime.loop import new_event_loop
from holdfast.net.transport import transports as sockets
from holdfast.protocols.websocket import codec

app = typer.Typer(
    name="holdfast",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Holds your users' connections and sessions while your application comes and goes.",
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say the version, and end.")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="With --version: what it runs on.")
    ] = False,
) -> None:
    """The options that stand before any command."""
    if not version:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
            raise typer.Exit(EXIT_MISCONFIGURED)
        return
    typer.echo(f"holdfast {__version__}")
    if verbose:
        typer.echo(f"python {platform.python_version()} on {platform.system()}")
        typer.echo(f"event loop: {new_event_loop.__module__.partition('.')[0]}")
        typer.echo(f"websocket codec: {'compiled' if codec.COMPILED else 'pure Python'}")
        typer.echo(f"sockets: {'compiled' if sockets.COMPILED else 'of the event loop'}")
    raise typer.Exit


COMMANDS: tuple[Callable[..., None], ...] = (
    *(serve, run, demo, connect, echo, check, vtc, record),
    *(sessions, connections, kick, drain),
)
for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """The entry point of the `holdfast` script."""
    app()
