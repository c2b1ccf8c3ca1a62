"""`setenv`"""

from __future__ import annotations

from holdfast.vtc.language.command import Args, Command, option
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope

_EXAMPLE = """\
vtest "the environment of this test's processes"

setenv COLOUR "green"
setenv -ifunset COLOUR "red"
shell -expect "green" {echo $COLOUR}
"""


async def _setenv(scope: Scope[Case], args: Args) -> None:
    words = args.words
    keep = bool(words) and words[0] == "-ifunset"
    if keep:
        words = words[1:]
    args.check_number(len(words), words[-1] if words else args.name)
    name, value = (word.encode(ENCODING) for word in words)
    if not name or b"=" in name:
        raise scope.failure(f'CMD setenv {words[0]}="{words[1]}" failed: Invalid argument')
    if not (keep and name in scope.case.env):
        scope.case.env[name] = value


COMMANDS = (
    Command(
        name="setenv",
        run=_setenv,
        usage="[-ifunset] NAME VALUE",
        text="Set a variable in the environment of the processes that this test starts.",
        options=(option("-ifunset", "Leave it as it is if it is set."),),
        words_min=2,
        words_max=2,
        example=_EXAMPLE,
    ),
)
