"""`syslog`"""

from __future__ import annotations

from holdfast.vtc.actors.syslog import LEVELS, Syslog, level_number
from holdfast.vtc.language.command import Args, Command, ParsedOption, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.numbers import integer
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope

EXAMPLE = """\
vtest "a log server"

feature cmd {command -v python3}

syslog S1 -level notice {
    recv
    expect ~ "started"
    recv info
    expect !~ "failed"
} -start

shell {python3 -c '
import socket
log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in "<134>noise", "<133>started", "<134>all is well":
    log.sendto(line.encode(), ("${S1_addr}", ${S1_port}))
'}

syslog S1 -wait
"""


async def _syslog(scope: Scope[Case], args: Args) -> None:
    server = scope.case.actor(Syslog, args.instance(), scope.position)
    for given in args.walk():
        if given.flag == "-wait":
            await server.wait()
        elif given.flag == "-stop":
            await server.stop()
        else:
            if server.task.running:
                await server.wait()
            await _apply(scope, server, given)


async def _apply(scope: Scope[Case], server: Syslog, given: ParsedOption) -> None:
    match given.flag:
        case "-repeat":
            server.repeat = integer(given.values[0])
        case "-bind":
            await server.bind(given.values[0])
        case "-level":
            server.level = level_number(given.values[0])
        case "-start":
            await server.start(scope.position)
        case _:
            server.spec = given.values[0]


COMMANDS = (
    Command(
        name="syslog",
        run=_syslog,
        usage="SNAME [SPEC] [-level LEVEL] [-bind ADDRESS] [-repeat NUMBER] [-start] [-wait]",
        text="A syslog server on UDP. There are `${SNAME_addr}`, `${SNAME_port}` and "
        "`${SNAME_sock}`. Levels: " + ", ".join(f"`{level}`" for level in LEVELS) + ".",
        letter="S",
        exports=("addr", "port", "sock"),
        label="Syslog",
        words_max=None,
        spec=Context.SYSLOG,
        options=(
            option("-level LEVEL", "What `recv` waits for if it is not told."),
            option("-bind ADDRESS", "Where, else a free port of 127.0.0.1."),
            option("-repeat NUMBER", "Run the specification so many times."),
            option("-start", "Begin in the background."),
            option("-wait", "Wait for the end."),
            option("-stop", "Stop at once."),
        ),
        example=EXAMPLE,
    ),
)
