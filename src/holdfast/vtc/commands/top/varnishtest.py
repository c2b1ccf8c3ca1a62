"""`varnishtest`"""

from __future__ import annotations

from holdfast.vtc.commands.top.vtest import run
from holdfast.vtc.language.command import Command

COMMANDS = (
    Command(
        name="varnishtest",
        run=run,
        usage="TITLE",
        text="Another name of `vtest`.",
        words_min=1,
        words_max=1,
        example='varnishtest "a script that does nothing passes"\n',
    ),
)
