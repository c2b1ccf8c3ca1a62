"""`holdfast`: the program."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.commands import list_commands, make_typer
from holdfast.cli.output import EXIT_MISCONFIGURED

app = make_typer()
list_commands(app)


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
    _say_version(verbose)
    raise typer.Exit


def _say_version(verbose: bool) -> None:
    from holdfast import __version__

    typer.echo(f"holdfast {__version__}")
    if not verbose:
        return
    import platform

    from holdfast.net.runtime.loop import new_event_loop
    from holdfast.net.transport import transports as sockets
    from holdfast.protocols.websocket import codec

    typer.echo(f"python {platform.python_version()} on {platform.system()}")
    typer.echo(f"event loop: {new_event_loop.__module__.partition('.')[0]}")
    typer.echo(f"websocket codec: {'compiled' if codec.COMPILED else 'pure Python'}")
    typer.echo(f"sockets: {'compiled' if sockets.COMPILED else 'of the event loop'}")


def main() -> None:
    """The entry point of the `holdfast` script."""
    app()
