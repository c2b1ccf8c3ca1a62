"""Commands that only one side of a connection can give, and only before it speaks HTTP/2."""

from __future__ import annotations

from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.language.command import Args
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.run.scope import Scope


def only_client(scope: Scope[HttpConnection], args: Args) -> None:
    """Raise `Failure` unless this is a client that speaks HTTP/1."""
    _only_http1(scope, args)
    if not scope.subject.is_client:
        raise Failure(f'"{args.name}" only possible in client', args.name.position())


def only_server(scope: Scope[HttpConnection], args: Args) -> None:
    """Raise `Failure` unless this is a server that speaks HTTP/1."""
    _only_http1(scope, args)
    if scope.subject.is_client:
        raise Failure(f'"{args.name}" only possible in server', args.name.position())


def _only_http1(scope: Scope[HttpConnection], args: Args) -> None:
    if scope.subject.h2:
        raise Failure(f'"{args.name}" only possible before H/2 upgrade', args.name.position())
