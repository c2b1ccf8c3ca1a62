"""`recv` and `expect` of a syslog server."""

from __future__ import annotations

from holdfast.vtc.actors.syslog import Syslog, level_number
from holdfast.vtc.commands.top.syslog import EXAMPLE
from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.expectation import check_expect, expect_match
from holdfast.vtc.run.scope import Scope


async def _recv(scope: Scope[Syslog], args: Args) -> None:
    words = args.plain()
    server = scope.subject
    level = level_number(words[0]) if words else server.level
    if level is None:
        raise scope.failure("recv: no level here, and the server has none either")
    await server.receive(level)


async def _expect(scope: Scope[Syslog], args: Args) -> None:
    said = ("EXPECT FAILED", "EXPECT MATCH")
    expect_match(scope, args, scope.subject.last, said, "datagram")


COMMANDS = (
    Command(
        name="recv",
        run=_recv,
        usage="[LEVEL]",
        text="Take datagrams until one has the level.",
        words_max=1,
        example=EXAMPLE,
    ),
    Command(
        name="expect",
        run=_expect,
        check=check_expect,
        usage="~|!~ PATTERN",
        text="The pattern is found in the last datagram, or is not.",
        words_min=2,
        words_max=2,
        example=EXAMPLE,
    ),
)
