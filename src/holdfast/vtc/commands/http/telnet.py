"""`telnet`"""

from __future__ import annotations

import re

from holdfast.core.limits import Limits
from holdfast.protocols.telnet import TelnetClient, Terminal, codes
from holdfast.vtc.dialogue.lines import TelnetLines
from holdfast.vtc.http.guards import only_client
from holdfast.vtc.http.receive import HttpScope
from holdfast.vtc.language.command import Args, Command, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.interpreter import play
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.scope import Scope

OPTIONS = {name: code for name, code in codes.NAMES.items() if code != codes.LINEMODE}
"""What the client accepts unless it is told to refuse it."""
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")

EXAMPLE = """\
vtest "a terminal that speaks Telnet"

gateway g1 -listen telnet://${listen_addr} -backend echo -start

client c1 -connect ${g1_telnet_sock} {
    telnet -type xterm -size 100x40 {
        rx line -until "resume"
        tx line "hello"
        rx line "hello"
        tx gmcp Core.Ping
        rx gmcp -until "^Core.Ping$"
        tx resize 120 50
        tx interrupt
        expect telnet.hidden == false
    }
} -run
"""


def _refused(word: Token) -> list[int]:
    names = word.split(",")
    unknown = [name for name in names if name not in OPTIONS]
    if unknown:
        text = f"-refuse: unknown option {unknown[0]}: it is one of {' '.join(OPTIONS)}"
        raise Failure(text, word.position())
    return [OPTIONS[name] for name in names]


async def _telnet(scope: HttpScope, args: Args) -> None:
    only_client(scope, args)
    name, width, height = "XTERM", 80, 24
    refused: list[int] = []
    spec: Token | None = None
    for given in args.walk():
        match given.flag:
            case "-type":
                name = given.values[0]
            case "-size":
                size = _SIZE.fullmatch(given.values[0])
                if not size:
                    text = f"-size: found {given.values[0]}, expected as in 80x24"
                    raise Failure(text, given.values[0].position())
                width, height = int(size[1]), int(size[2])
            case "-refuse":
                refused += _refused(given.values[0])
            case _:
                spec = given.token
    if spec is None:
        text = "telnet: the specification is missing"
        raise Failure(text, args.name.position(), (args.usage(),))
    terminal = Terminal("vtc", "1", name, width, height)
    conversation = TelnetLines(scope.subject, TelnetClient(Limits().telnet, terminal, refused))
    await play(Scope(scope.case, Context.LINES, conversation, scope.log), spec)


COMMANDS = (
    Command(
        name="telnet",
        run=_telnet,
        usage="[OPTIONS] SPEC",
        text="Client: run a specification of lines on a Telnet connection (RFC 854). What the "
        "server asks is answered by itself: terminal type, window size, character set, echo, end "
        "of record, GMCP.",
        options=(
            option("-type STRING", "The terminal's type, else `XTERM`."),
            option("-size WIDTHxHEIGHT", "The window in characters, else `80x24`."),
            option(
                "-refuse OPTIONS",
                f"Telnet options that are refused, parted by commas: {', '.join(OPTIONS)}.",
            ),
        ),
        words_min=1,
        words_max=1,
        spec=Context.LINES,
        example=EXAMPLE,
    ),
)
