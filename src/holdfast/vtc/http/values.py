"""The values that `expect` knows in a client's and a server's specification."""

from __future__ import annotations

from holdfast.vtc.http.body import c_string
from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.http.head import Head, find_field
from holdfast.vtc.language.source import ENCODING

_REQUEST_LINE = {"method": 0, "url": 1, "proto": 2}
_STATUS_LINE = {"proto": 0, "status": 1, "reason": 2}
_CONNECTION = ("h2.state", "remote.ip", "remote.port", "remote.path")
_TLS = ("tls.version", "tls.cipher", "tls.alpn", "tls.subject")

NAMES = (
    *(f"req.{word}" for word in _REQUEST_LINE),
    *(f"resp.{word}" for word in _STATUS_LINE),
    "req.http.NAME",
    "resp.http.NAME",
    "req.body",
    "resp.body",
    "req.bodylen",
    "resp.bodylen",
    "resp.chunklen",
    *_CONNECTION,
    *_TLS,
)


def resolve(connection: HttpConnection, word: str) -> str | None:
    """What `word` stands for; itself if it has no meaning; `None` if that is undefined."""
    if word.startswith("req."):
        return _message_value(connection, connection.request, _REQUEST_LINE, word)
    if word.startswith("resp."):
        if word == "resp.chunklen":
            return connection.chunk_length
        return _message_value(connection, connection.response, _STATUS_LINE, word)
    if word in _CONNECTION:
        return _connection_value(connection, word)
    if word in _TLS:
        return connection.sock.tls_value(word) if connection.sock else None
    return word


def _message_value(
    connection: HttpConnection, head: Head, first_line: dict[str, int], word: str
) -> str | None:
    name = word.partition(".")[2]
    if name in first_line:
        return head[first_line[name]] if head else None
    if name.startswith("http."):
        return find_field(head, name.removeprefix("http."))
    if name == "bodylen":
        return connection.body_length
    if name == "body" and connection.body is not None:
        return c_string(connection.body).decode(ENCODING)
    return word


def _connection_value(connection: HttpConnection, word: str) -> str | None:
    if word == "h2.state":
        return "true" if connection.h2 else "false"
    if word == "remote.path":
        return connection.peer.path
    return connection.peer.host if word == "remote.ip" else str(connection.peer.port)
