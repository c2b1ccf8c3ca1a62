"""`holdfast`: the program."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.commands import list_commands, make_typer
from holdfast.cli.output import EXIT_MISCONFIGURED
from holdfast.cli.version import version as say_version

app = make_typer(whole=True)
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
    say_version(verbose)
    raise typer.Exit


def main() -> None:
    """The entry point of the `holdfast` script."""
    app()
