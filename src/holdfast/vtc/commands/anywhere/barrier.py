"""`barrier`"""

from __future__ import annotations

from typing import Any

from holdfast.vtc.actors.barrier import Barrier
from holdfast.vtc.language.command import Args, Command, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import unsigned
from holdfast.vtc.run.scope import Scope

_EXAMPLE = """\
vtest "all together"

barrier b1 cond 2
barrier b2 sock 2 -cyclic

server s1 {
    rxreq
    barrier b1 sync
    barrier b2 sync
    txresp
} -start

client c1 -connect ${s1_sock} {
    txreq
    rxresp
} -start

barrier b1 sync
barrier b2 sync
client c1 -wait
"""


async def _barrier(scope: Scope[Any], args: Args) -> None:
    name = args.instance()
    if name not in scope.case.actors(Barrier) and scope.context is not Context.TOP:
        text = f"Barrier {name} can only be created on the top thread"
        raise Failure(text, name.position())
    barrier = scope.case.actor(Barrier, name, scope.position)
    for given in args.walk():
        match given.flag:
            case "cond":
                barrier.expect_cond(unsigned(given.values[0]))
            case "sock":
                await barrier.expect_sock(unsigned(given.values[0]), scope.position)
            case "-cyclic":
                barrier.make_cyclic()
            case _:
                await barrier.sync(scope)


COMMANDS = (
    Command(
        name="barrier",
        run=_barrier,
        usage="bNAME cond|sock NUMBER [-cyclic]  |  bNAME sync",
        text="A point that NUMBER specifications pass together: each waits at `sync` for the "
        "others. It is made at top level. A `sock` barrier can be waited at from outside too: "
        "connect to `${bNAME_sock}` and wait for the end of the stream. All who come are counted, "
        "and nobody may come too many.",
        letter="b",
        exports=("addr", "port", "sock"),
        label="Barrier",
        options=(
            option("cond NUMBER", "A barrier for specifications."),
            option("sock NUMBER", "A barrier with a socket."),
            option("-cyclic", "It closes again behind those who passed."),
            option("sync", "Wait for the others."),
        ),
        unknown="Unknown barrier argument: {}",
        example=_EXAMPLE,
    ),
)
