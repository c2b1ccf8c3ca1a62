"""`ws`"""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.protocols.websocket import Offer
from holdfast.vtc.dialogue.websocket import WebSocketConversation, client_core, server_core
from holdfast.vtc.http.receive import HttpScope
from holdfast.vtc.language.command import Args, Command, option
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.interpreter import play
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.scope import Scope

EXAMPLE = """\
vtest "a WebSocket"

server s1 {
    ws -protocol chat {
        expect ws.http.origin == "http://example.org"
        rx text "hello"
        tx text {{"said": ["hello"]}}
        rx binary 00ff
        tx ping "still there?"
        rx pong "still there?"
        rx close "1000 bye"
    }
} -start

client c1 -connect ${s1_sock} {
    ws -url /chat -protocol chat -hdr "Origin: http://example.org" {
        expect ws.protocol == chat
        tx text "hello"
        rx text -until "said"
        expect rx.json.said.0 == "hello"
        tx binary 00ff
        rx ping "still there?"
        tx close 1000 "bye"
        rx close 1000
        expect ws.code == 1000
    }
} -run

server s1 -wait
"""


@dataclass(slots=True)
class _Wanted:
    target: str = "/"
    protocols: list[str] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    spec: Token | None = None


def _wanted(args: Args) -> _Wanted:
    wanted = _Wanted()
    for given in args.walk():
        match given.flag:
            case "-url":
                wanted.target = given.values[0]
            case "-protocol":
                wanted.protocols.append(given.values[0])
            case "-hdr":
                name, _, value = given.values[0].partition(":")
                wanted.headers.append((name, value.strip()))
            case _:
                wanted.spec = given.token
    if wanted.spec is None:
        raise Failure("ws: the specification is missing", args.name.position(), (args.usage(),))
    return wanted


async def _ws(scope: HttpScope, args: Args) -> None:
    wanted = _wanted(args)
    assert wanted.spec is not None
    connection = scope.subject
    if connection.is_client:
        protocols = tuple(wanted.protocols)
        host = connection.peer.joined if connection.peer.path is None else "localhost"
        offer = Offer(host, wanted.target, protocols, None, tuple(wanted.headers))
        conversation = WebSocketConversation(connection, client_core(offer))
        await conversation.open(scope)
    else:
        conversation = WebSocketConversation(connection, server_core())
        await conversation.open(scope)
        await conversation.accept(scope, wanted.protocols)
    scope.log.line(3, f"WebSocket {conversation.core.subprotocol or 'without sub-protocol'}")
    await play(Scope(scope.case, Context.WS, conversation, scope.log), wanted.spec)


COMMANDS = (
    Command(
        name="ws",
        run=_ws,
        usage="[OPTIONS] SPEC",
        text="Open a WebSocket (RFC 6455) on this connection, or accept one, and run a "
        "specification on it. Pings and the peer's Close are answered by themselves. Nothing "
        "else can be done with the connection behind it.",
        options=(
            option("-url STRING", "Client: what is asked for, else `/`."),
            option(
                "-protocol STRING", "A sub-protocol that is offered or spoken; may be repeated."
            ),
            option("-hdr STRING", "Client: a further field of the request. May be repeated."),
        ),
        words_min=1,
        words_max=1,
        spec=Context.WS,
        example=EXAMPLE,
    ),
)
