"""`filewrite`"""

from __future__ import annotations

from holdfast.vtc.io.files import write_file
from holdfast.vtc.language.command import Args, Command, option
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope

_EXAMPLE = r"""
vtest "files"

filewrite greeting "Hello" " " "World\n"
filewrite -a greeting "Goodbye\n"
shell -expect "Goodbye" {cat ${tmpdir}/greeting}
"""


async def _filewrite(scope: Scope[Case], args: Args) -> None:
    words = args.words
    append = bool(words) and words[0] == "-a"
    if append:
        words = words[1:]
    if not words:
        raise scope.failure("Need filename", args.name)
    write_file(scope, words[0], "".join(words[1:]).encode(ENCODING), "ab" if append else "wb")


COMMANDS = (
    Command(
        name="filewrite",
        run=_filewrite,
        usage="[-a] FILE STRING...",
        text="Write strings to a file.",
        options=(option("-a", "Append to the file."),),
        words_min=1,
        words_max=None,
        example=_EXAMPLE,
    ),
)
