"""`expect` for clients and servers."""

from __future__ import annotations

from functools import partial

from holdfast.vtc.http.receive import HttpScope
from holdfast.vtc.http.values import NAMES, resolve
from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.expect import OPERATORS
from holdfast.vtc.language.expectation import check_expect, expect

_EXAMPLE = """\
vtest "expectations"

server s1 {
    rxreq
    expect req.url ~ "^/[a-z]+$"
    expect req.http.x-number >= 41.5
    expect req.http.x-number -lt 0x2b
    expect req.http.x-missing == <undef>
    expect remote.ip == 127.0.0.1
    txresp -hdr "Echo: ${localhost}"
} -start

client c1 -connect ${s1_sock} {
    txreq -url "/path" -hdr "X-Number: 42"
    rxresp
    expect resp.http.echo == "127.0.0.1"
    expect resp.status != 404
    expect resp.reason !~ "[[:digit:]]"
} -run
"""


async def _expect(scope: HttpScope, args: Args) -> None:
    expect(scope, args, partial(resolve, scope.subject), scope.subject.notes())


COMMANDS = (
    Command(
        name="expect",
        run=_expect,
        check=check_expect,
        usage="LEFT OPERATOR RIGHT",
        text="Compare two words. A word that names a value stands for it: "
        + ", ".join(f"`{name}`" for name in NAMES)
        + ". What does not exist is `<undef>`. Operators: "
        + ", ".join(f"`{sign}`" for sign in OPERATORS)
        + ". `==` and `!=` compare text, `~` and `!~` search the pattern on the right, `<` to "
        "`>=` compare decimal numbers and `-lt` to `-gt` unsigned ones in C notation.",
        words_min=3,
        words_max=3,
        example=_EXAMPLE,
    ),
)
