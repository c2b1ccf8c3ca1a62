"""`client`"""

from __future__ import annotations

from holdfast.vtc.actors.client import Client
from holdfast.vtc.actors.endpoint import SESSION_OPTIONS
from holdfast.vtc.io.tls import TLS_TEXT, client_tls
from holdfast.vtc.language.command import Args, Command, ParsedOption, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope

_EXAMPLE = """\
vtest "clients"

server s1 -repeat 3 {
    rxreq
    txresp
} -start

client c1 -connect ${s1_sock} -repeat 2 {
    txreq
    rxresp
    expect resp.status == 200
} -start

client c2 -connect ${s1_sock} {
    txreq -url "/second"
    rxresp
} -run

client c1 -wait
"""


CLIENT_OPTIONS = (
    option("-connect ADDRESS", "Where to, else `${v1_sock}`."),
    option("-start", "Begin in the background."),
    option("-wait", "Wait for the end."),
    option("-run", "`-start` and `-wait`."),
    *SESSION_OPTIONS,
    option("-proxy1 STRING", 'Send a PROXY header first, `"CLIENT:PORT SERVER:PORT"`.'),
    option(
        "-proxy2 STRING",
        'The same in version 2, with TLVs: `"CLIENT:PORT SERVER:PORT alpn=h2 0xE0=text"`.',
    ),
    option("-tls STRING", f"Speak TLS. {TLS_TEXT}"),
)


async def _client(scope: Scope[Case], args: Args) -> None:
    client = scope.case.actor(Client, args.instance(), scope.position)
    for given in args.walk():
        if not await run_client(scope, client, given):
            client.spec = given.values[0]


async def run_client(scope: Scope[Case], client: Client, given: ParsedOption) -> bool:
    """Apply one of `CLIENT_OPTIONS`. Return whether the option was one. Raises `Failure`."""
    if given.flag == "-wait":
        await client.wait()
        return True
    if client.task.running:
        await client.wait()
    return client.set_option(given) or await _apply(scope, client, given)


async def _apply(scope: Scope[Case], client: Client, given: ParsedOption) -> bool:
    match given.flag:
        case "-connect":
            client.connect_to = given.values[0]
        case "-proxy1" | "-proxy2":
            client.proxy = int(given.flag[-1]), given.values[0]
        case "-tls":
            client.tls = client_tls(scope.case, given.values[0])
        case "-start":
            client.start(scope.position)
        case "-run":
            client.start(scope.position)
            await client.wait()
        case _:
            return False
    return True


COMMANDS = (
    Command(
        name="client",
        run=_client,
        usage="cNAME [SPEC] [-connect ADDRESS] [-start] [-wait] [-run] [OPTIONS]",
        text="A client connects and runs its specification. Options are applied in their order, "
        "and a client that runs is waited for first. The address is `IP:PORT`, `IP PORT`, "
        "`[IPV6]:PORT`, `HOST:PORT`, `/path` or `@abstract`.",
        letter="c",
        label="Client",
        words_max=None,
        spec=Context.HTTP,
        options=CLIENT_OPTIONS,
        example=_EXAMPLE,
    ),
)
