"""`holdfast backup` and `holdfast restore`: the store of a gateway as one file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from holdfast.cli.admin import Admin, Ca, TokenFile
from holdfast.cli.admin_client import AdminError, Where, ask, find
from holdfast.cli.output import reported
from holdfast.cli.serve import DEFAULT_CONFIG
from holdfast.core.errors import ConfigurationError
from holdfast.gateway.config import load
from holdfast.sessions.stores.backup import put_back, sessions_in
from holdfast.sessions.stores.sqlite import APPLICATION_ID, SCHEMA_VERSION

_LOOK_SECONDS: Final = 0.1


def backup(
    file: Annotated[
        Path, typer.Argument(help="The file to make, where the gateway runs and may write.")
    ],
    admin: Admin = "",
    token_file: TokenFile = None,
    ca: Ca = None,
) -> None:
    """Copy the store of a running gateway to a new file, while it serves.

    The file has everything that was committed before its end. A file that exists is never
    replaced.

    Examples:

        holdfast backup /backup/sessions-monday.db
    """
    with reported():
        where = find(admin, token_file, ca)
        path = str(file.absolute())
        ask(where, "POST", "/api/backup", body=msgspec.json.encode({"path": path}))
        status = _finished(where, path)
    typer.echo(f"{path}: {status['bytes']:,} bytes in {status['seconds']:.1f} s")


def _finished(where: Where, path: str) -> dict[str, Any]:
    """Wait for the end of a backup. Raises `AdminError` if it fails."""
    while True:
        status: dict[str, Any] = msgspec.json.decode(ask(where, "GET", "/api/backup"))
        if status["path"] != path or status["state"] == "failed":
            raise AdminError(status["error"] or "the gateway was restarted meanwhile")
        if status["state"] == "done":
            return status
        time.sleep(_LOOK_SECONDS)


def restore(
    file: Annotated[Path, typer.Argument(help="A backup, as `holdfast backup` makes it.")],
    config: Annotated[
        Path, typer.Argument(help="The configuration of the gateway, a TOML file.")
    ] = DEFAULT_CONFIG,
) -> None:
    """Let a backup take the place of the store of a gateway that is stopped.

    The backup is checked before. The store that was there is kept beside it, under another name.

    Examples:

        holdfast restore /backup/sessions-monday.db /etc/holdfast/gateway.toml
    """
    with reported():
        path = load(config).store.path
        if not path:
            raise ConfigurationError(f"{config}: store.path: expected a path, found none")
        count = sessions_in(file, APPLICATION_ID, SCHEMA_VERSION)
        kept = put_back(file, Path(path))
    typer.echo(f"{path}: restored from {file}, with {count} session{'s' if count != 1 else ''}")
    if kept is not None:
        typer.echo(f"{kept}: the store that was there")
