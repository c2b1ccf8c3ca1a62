"""`loop`"""

from __future__ import annotations

import asyncio
from typing import Any

from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.interpreter import interpret
from holdfast.vtc.language.numbers import unsigned
from holdfast.vtc.run.scope import Scope

_EXAMPLE = """\
vtest "the same again"

server s1 {
    loop 3 {
        rxreq
        txresp
    }
} -start

client c1 -connect ${s1_sock} {
    loop 3 {
        txreq
        rxresp
        expect resp.status == 200
    }
} -run
"""


async def _loop(scope: Scope[Any], args: Args) -> None:
    number, spec = args.plain()
    for turn in range(unsigned(number)):
        if scope.case.stopping:
            break
        scope.log.line(4, f"Loop #{turn}")
        await interpret(scope, spec)
        await asyncio.sleep(0)  # commands that never wait must not starve other tasks


COMMANDS = (
    Command(
        name="loop",
        run=_loop,
        usage="NUMBER SPEC",
        text="Run a specification so many times.",
        words_min=2,
        words_max=2,
        spec=Context.SAME,
        example=_EXAMPLE,
    ),
)
