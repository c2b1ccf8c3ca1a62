"""`pause`, `resume`, `send` and `recv` of a tunnel."""

from __future__ import annotations

from holdfast.vtc.actors.tunnel import Tunnel
from holdfast.vtc.commands.top.tunnel import EXAMPLE
from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.numbers import integer
from holdfast.vtc.run.scope import Scope


async def _pause(scope: Scope[Tunnel], args: Args) -> None:
    args.plain()
    await scope.subject.pause()


async def _resume(scope: Scope[Tunnel], args: Args) -> None:
    args.plain()
    scope.subject.resume()


async def _transfer(scope: Scope[Tunnel], args: Args) -> None:
    (number,) = args.plain()
    await scope.subject.transfer(args.command.name, integer(number))


COMMANDS = (
    Command(
        name="pause",
        run=_pause,
        usage="",
        text="Carry nothing more. What was read already arrives first.",
        example=EXAMPLE,
    ),
    Command(
        name="resume",
        run=_resume,
        usage="",
        text="Carry on. At the end of the specification this happens by itself.",
        example=EXAMPLE,
    ),
    Command(
        name="send",
        run=_transfer,
        usage="NUMBER",
        text="In a pause: carry so many bytes from the source to the destination.",
        words_min=1,
        words_max=1,
        example=EXAMPLE,
    ),
    Command(
        name="recv",
        run=_transfer,
        usage="NUMBER",
        text="In a pause: carry so many bytes from the destination to the source.",
        words_min=1,
        words_max=1,
        example=EXAMPLE,
    ),
)
