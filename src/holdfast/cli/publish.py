"""`holdfast publish`: send outputs to sessions, users and groups of a running gateway."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from holdfast.cli.output import EXIT_FAILED, reported
from holdfast.core.errors import ConfigurationError
from holdfast.net.tls.contexts import client_context
from holdfast.publish import Client, Published, RefusedError, publication
from holdfast.publish.requests import API_VARIABLE, DEFAULT_API, KEY_VARIABLE

_LINES_MAX = 500
"""Lines of the input in one request."""
_READ_BYTES_MAX = 64 * 1024


def publish(
    text: Annotated[
        list[str] | None, typer.Argument(help="What to send; otherwise each line of the input.")
    ] = None,
    user: Annotated[list[str] | None, typer.Option(help="To all sessions of this user.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="To all sessions in this group.")] = None,
    session: Annotated[list[str] | None, typer.Option(help="To the session of this id.")] = None,
    package: Annotated[
        str, typer.Option(help="Send data of this name: each TEXT or line is JSON.")
    ] = "",
    delivery: Annotated[str, typer.Option(help="`must`, `volatile` or `latest:KEY`.")] = "must",
    id_: Annotated[
        str, typer.Option("--id", help="Send one publication of this id once, however often.")
    ] = "",
    app: Annotated[str, typer.Option(help="Of this application, if the key is for several.")] = "",
    url: Annotated[
        str, typer.Option(help=f"The gateway's API; otherwise {API_VARIABLE}, or {DEFAULT_API}.")
    ] = "",
    key_file: Annotated[
        Path | None, typer.Option(help=f"A file with the key; otherwise {KEY_VARIABLE} is the key.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="Who may have signed its certificate (PEM), for https.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long it is tried again.")] = 30.0,
) -> None:
    """Send outputs to sessions, users and groups of a gateway. Exits with 1 if one does not exist.

    Examples:

        holdfast publish --user anna "Your order was sent."

        holdfast publish --group orders --package Order.Update '{"order": 7, "state": "sent"}'

        tail -f audit.log | holdfast publish --group operators --key-file /etc/holdfast/ops.key
    """
    given = {
        "user": user or [], "group": group or [], "session": session or [],
        "delivery": delivery, "app": app,
    }  # fmt: skip
    with reported():
        if not (user or group or session):
            raise ConfigurationError("expected --user, --group or --session; found none")
        lines = iter([text]) if text else _lines()
        batches = ([_item(one, package) for one in some] for some in lines)
        tls = client_context(str(ca)) if ca is not None else None
        with Client(url or None, key=_key(key_file), tls=tls, seconds_max=seconds) as client:
            failed = [
                fault
                for publications in _requests(batches, given, id_)
                for result in client.publish_all(publications)
                for fault in _faults(result)
            ]
    if failed:
        for fault in dict.fromkeys(failed):
            typer.echo(f"holdfast: {fault}", err=True)
        raise typer.Exit(EXIT_FAILED)


def _requests(
    batches: Iterator[Sequence[Any]], given: dict[str, Any], id_: str
) -> Iterator[Sequence[dict[str, Any]]]:
    """The publications of each request. With an id, all items are one publication."""
    if id_:
        yield [publication(items=[item for batch in batches for item in batch], id=id_, **given)]
        return
    for batch in batches:
        for start in range(0, len(batch), _LINES_MAX):
            yield [publication(item, **given) for item in batch[start : start + _LINES_MAX]]


def _item(text: str, package: str) -> Any:
    if not package:
        return text
    try:
        return {"package": package, "data": msgspec.json.decode(text.encode())}
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        raise ConfigurationError(f"expected JSON, found {text[:60]!r}: {error}") from None


def _lines() -> Iterator[list[str]]:
    """The lines of the input, those that come together at once."""
    rest = b""
    while data := os.read(sys.stdin.fileno(), _READ_BYTES_MAX):
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            yield [_text(line) for line in lines]
    if rest:
        yield [_text(rest)]


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")


def _key(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: expected a key: {error}") from error


def _faults(result: Published | RefusedError) -> Iterator[str]:
    if isinstance(result, RefusedError):
        yield str(result)
        return
    unknown = result.unknown
    for what, names in (
        ("there is no session", unknown.session),
        ("no session of the user", unknown.user),
        ("no session in the group", unknown.group),
    ):
        for name in names:
            yield f"{what} {name!r}"
