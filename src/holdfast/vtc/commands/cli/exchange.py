"""`send` and `expect` on HAProxy's command line."""

from __future__ import annotations

from holdfast.vtc.commands.top.haproxy import EXAMPLE
from holdfast.vtc.haproxy.cli import HaproxyCli
from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.expectation import check_expect, expect_match
from holdfast.vtc.run.scope import Scope


async def _send(scope: Scope[HaproxyCli], args: Args) -> None:
    (command,) = args.plain()
    await scope.subject.send(command)


async def _expect(scope: Scope[HaproxyCli], args: Args) -> None:
    args.plain()
    answer = await scope.subject.receive()
    expect_match(scope, args, answer, ("CLI expect failed", "CLI expect match"), "answer")


COMMANDS = (
    Command(
        name="send",
        run=_send,
        usage="STRING",
        text="Send a command. Each needs an `expect`.",
        words_min=1,
        words_max=1,
        example=EXAMPLE,
    ),
    Command(
        name="expect",
        run=_expect,
        check=check_expect,
        usage="~|!~ PATTERN",
        text="The pattern is found in the answer, or is not.",
        words_min=2,
        words_max=2,
        example=EXAMPLE,
    ),
)
