"""An application behind Holdfast that is a URL, as a WSGI application without a framework.

HOLDFAST_SECRET=... python wsgi_app.py 8000
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from events import answer


def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    status, answered = answer(environ.get("HTTP_HOLDFAST_SIGNATURE", ""), body)
    fields = [("Content-Type", "application/json"), ("Content-Length", str(len(answered)))]
    start(f"{status} {HTTPStatus(status).phrase}", fields)
    return [answered]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None: ...


def serve(app: Any) -> None:
    """Serve a WSGI application at the port that the command names."""
    with make_server("127.0.0.1", int(sys.argv[1]), app, handler_class=Quiet) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    serve(application)
