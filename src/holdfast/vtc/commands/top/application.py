"""`application`"""

from __future__ import annotations

from holdfast.vtc.commands.top.gateway import EXAMPLE
from holdfast.vtc.gateway.application_instance import ApplicationInstance
from holdfast.vtc.gateway.program_instance import INSTANCE_OPTIONS, apply_instance_option
from holdfast.vtc.language.command import Args, Command, option
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope


async def _application(scope: Scope[Case], args: Args) -> None:
    application = scope.case.actor(ApplicationInstance, args.instance(), scope.position)
    for given in args.walk():
        match given.flag:
            case "-link":
                application.link = given.values[0]
            case "-secret":
                application.secret = given.values[0]
            case "":
                application.take(given.token)
            case _:
                await apply_instance_option(scope, application, given)


COMMANDS = (
    Command(
        name="application",
        run=_application,
        usage="aNAME [PROGRAM] [-link ADDRESS] [-start] [-stop] [-kill] [OPTIONS]",
        text="An application behind a gateway: a Python program, or its file if the word has "
        "only one line. It is ready when it has its link. If it dies unasked the test fails at "
        "once.",
        letter="a",
        label="Application",
        exports=("pid",),
        words_max=None,
        options=(
            option("-link ADDRESS", "Where it links: `${gNAME_link}`."),
            option("-secret STRING", "What the gateway asks for, if it asks."),
            *INSTANCE_OPTIONS,
        ),
        example=EXAMPLE,
    ),
)
