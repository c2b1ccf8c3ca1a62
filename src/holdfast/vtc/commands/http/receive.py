"""`rxreq`, `rxresp` and their parts."""

from __future__ import annotations

from holdfast.vtc.http.connection import NonFatalError
from holdfast.vtc.http.guards import only_client, only_server
from holdfast.vtc.http.receive import HttpScope, receive_body, receive_chunk, receive_head
from holdfast.vtc.language.command import Args, Command, option
from holdfast.vtc.language.numbers import integer

_EXAMPLE = """\
vtest "a request, a response, and their parts"

server s1 {
    rxreqhdrs
    rxreqbody
    expect req.method == POST
    expect req.body == "question"
    txresp -body "answer"
    rxreq
    txresp -nolen -hdr "Transfer-Encoding: chunked"
    chunked "one"
    chunkedlen 0
} -start

client c1 -connect ${s1_sock} {
    txreq -req POST -body "question"
    rxresphdrs
    expect resp.status == 200
    rxrespbody -max 3
    expect resp.body == "ans"
    rxrespbody
    expect resp.body == "answer"
    txreq
    rxresp -no_obj
    rxchunk
    expect resp.chunklen == 3
    rxchunk
    expect resp.bodylen == 3
} -run
"""


def _bodylen(scope: HttpScope) -> None:
    scope.log.line(4, f"bodylen = {scope.subject.body_length}")


async def _rxreq(scope: HttpScope, args: Args) -> None:
    only_server(scope, args)
    list(args.walk())
    scope.subject.request = await receive_head(scope)
    await receive_body(scope, scope.subject.request, to_end=False)
    _bodylen(scope)


async def _rxreqhdrs(scope: HttpScope, args: Args) -> None:
    list(args.walk())
    scope.subject.request = await receive_head(scope)


async def _rxreqbody(scope: HttpScope, args: Args) -> None:
    only_server(scope, args)
    list(args.walk())
    await receive_body(scope, scope.subject.request, to_end=False)
    _bodylen(scope)


async def _rxresp(scope: HttpScope, args: Args) -> None:
    only_client(scope, args)
    head_only = any(given.flag == "-no_obj" for given in args.walk())
    connection = scope.subject
    connection.response = head = await receive_head(scope)
    if head_only or not head or connection.head_method:
        return
    await receive_body(scope, head, to_end=head[1] == "200")
    _bodylen(scope)


async def _rxresphdrs(scope: HttpScope, args: Args) -> None:
    only_client(scope, args)
    list(args.walk())
    scope.subject.response = await receive_head(scope)


async def _rxrespbody(scope: HttpScope, args: Args) -> None:
    only_client(scope, args)
    bytes_max = 0
    for given in args.walk():
        bytes_max = integer(given.values[0])
    await receive_body(scope, scope.subject.response, to_end=True, bytes_max=bytes_max)
    _bodylen(scope)


async def _rxchunk(scope: HttpScope, args: Args) -> None:
    only_client(scope, args)
    connection = scope.subject
    try:
        length = await receive_chunk(scope)
    except NonFatalError:
        return
    if length == 0:
        connection.body_length = str(len(connection.body or b""))
        _bodylen(scope)


COMMANDS = (
    Command(
        name="rxreq",
        run=_rxreq,
        usage="",
        text="Server: receive a request, head and body.",
        unknown="Unknown http rxreq spec: {}",
        example=_EXAMPLE,
    ),
    Command(
        name="rxreqhdrs",
        run=_rxreqhdrs,
        usage="",
        text="Receive the head of a request.",
        unknown="Unknown http rxreq spec: {}",
        example=_EXAMPLE,
    ),
    Command(
        name="rxreqbody",
        run=_rxreqbody,
        usage="",
        text="Server: receive the body of a request whose head was received.",
        unknown="Unknown http rxreq spec: {}",
        example=_EXAMPLE,
    ),
    Command(
        name="rxresp",
        run=_rxresp,
        usage="[-no_obj]",
        text="Client: receive a response, head and body. Without a length, only the body of a "
        "200 goes to the end of the stream; other responses have none then. There is no body "
        "after a HEAD request.",
        options=(option("-no_obj", "Receive the head only."),),
        unknown="Unknown http rxresp spec: {}",
        example=_EXAMPLE,
    ),
    Command(
        name="rxresphdrs",
        run=_rxresphdrs,
        usage="",
        text="Client: receive the head of a response.",
        unknown="Unknown http rxresp spec: {}",
        example=_EXAMPLE,
    ),
    Command(
        name="rxrespbody",
        run=_rxrespbody,
        usage="[-max NUMBER]",
        text="Client: receive the body of a response whose head was received, or its next part.",
        options=(option("-max NUMBER", "Receive about NUMBER bytes at most; 0 is no bound."),),
        unknown="Unknown http rxrespbody spec: {}",
        example=_EXAMPLE,
    ),
    Command(
        name="rxchunk",
        run=_rxchunk,
        usage="",
        text="Client: receive one chunk of a chunked body. `resp.chunklen` is its length.",
        example=_EXAMPLE,
    ),
)
