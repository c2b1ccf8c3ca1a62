"""`holdfast explain`: why a session is where it is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from holdfast.cli.admin import Admin, Ca, TokenFile
from holdfast.cli.admin_client import ask, find
from holdfast.cli.output import reported
from holdfast.core.text import presentable


def explain(
    sid: Annotated[str, typer.Argument(help="The id of the session.", metavar="SID")],
    admin: Admin = "",
    token_file: TokenFile = None,
    ca: Ca = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Explain a session: its numbers and epochs, what has happened to it, and why it was reset.

    Examples:

        holdfast explain 0199f3a2-7c1e-7d40-9e55-0c8f6a1b2c3d

        holdfast explain 0199f3a2-7c1e-7d40-9e55-0c8f6a1b2c3d --json
    """
    with reported():
        where = find(admin, token_file, ca)
        answer = ask(where, "GET", f"/api/sessions/{quote(sid, safe='')}/explain")
    if as_json:
        typer.echo(answer.decode().rstrip("\n"))
        return
    for line in _lines(msgspec.json.decode(answer)):
        typer.echo(presentable(line, chars_max=2_000))


def _lines(found: dict[str, Any]) -> list[str]:
    head = (
        f"session {found['sid']}: {found['state']}, {found['durability']},"
        f" of {found['user'] or 'nobody'}, with {found['app'] or 'no application'}"
    )
    if found["instance"]:
        head += f" (instance {found['instance']})"
    numbers = [
        f"epoch {found['epoch']}, era {found['era']}, generation {found['generation']}",
        "outputs: " + _numbers(found["outputs"]),
        "commands: " + _numbers(found["commands"]),
    ]
    history = [
        f"{datetime.fromtimestamp(event['time']).isoformat(' ', 'milliseconds')}  {event['event']}"
        f"  {_numbers({'connection': event['connection'], **event['fields']})}"
        for event in found["history"]
    ]
    return [head, *numbers, "", *found["sentences"], "", *history]


def _numbers(values: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())
