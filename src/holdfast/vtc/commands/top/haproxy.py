"""`haproxy`"""

from __future__ import annotations

from holdfast.vtc.haproxy.instance import Haproxy
from holdfast.vtc.language.command import Args, Command, ParsedOption, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import unsigned
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope

EXAMPLE = """\
vtest "a proxy in the middle"

feature cmd {command -v haproxy}
feature ignore_unknown_macro

server s1 {
    rxreq
    txresp -body "from behind"
} -start

haproxy h1 -conf {
    defaults
        mode http
        timeout connect 5s
        timeout client 5s
        timeout server 5s
    frontend front
        bind "fd@${front}"
        default_backend back
    backend back
        server one ${s1_addr}:${s1_port}
} -start

client c1 -connect ${h1_front_sock} {
    txreq
    rxresp
    expect resp.body == "from behind"
} -run

haproxy h1 -cli {
    send "show info"
    expect ~ "Name: HAProxy"
}

haproxy h2 -conf-BAD {unknown keyword 'nonsense'} {
    global
        nonsense
}
"""


async def _haproxy(scope: Scope[Case], args: Args) -> None:
    haproxy = scope.case.actor(Haproxy, args.instance(), scope.position)
    for given in args.walk():
        if not _set(haproxy, given):
            await _do(scope, haproxy, given)


def _set(haproxy: Haproxy, given: ParsedOption) -> bool:
    """Apply what only changes the next start. Says whether it was that."""
    match given.flag:
        case "-D":
            haproxy.daemon = True
        case "-W" | "-Ws":
            haproxy.worker = given.flag
        case "-S":
            haproxy.master_cli = True
        case "-arg":
            if haproxy.running:
                raise Failure("-arg: haproxy runs already", given.token.position())
            haproxy.arguments += f" {given.values[0]}"
        case "-expectexit":
            haproxy.exit_wanted = unsigned(given.values[0])
        case "-conf" | "-conf+backend":
            haproxy.configure(given.values[0], with_servers=given.flag != "-conf")
        case _:
            return False
    return True


async def _do(scope: Scope[Case], haproxy: Haproxy, given: ParsedOption) -> None:
    match given.flag:
        case "-conf-OK":
            haproxy.configure(given.values[0])
            await haproxy.check("", 0)
        case "-conf-BAD":
            haproxy.configure(given.values[1])
            await haproxy.check(given.values[0], 1)
        case "-cli" | "-mcli":
            cli = haproxy.cli if given.flag == "-cli" else haproxy.mcli
            cli.spec = given.values[0]
            if haproxy.running:
                await cli.run(scope.position)
            return
        case "-start":
            await haproxy.start(scope.position)
            return
        case _:
            await haproxy.wait(scope.position)
    scope.checked()


COMMANDS = (
    Command(
        name="haproxy",
        run=_haproxy,
        usage="hNAME [-conf CONFIG] [-start] [-cli SPEC] [-wait] [OPTIONS]",
        text="A HAProxy: `$HAPROXY_PROGRAM`, else `haproxy` of the PATH or of `/usr/sbin`, with "
        "`$HAPROXY_ARGS`. For each `fd@${NAME}` of its configuration a socket is opened and handed "
        "over; there are `${hNAME_NAME_sock}`, `…_addr` and `…_port` then (the script needs "
        "`feature ignore_unknown_macro`). Besides there are `${hNAME_cli_sock}`, "
        "`${hNAME_mcli_sock}`, `${hNAME_closed_sock}` (a port that refuses), `${hNAME_pid}` and "
        "`${hNAME_name}` (its directory). If it dies unasked the test fails at once, with its own "
        "last words.",
        letter="h",
        exports=("*",),
        label="haproxy",
        options=(
            option("-conf CONFIG", "Its configuration."),
            option("-conf+backend CONFIG", "The same, with a frontend and a backend per server."),
            option("-conf-OK CONFIG", "The configuration must be valid."),
            option("-conf-BAD TEXT CONFIG", "It must be invalid, and the complaint contain TEXT."),
            option("-D", "Run as a daemon."),
            option("-W", "Run as a master with a worker."),
            option("-Ws", "The same, and wait until it says that it is ready."),
            option("-S", "With `-W`: the master has a command line."),
            option("-arg STRING", "More arguments."),
            option("-cli SPEC", "Run this on its command line.", spec=Context.CLI),
            option("-mcli SPEC", "Run this on the master's command line.", spec=Context.CLI),
            option("-expectexit NUMBER", "It ends with this status."),
            option("-start", "Start it."),
            option("-wait", "Stop it."),
        ),
        example=EXAMPLE,
    ),
)
