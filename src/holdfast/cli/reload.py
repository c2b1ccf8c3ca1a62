"""`holdfast reload`: another configuration for a running gateway."""

from __future__ import annotations

from typing import Any

import msgspec
import typer

from holdfast.cli.admin import Admin, Ca, TokenFile
from holdfast.cli.admin_client import ask, find
from holdfast.cli.output import reported
from holdfast.core.text import presentable


def reload(admin: Admin = "", token_file: TokenFile = None, ca: Ca = None) -> None:
    """Let a running gateway read its configuration again. Prints what is different.

    Listeners, upstreams and the limits of new clients change at once, and certificates are read
    again; clients that are connected stay. What needs a restart is said and left as it is. If
    anything is wrong, nothing changes.

    Examples:

        holdfast reload
    """
    with reported():
        answer = ask(find(admin, token_file, ca), "POST", "/api/reload")
    found = msgspec.json.decode(answer)["changes"]
    for change in found:
        typer.echo(presentable(_line(change), chars_max=1_000))
    if not found:
        typer.echo("nothing has changed")


def _line(change: dict[str, Any]) -> str:
    before, after = (change[name] or "(none)" for name in ("before", "after"))
    later = " (needs a restart)" if change["effect"] == "restart" else ""
    return f"{change['key']}: {before} -> {after}{later}"
