"""`holdfast check`: is a configuration right?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.output import reported
from holdfast.cli.serve import DEFAULT_CONFIG
from holdfast.gateway.config import load
from holdfast.net.tls.contexts import client_context, server_context, server_contexts


def check(
    config: Annotated[
        Path, typer.Argument(help="The configuration, a TOML file.")
    ] = DEFAULT_CONFIG,
) -> None:
    """Check a configuration without serving it. Exits with 2 if it is wrong.

    Examples:

        holdfast check

        holdfast check /etc/holdfast/gateway.toml
    """
    with reported():
        loaded = load(config)
        for listener in loaded.listener:
            if listener.tls_options is not None:
                server_contexts(listener.tls_options)
        if loaded.admin.certificate is not None:
            server_context(loaded.admin.certificate)
        for upstream in loaded.upstream:
            if upstream.ca:
                client_context(upstream.ca)
    count = len(loaded.listener)
    typer.echo(f"{config}: right, with {count} listener{'s' if count != 1 else ''}")
