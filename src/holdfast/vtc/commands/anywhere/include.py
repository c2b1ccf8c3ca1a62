"""`include`"""

from __future__ import annotations

from typing import Any

from holdfast.vtc.io.files import read_file
from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.interpreter import interpret
from holdfast.vtc.language.source import ENCODING, Source
from holdfast.vtc.run.scope import Scope

_EXAMPLE = """\
vtest "a part that is kept in a file"

filewrite answer "rxreq\\ntxresp\\n"

server s1 {
    include answer
} -start

client c1 -connect ${s1_sock} {
    txreq
    rxresp
} -run
"""
DEPTH_MAX = 20


async def _include(scope: Scope[Any], args: Args) -> None:
    if scope.include_depth == DEPTH_MAX:
        raise scope.failure(f"include: more than {DEPTH_MAX} files deep", args.name)
    for name in args.plain():
        text = read_file(scope, name).decode(ENCODING)
        scope.log.line(2, f"Begin include '{name}'")
        scope.include_depth += 1
        await interpret(scope, Source(name, text.partition("\0")[0]).whole())
        scope.include_depth -= 1
        scope.log.line(2, f"End include '{name}'")


COMMANDS = (
    Command(
        name="include",
        run=_include,
        usage="FILE...",
        text="Run the commands of files, as if they stood here.",
        words_min=1,
        words_max=None,
        example=_EXAMPLE,
    ),
)
