"""`holdfast check`: is a configuration right?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.output import EXIT_MISCONFIGURED, reported
from holdfast.cli.serve import DEFAULT_CONFIG
from holdfast.gateway.config import read
from holdfast.gateway.config_faults import in_words
from holdfast.gateway.config_problems import problems_of
from holdfast.gateway.preflight import steps_of_start, unresolved, warnings_of


def check(
    config: Annotated[
        Path, typer.Argument(help="The configuration, a TOML file.")
    ] = DEFAULT_CONFIG,
    offline: Annotated[
        bool, typer.Option("--offline", help="Without looking whether names can be resolved.")
    ] = False,
) -> None:
    """Check a configuration without serving it. Exits with 2 if it is wrong.

    Everything that is wrong is told at once, a line each: keys, values, certificates, packages that
    are not installed, addresses that are used twice, names that cannot be resolved, paths that
    cannot be written. An upstream that no listener uses is a warning.

    Examples:

        holdfast check

        holdfast check /etc/holdfast/gateway.toml
    """
    with reported():
        problems, loaded = problems_of(read(config), also=steps_of_start)
    if loaded is not None and not offline:
        problems += unresolved(loaded)
    if loaded is not None and not problems:
        for warning in warnings_of(loaded):
            typer.echo(f"holdfast: {config}: warning: {in_words(warning)}", err=True)
    for problem in problems:
        typer.echo(f"holdfast: {config}: {in_words(problem)}", err=True)
    if problems or loaded is None:
        raise typer.Exit(EXIT_MISCONFIGURED)
    count = len(loaded.listener)
    typer.echo(f"{config}: right, with {count} listener{'s' if count != 1 else ''}")
