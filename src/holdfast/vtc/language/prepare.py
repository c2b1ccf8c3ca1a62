"""Does what can be done before a specification runs.

A peer may give a client a few milliseconds. So before a connection is made or
accepted, its whole specification is cut into words, its commands are imported
and its patterns are compiled. Macros are filled in when a command runs: until
then they may change.
"""

from __future__ import annotations

from contextlib import suppress

from holdfast.vtc.language.command import Args
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.lexer import cut
from holdfast.vtc.language.registry import find
from holdfast.vtc.language.source import Token


def prepare(spec: Token, context: Context) -> None:
    """Prepare the commands of `spec`, which run in `context`, and all below them.

    Errors of a command are reported when it runs.
    """
    if spec.specification is not None:
        return
    for command in cut(spec).commands:
        if command.words and "${" not in command.words[0]:
            found = find(context, command.words[0])
            if found is not None:
                prepare_arguments(Args(found, command.words[0], command.words[1:]), context)


def prepare_arguments(args: Args, context: Context) -> None:
    """Prepare the specifications and patterns of a command in `context`."""
    with suppress(Failure):
        for spec, inner in args.specifications(context):
            prepare(spec, inner)
        for step in (args.command.check, args.command.prepare):
            if step:
                step(args)
