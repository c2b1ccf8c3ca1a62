"""`tunnel`"""

from __future__ import annotations

from holdfast.vtc.actors.tunnel import Tunnel
from holdfast.vtc.language.command import Args, Command, ParsedOption, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope

EXAMPLE = """\
vtest "a line that stalls"

barrier b1 cond 2
barrier b2 cond 2
barrier b3 cond 2

server s1 {
    rxreq
    barrier b2 sync
    barrier b3 sync
    txresp
} -start

tunnel t1 -connect ${s1_sock} {
    pause
    barrier b1 sync
    send 10
    resume
    barrier b2 sync
    pause
    barrier b3 sync
    recv 10
    resume
} -start

client c1 -connect ${t1_sock} {
    barrier b1 sync
    txreq
    rxresp
} -run

tunnel t1 -wait
"""


async def _tunnel(scope: Scope[Case], args: Args) -> None:
    tunnel = scope.case.actor(Tunnel, args.instance(), scope.position)
    for given in args.walk():
        if given.flag == "-wait":
            await tunnel.wait()
            continue
        if tunnel.task.running:
            await tunnel.wait()
        await _apply(scope, tunnel, given)


async def _apply(scope: Scope[Case], tunnel: Tunnel, given: ParsedOption) -> None:
    match given.flag:
        case "-connect":
            tunnel.connect_to = given.values[0]
        case "-listen":
            tunnel.listen_on = given.values[0]
        case "-start" | "-start+pause":
            await tunnel.start(scope.position, paused=given.flag != "-start")
        case _:
            tunnel.spec = given.values[0]


COMMANDS = (
    Command(
        name="tunnel",
        run=_tunnel,
        usage="tNAME [SPEC] [-listen ADDRESS] [-connect ADDRESS] [-start|-start+pause] [-wait]",
        text="A tunnel accepts one connection, makes another and carries bytes between the two. "
        "The specification says when it pauses, and how much passes in a pause. There are "
        "`${tNAME_addr}`, `${tNAME_port}` and `${tNAME_sock}`.",
        letter="t",
        exports=("addr", "port", "sock"),
        label="Tunnel",
        words_max=None,
        spec=Context.TUNNEL,
        options=(
            option("-listen ADDRESS", "Where to listen, else a free port of 127.0.0.1."),
            option("-connect ADDRESS", "Where to connect, else `${v1_sock}`."),
            option("-start", "Begin in the background."),
            option("-start+pause", "Begin in the background, paused."),
            option("-wait", "Wait for the end of the specification and of the connection."),
        ),
        example=EXAMPLE,
    ),
)
