"""`gateway`"""

from __future__ import annotations

from holdfast.vtc.gateway.gateway_instance import GatewayInstance
from holdfast.vtc.gateway.program_instance import INSTANCE_OPTIONS, apply_instance_option
from holdfast.vtc.language.command import Args, Command, ParsedOption, option
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope

EXAMPLE = """\
vtest "a gateway that is killed, and the session that survives it"

gateway g1 -listen ws://${listen_addr}/ -durability durable -start

application a1 -link ${g1_link} {
    from holdfast.app import App

    app = App("parrot")

    @app.on_text
    async def said(session, text):
        await session.text("You said: " + text)

    app.run()
} -start

session u1 -connect ${g1_ws_sock} {
    rx welcome
    tx command "hello"
    rx text "You said: hello"
} -run

gateway g1 -kill -start

session u1 {
    rx resumed
    tx command "again"
    rx text "You said: again"
} -run

gateway g2 -conf-BAD {'gopher://127.0.0.1:0': expected one of} {
    [[listener]]
    url = "gopher://127.0.0.1:0"
}
"""


async def _gateway(scope: Scope[Case], args: Args) -> None:
    gateway = scope.case.actor(GatewayInstance, args.instance(), scope.position)
    for given in args.walk():
        if given.flag == "-start":
            await gateway.prepare()
        if not await apply_instance_option(scope, gateway, given):
            await _apply(scope, gateway, given)


async def _apply(scope: Scope[Case], gateway: GatewayInstance, given: ParsedOption) -> None:
    value: Token = given.values[-1]
    match given.flag:
        case "-listen":
            gateway.listen.append(value)
        case "-durability":
            gateway.durability = value
        case "-backend":
            gateway.backend = value
        case "-conf":
            gateway.config = value
        case _:
            gateway.config = value
            await gateway.check(given.values[0])
            scope.checked()


COMMANDS = (
    Command(
        name="gateway",
        run=_gateway,
        usage="gNAME [-listen URL...] [-conf TOML] [-start] [-stop] [-kill] [OPTIONS]",
        text="A process `holdfast serve` in a directory of its own. It is ready when `-start` is "
        "done: `${gNAME_link}` is the URL where applications link, and for each listener, and for "
        "the link, there are `${gNAME_SCHEME_addr}`, `_port` and `_sock` (`${g1_ws_sock}`, of a "
        "second one `${g1_ws2_sock}`). Its ports stay the same over later starts. A store and a "
        "link are added to a configuration without them. If it dies unasked the test fails at "
        "once. At the end of the test it is stopped, and must take leave in an orderly way.",
        letter="g",
        label="Gateway",
        exports=("*",),
        options=(
            option(
                "-listen URL",
                "Another address for clients; `wss`, `tls` and `telnets` with a "
                "certificate made for the test, `${gNAME_cert}`. May be repeated.",
            ),
            option("-durability MODE", "Of these listeners, else `fast`."),
            option("-backend NAME", "Of these listeners: `link`, or `echo` without application."),
            option("-conf TOML", "The configuration, or the rest of it."),
            option("-conf-BAD TEXT TOML", "This configuration is refused, with TEXT."),
            *INSTANCE_OPTIONS,
        ),
        example=EXAMPLE,
    ),
)
