"""`delay`"""

from __future__ import annotations

import asyncio
from typing import Any

from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.numbers import decimal
from holdfast.vtc.run.scope import Scope


async def _delay(scope: Scope[Any], args: Args) -> None:
    (number,) = args.plain()
    seconds = decimal(number)
    if seconds is None:
        raise scope.failure(f"Syntax error in number ({number})", number)
    scope.log.line(3, f"delaying {seconds:g} second(s)")
    await asyncio.sleep(max(0.0, seconds))


COMMANDS = (
    Command(
        name="delay",
        run=_delay,
        usage="SECONDS",
        text="Do nothing for so long. A fraction is allowed.",
        words_min=1,
        words_max=1,
        example='vtest "a short rest"\n\ndelay 0.05\n',
    ),
)
