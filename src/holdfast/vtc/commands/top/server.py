"""`server`"""

from __future__ import annotations

from holdfast.vtc.actors.endpoint import SESSION_OPTIONS
from holdfast.vtc.actors.server import Server
from holdfast.vtc.io.tls import TLS_TEXT, server_tls
from holdfast.vtc.language.command import Args, Command, ParsedOption, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope

_EXAMPLE = """\
vtest "servers"

server s1 {
    rxreq
    txresp -body "one"
} -start

server s2 -listen "${tmpdir}/s2.sock" {
    rxreq
    txresp -body "two"
} -start

client c1 -connect ${s1_sock} {
    txreq
    rxresp
    expect resp.body == "one"
} -run

client c2 -connect ${s2_sock} {
    txreq
    rxresp
    expect resp.body == "two"
} -run

server s1 -wait
server s2 -wait
"""


async def _server(scope: Scope[Case], args: Args) -> None:
    server = scope.case.actor(Server, args.instance(), scope.position)
    for given in args.walk():
        if given.flag == "-wait":
            await server.wait()
            continue
        if given.flag == "-break":
            await server.stop()
            continue
        if server.task.running:
            await server.wait()
        if not server.set_option(given):
            await _apply(scope, server, given)


async def _apply(scope: Scope[Case], server: Server, given: ParsedOption) -> None:
    match given.flag:
        case "-listen":
            server.release()
            server.listen_on = given.values[0]
        case "-tls":
            server.tls = server_tls(scope.case, given.values[0])
        case "-start":
            await server.start(scope.position)
        case "-dispatch":
            if server.name != "s0":
                raise Failure("server -dispatch only works on s0", given.token.position())
            await server.dispatch(scope.position)
        case _:
            server.spec = given.values[0]


COMMANDS = (
    Command(
        name="server",
        run=_server,
        usage="sNAME [SPEC] [-listen ADDRESS] [-start] [-wait] [OPTIONS]",
        text="A server listens and runs its specification for one connection after the other. "
        "While it listens there are `${sNAME_addr}`, `${sNAME_port}` and `${sNAME_sock}`. At the "
        "end of the test it is stopped wherever it is; wait for it if it must have been used.",
        letter="s",
        exports=("addr", "port", "sock", "cert"),
        label="Server",
        words_max=None,
        spec=Context.HTTP,
        options=(
            option("-listen ADDRESS", "Where, else a free port of 127.0.0.1."),
            option("-start", "Listen, and begin in the background."),
            option("-wait", "Wait for the end."),
            option("-break", "Stop at once and stop listening."),
            *SESSION_OPTIONS,
            option(
                "-dispatch",
                "`s0` only: take any number of connections at a time, each by a new server "
                "`s1`, `s2` … that runs the same specification.",
            ),
            option("-tls STRING", f"Speak TLS. {TLS_TEXT}"),
        ),
        example=_EXAMPLE,
    ),
)
