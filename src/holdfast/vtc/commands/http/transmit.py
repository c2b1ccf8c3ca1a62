"""`txreq` and `txresp`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from holdfast.vtc.http.guards import only_client, only_server
from holdfast.vtc.http.message import (
    BODY_OPTIONS,
    FIELD_OPTIONS,
    Draft,
    apply_options,
    complete,
)
from holdfast.vtc.http.output import write
from holdfast.vtc.http.receive import HttpScope
from holdfast.vtc.language.command import Args, Command, ParsedOption, option

_EXAMPLE = """\
vtest "a request and a response"

server s1 {
    rxreq
    expect req.method == "PUT"
    expect req.url == "/shelf"
    expect req.http.user-agent == "c1"
    expect req.body == "a book"
    txresp -status 201 -reason "Created" -hdr "Location: /shelf/1"
} -start

client c1 -connect ${s1_sock} {
    txreq -method PUT -url "/shelf" -body "a book"
    rxresp
    expect resp.status == 201
    expect resp.reason == "Created"
    expect resp.http.location == "/shelf/1"
    expect resp.http.content-length == 0
} -run
"""


def _split(args: Args) -> tuple[dict[str, str], list[ParsedOption]]:
    """The options of the first line, the last of each, and all others."""
    first: dict[str, str] = {}
    others: list[ParsedOption] = []
    for given in args.walk():
        if given.flag in _FIRST_LINE:
            first[given.flag] = given.values[0] if given.values else ""
        else:
            others.append(given)
    return first, others


_FIRST_LINE = {
    "-method", "-req", "-url", "-proto", "-up", "-nouseragent", "-status", "-reason", "-noserver",
}  # fmt: skip


async def _txreq(scope: HttpScope, args: Args) -> None:
    only_client(scope, args)
    connection = scope.subject
    first, others = _split(args)
    method = first.get("-req", first.get("-method", "GET"))
    connection.head_method = method == "HEAD"
    proto = first.get("-proto", "HTTP/1.1")
    names_itself = "-nouseragent" not in first and not scope.case.settings.vtest1
    draft = Draft(
        [f"{method} {first.get('-url', '/')} {proto}"],
        host=proto == "HTTP/1.1",
        date=False,
        sender="User-Agent" if names_itself else "",
    )
    upgrade = first.get("-up")
    if upgrade is not None:
        draft.lines += ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"]
        draft.lines.append(f"HTTP2-Settings: {upgrade}")
    apply_options(scope, args, draft, others)
    await write(scope, "txreq", complete(scope, draft))
    if upgrade is not None:
        await _upgrades().finish_client_upgrade(scope, args, upgrade)


def _prepare(args: Args) -> None:
    if "-up" in args.words:
        _upgrades()


def _upgrades() -> ModuleType:
    """HTTP/2, which needs a library that other scripts do not."""
    return import_module("holdfast.vtc.h2.upgrade")


async def _txresp(scope: HttpScope, args: Args) -> None:
    only_server(scope, args)
    first, others = _split(args)
    status, reason = first.get("-status", "200"), first.get("-reason", "OK")
    modern = not scope.case.settings.vtest1
    draft = Draft(
        [f"{first.get('-proto', 'HTTP/1.1')} {status} {reason}"],
        host=False,
        date=modern,
        sender="Server" if modern and "-noserver" not in first else "",
        body=b"",
    )
    apply_options(scope, args, draft, others)
    await write(scope, "txresp", complete(scope, draft))


COMMANDS = (
    Command(
        name="txreq",
        run=_txreq,
        prepare=_prepare,
        writes=True,
        usage="[FIRST-LINE OPTIONS] [FIELD OPTIONS] [BODY OPTIONS]",
        text="Client: send a request. The three kinds of options stand in this order. Without "
        "any it is `GET / HTTP/1.1` with `Host` and `User-Agent`; `Content-Length` is added if "
        "there is a body.",
        options=(
            option("-method STRING", "The method, else `GET`."),
            option("-req STRING", "The same as `-method`."),
            option("-url STRING", "The target, else `/`."),
            option("-proto STRING", "The protocol, else `HTTP/1.1`."),
            option("-up STRING", "Upgrade to HTTP/2 with these `HTTP2-Settings`, in base64url."),
            option("-nouseragent", "No `User-Agent` field."),
            *FIELD_OPTIONS,
            *BODY_OPTIONS,
        ),
        unknown="Unknown http txreq spec: {}",
        example=_EXAMPLE,
    ),
    Command(
        name="txresp",
        run=_txresp,
        writes=True,
        usage="[FIRST-LINE OPTIONS] [FIELD OPTIONS] [BODY OPTIONS]",
        text="Server: send a response. The three kinds of options stand in this order. Without "
        "any it is `HTTP/1.1 200 OK` with `Date`, `Server` and `Content-Length: 0`.",
        options=(
            option("-status NUMBER", "The status, else 200."),
            option("-reason STRING", "The reason, else `OK`."),
            option("-proto STRING", "The protocol, else `HTTP/1.1`."),
            option("-noserver", "No `Server` field."),
            *FIELD_OPTIONS,
            *BODY_OPTIONS,
        ),
        unknown="Unknown http txresp spec: {}",
        example=_EXAMPLE,
    ),
)
