"""The commands of a specification of lines."""

from __future__ import annotations

from holdfast.vtc.commands.http.lines import EXAMPLE
from holdfast.vtc.dialogue.commands import SendableMessage, commands
from holdfast.vtc.dialogue.conversation import text_of
from holdfast.vtc.dialogue.lines import LineConversation, TelnetLines
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import whole
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.scope import Scope

LinesScope = Scope[LineConversation]


def _telnet(scope: LinesScope) -> TelnetLines:
    if not isinstance(scope.subject, TelnetLines):
        raise scope.failure("only Telnet can do this")
    return scope.subject


async def _line(scope: LinesScope, words: list[Token]) -> None:
    scope.subject.type_line(text_of(words[0]))


async def _gmcp(scope: LinesScope, words: list[Token]) -> None:
    json = text_of(words[1]) if len(words) > 1 else ""
    await _telnet(scope).send_gmcp(scope, text_of(words[0]), json)


async def _interrupt(scope: LinesScope, words: list[Token]) -> None:
    _telnet(scope).core.send_interrupt()


async def _resize(scope: LinesScope, words: list[Token]) -> None:
    width, height = map(whole, words)
    if width is None or height is None:
        raise Failure("tx resize: expected two numbers", words[0].position())
    _telnet(scope).core.resize(width, height)


COMMANDS = commands(
    sent={
        "line": SendableMessage("STRING", "A line with its end.", _line),
        "gmcp": SendableMessage("PACKAGE [JSON]", "A GMCP message, once GMCP is agreed on.", _gmcp),
        "interrupt": SendableMessage("", "Telnet's IP, as Ctrl-C.", _interrupt),
        "resize": SendableMessage("WIDTH HEIGHT", "A new size of the window.", _resize),
    },
    received={
        "line": "A line, without its end.",
        "prompt": "What stands behind the last line.",
        "gmcp": "A GMCP message; its text is the package. It is never in the way.",
    },
    values={"telnet.hidden": "`true` while what is typed is not to be shown"},
    example=EXAMPLE,
)
