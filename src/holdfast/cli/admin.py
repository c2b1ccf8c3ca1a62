"""An operator at a running gateway: `health`, `sessions`, `nodes`, `kick`, `drain` …"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from holdfast.cli.admin_client import ADMIN_VARIABLE, AdminError, Where, ask, find, request
from holdfast.cli.output import EXIT_FAILED, reported, stop
from holdfast.gateway.admin.guard import DEFAULT_LISTEN

Admin = Annotated[
    str,
    typer.Option(
        "--admin",
        metavar="ADDRESS",
        help=f"The gateway's `admin.listen`; otherwise {ADMIN_VARIABLE}, or {DEFAULT_LISTEN}.",
    ),
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="A file with the token, if it needs one.")
]
Ca = Annotated[
    Path | None, typer.Option("--ca", help="Who may have signed its certificate (PEM), for tls.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="A JSON object a line; so it is also into a pipe.")
]
Search = Annotated[
    str, typer.Option(help="With this in its texts, or at the beginning of a session's id.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]

_PAGE_MAX = 1_000
_LOOK_SECONDS = 0.1
_WIDTH = 10_000
"""The width of a table: a terminal wraps longer lines, and nothing is cut off."""


def health(
    ready: Annotated[
        bool, typer.Option("--ready", help="Whether clients may come, not only whether it lives.")
    ] = False,
    admin: Admin = "",
    ca: Ca = None,
) -> None:
    """Ask a running gateway whether it is well. Exits with 1 if it is not, or does not answer.

    Examples:

        holdfast health

        holdfast health --ready --admin unix:/run/holdfast/admin.sock
    """
    with reported():
        where = find(admin, None, ca)
        status, answer = request(where, "GET", "/readyz" if ready else "/healthz")
    try:
        typer.echo(msgspec.json.decode(answer, type=_Health).status)
    except msgspec.DecodeError:
        stop(f"{where.address}: expected a gateway's health, found status {status}", EXIT_FAILED)
    if status != HTTPStatus.OK:
        raise typer.Exit(EXIT_FAILED)


class _Health(msgspec.Struct):
    """What is answered, well or not."""

    status: str


def sessions(
    state: Annotated[str, typer.Option(help="`active`, `detached_active` …")] = "",
    user: Annotated[str, typer.Option(help="Of this user.")] = "",
    app: Annotated[str, typer.Option(help="Of this application or upstream.")] = "",
    protocol: Annotated[str, typer.Option(help="`telnet`, `websocket`, `tcp` …")] = "",
    address: Annotated[str, typer.Option(help="Of clients at this IP address.")] = "",
    search: Search = "",
    limit: Limit = 100,
    all_nodes: Annotated[
        bool,
        typer.Option("--all-nodes", help="Of all gateways on the same PostgreSQL database."),
    ] = False,
    admin: Admin = "",
    token_file: TokenFile = None,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """List the sessions of a running gateway, oldest first.

    Those of other gateways are listed as they are stored: sessions that are only in memory are
    listed at their own gateway.

    Examples:

        holdfast sessions

        holdfast sessions --state detached_active --user ada --json

        holdfast sessions --all-nodes --admin unix:/run/holdfast/admin.sock
    """
    wanted = {
        "state": state, "user": user, "app": app, "protocol": protocol, "address": address,
        "search": search, "nodes": "all" if all_nodes else "",
    }  # fmt: skip
    columns = {**_NODE, **_SESSION_COLUMNS} if all_nodes else _SESSION_COLUMNS
    with reported():
        where = find(admin, token_file, ca)
        _show(_list(where, "/api/sessions", wanted, limit), columns, as_json)


def connections(
    protocol: Annotated[str, typer.Option(help="`telnet`, `wss`, `tcp` …")] = "",
    listener: Annotated[str, typer.Option(help="At this listener, as `telnet://0.0.0.0:23`.")] = "",
    address: Annotated[str, typer.Option(help="From this IP address.")] = "",
    search: Search = "",
    limit: Limit = 100,
    admin: Admin = "",
    token_file: TokenFile = None,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """List the open connections of a running gateway, oldest first.

    Examples:

        holdfast connections

        holdfast connections --protocol telnet --address 192.0.2.7
    """
    wanted = {"protocol": protocol, "listener": listener, "address": address, "search": search}
    with reported():
        where = find(admin, token_file, ca)
        _show(_list(where, "/api/connections", wanted, limit), _CONNECTION_COLUMNS, as_json)


def nodes(
    admin: Admin = "",
    token_file: TokenFile = None,
    ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """List the gateways that run on the same PostgreSQL database, as one of them sees them.

    Examples:

        holdfast nodes

        holdfast nodes --admin unix:/run/holdfast/admin.sock --json
    """
    with reported():
        where = find(admin, token_file, ca)
        found = msgspec.json.decode(ask(where, "GET", "/api/nodes"))["items"]
        _show(found, _NODE_COLUMNS, as_json)


def kick(
    which: Annotated[
        list[str],
        typer.Argument(
            help="Ids of sessions, which end, or of connections (numbers), which are cut off.",
            metavar="ID...",
        ),
    ],
    admin: Admin = "",
    token_file: TokenFile = None,
    ca: Ca = None,
) -> None:
    """Close sessions, or close connections and keep their sessions.

    A session of another gateway on the same PostgreSQL database is ended there.

    Examples:

        holdfast kick 0199f3a2-7c1e-7d40-9e55-0c8f6a1b2c3d

        holdfast kick 17 18 --token-file admin.token
    """
    failed = 0
    with reported():
        where = find(admin, token_file, ca)
    for one in which:
        kind = "connections" if one.isdecimal() else "sessions"
        try:
            ask(where, "DELETE", f"/api/{kind}/{quote(one, safe='')}")
        except AdminError as error:
            failed += 1
            typer.echo(f"holdfast: {one}: {error}", err=True)
        else:
            typer.echo(f"{one}: kicked")
    if failed:
        raise typer.Exit(EXIT_FAILED)


def say(
    text: Annotated[str, typer.Argument(help="The line that clients are shown.")],
    session: Annotated[str, typer.Option(help="Only the client of this session.")] = "",
    user: Annotated[str, typer.Option(help="Only clients of this user.")] = "",
    protocol: Annotated[str, typer.Option(help="Only `telnet`, `websocket`, `tcp` …")] = "",
    listener: Annotated[str, typer.Option(help="Only at this listener.")] = "",
    admin: Admin = "",
    token_file: TokenFile = None,
    ca: Ca = None,
) -> None:
    """Show a notice to the clients that are connected to a running gateway: to all, or to some.

    Examples:

        holdfast say "We restart in ten minutes."

        holdfast say "Please log in again." --user ada --protocol telnet
    """
    wanted = {
        "text": text, "session": session, "user": user, "protocol": protocol, "listener": listener,
    }  # fmt: skip
    with reported():
        where = find(admin, token_file, ca)
        answer = ask(where, "POST", "/api/notices", body=msgspec.json.encode(wanted))
    shown = msgspec.json.decode(answer, type=_Shown).shown
    typer.echo(f"shown to {shown} client{'' if shown == 1 else 's'}")


class _Shown(msgspec.Struct):
    """To how many clients a notice was shown."""

    shown: int


def drain(
    now: Annotated[bool, typer.Option("--now", help="Drop everybody at once.")] = False,
    rate: Annotated[
        float,
        typer.Option(
            "--rate",
            min=0.0,
            metavar="N",
            help="Tell clients to come back at N a second; 0: as the limits say.",
        ),
    ] = 0.0,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when the gateway has ended, not before.")
    ] = False,
    admin: Admin = "",
    token_file: TokenFile = None,
    ca: Ca = None,
) -> None:
    """Stop a running gateway: it notifies clients and keeps their sessions for the next start.

    Examples:

        holdfast drain

        holdfast drain --wait --rate 200

        holdfast drain --now --admin tls://gateway.example.org:9180 --ca ca.pem
    """
    with reported():
        where = find(admin, token_file, ca)
        ask(where, "POST", "/api/drain", body=msgspec.json.encode({"now": now, "rate": rate}))
    typer.echo("draining" if not now else "stopping")
    if wait:
        _wait_for_the_end(where)
        typer.echo("stopped")


def _wait_for_the_end(where: Where) -> None:
    """Wait until the gateway does not answer, or the next one does in its place."""
    status: int = HTTPStatus.SERVICE_UNAVAILABLE
    while status == HTTPStatus.SERVICE_UNAVAILABLE:
        time.sleep(_LOOK_SECONDS)
        try:
            status, _ = request(where, "GET", "/readyz")
        except AdminError:
            return


# --- showing

_Columns = Mapping[str, Callable[[dict[str, Any]], str]]


def _list(where: Where, path: str, wanted: Mapping[str, str], limit: int) -> list[dict[str, Any]]:
    """Page after page, up to `limit`."""
    query = {key: value for key, value in wanted.items() if value}
    found: list[dict[str, Any]] = []
    after: str | int | None = None
    while len(found) < limit:
        more = {"limit": str(min(_PAGE_MAX, limit - len(found)))}
        if after is not None:
            more["after"] = str(after)
        page = msgspec.json.decode(ask(where, "GET", path, {**query, **more}))
        found += page["items"]
        after = page["next"]
        if after is None:
            break
    return found


def _show(rows: Sequence[dict[str, Any]], columns: _Columns, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        for row in rows:
            typer.echo(msgspec.json.encode(row).decode())
        return
    from rich.console import Console  # a quarter of the start time, and needed for terminals only
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(_printable(cell(row)) for cell in columns.values()))
    Console(width=_WIDTH).print(table, crop=False)
    typer.echo(f"{len(rows)} shown")


def _printable(text: str) -> str:
    """Names of clients do not move an operator's cursor, and are no markup."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text).replace("[", r"\[")


def _left(until: float) -> str:
    return _duration(max(0, int(until - time.time())))


def _age(since: float) -> str:
    return _duration(max(0, int(time.time() - since)) if since else 0)


def _duration(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _kept(row: dict[str, Any]) -> str:
    return f"{row['window_messages']} out, {row['queue_messages']} in"


_NODE: _Columns = {"node": lambda row: row["node"]}
_SESSION_COLUMNS: _Columns = {
    "session": lambda row: row["sid"],
    "state": lambda row: row["state"],
    "user": lambda row: row["user"],
    "app": lambda row: row["app"],
    "client": lambda row: f"{row['protocol']} {row['address']}",
    "age": lambda row: _age(row["created"]),
    "away": lambda row: _age(row["detached"]) if row["detached"] else "",
    "ends in": lambda row: _left(row["expires"]) if row.get("expires") else "",
    "kept": lambda row: _kept(row) if "window_messages" in row else "",
}
_NODE_COLUMNS: _Columns = {
    "node": lambda row: row["name"],
    "machine": lambda row: row["host"],
    "link": lambda row: row["link"],
    "sessions": lambda row: f"{row['sessions']:,}",
    "runs for": lambda row: _age(row["since"]),
    "last sign": lambda row: "here" if row["here"] else f"{row['silent_seconds']:.1f} s ago",
}
_CONNECTION_COLUMNS: _Columns = {
    "id": lambda row: str(row["id"]),
    "from": lambda row: row["peer"],
    "listener": lambda row: row["listener"],
    "phase": lambda row: row["phase"],
    "session": lambda row: row["sid"],
    "in": lambda row: f"{row['received_bytes']:,}",
    "out": lambda row: f"{row['sent_bytes']:,}",
    "silent": lambda row: f"{row['silent_seconds']:.0f} s",
    "round trip": lambda row: f"{row['rtt_ms']:.1f} ms" if row["rtt_ms"] is not None else "",
}
