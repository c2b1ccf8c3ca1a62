"""`lines`"""

from __future__ import annotations

from holdfast.vtc.dialogue.lines import PlainLines
from holdfast.vtc.http.receive import HttpScope
from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.interpreter import play
from holdfast.vtc.run.scope import Scope

EXAMPLE = """\
vtest "lines of text"

server s1 {
    lines {
        send "Name: "
        rx line "Ada"
        tx line "Hello, Ada."
        tx line "It is late."
        send "> "
        rx line "quit"
    }
} -start

client c1 -connect ${s1_sock} {
    lines {
        rx prompt "Name: "
        tx line "Ada"
        rx line "Hello, Ada."
        expect rx.text ~ "Ada"
        rx line
        rx prompt "> "
        tx line "quit"
        expect_close
    }
} -run
"""


async def _lines(scope: HttpScope, args: Args) -> None:
    (spec,) = args.plain()
    conversation = PlainLines(scope.subject)
    await play(Scope(scope.case, Context.LINES, conversation, scope.log), spec)


COMMANDS = (
    Command(
        name="lines",
        run=_lines,
        usage="SPEC",
        text="Run a specification that sends and receives lines of UTF-8 text.",
        words_min=1,
        words_max=1,
        spec=Context.LINES,
        example=EXAMPLE,
    ),
)
