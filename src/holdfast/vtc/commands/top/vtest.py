"""`vtest`"""

from __future__ import annotations

from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope


async def run(scope: Scope[Case], args: Args) -> None:
    """Write the title into the log."""
    (title,) = args.plain()
    scope.log.line(1, f"VTEST {title}")


COMMANDS = (
    Command(
        name="vtest",
        run=run,
        usage="TITLE",
        text="Say what the script tests. It must be the first command.",
        words_min=1,
        words_max=1,
        example='vtest "a script that does nothing passes"\n',
    ),
)
