"""The opening handshake (RFC 6455 section 4), both roles, as pure functions.

The server half judges a request and writes the answer; the client half writes
a request and judges the answer.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from msgspec import Struct

from holdfast.core.errors import ProtocolError
from holdfast.protocols.uris import Origin, parse_origin
from holdfast.protocols.websocket import deflate
from holdfast.protocols.websocket.deflate import Agreement, Deflate
from holdfast.protocols.websocket.head import Headers, Request, Response, write_head

VERSION = "13"
SELF = "self"
"""Among allowed origins: the host that the request is for."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
"""16 bytes in base64."""

_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    421: "Misdirected Request",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class HandshakeError(ProtocolError):
    """The opening handshake cannot succeed.

    `status` is the HTTP status: the one to send for a server, the one received for a client (0
    if there was none).
    """

    def __init__(self, status: int, message: str, headers: Headers | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or Headers()


class Offer(Struct, frozen=True):
    """The request of a client: target, sub-protocols, further headers."""

    host: str
    target: str = "/"
    subprotocols: tuple[str, ...] = ()
    origin: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    deflate: Deflate | None = None


def is_upgrade(request: Request) -> bool:
    """Whether the request asks for a WebSocket, valid or not."""
    return request.headers.has_token("upgrade", "websocket")


def check_request(request: Request) -> None:
    """Judge an upgrade request by RFC 6455 section 4.2.1. Raises `HandshakeError`."""
    headers = request.headers
    if request.version != (1, 1):
        major, minor = request.version
        raise HandshakeError(505, f"a WebSocket needs HTTP/1.1, found HTTP/{major}.{minor}")
    if request.method != "GET":
        raise HandshakeError(
            405,
            f"a WebSocket is opened with GET, found {request.method}",
            Headers((("Allow", "GET"),)),
        )
    if set(headers.get_all("content-length")) - {"0"} or headers.get_all("transfer-encoding"):
        raise HandshakeError(400, "a WebSocket handshake has no body")
    _only(headers, "host")
    if not headers.has_token("connection", "upgrade"):
        raise HandshakeError(400, "the Connection header lacks 'Upgrade'")
    if headers.get_all("sec-websocket-version") != [VERSION]:
        raise HandshakeError(
            426,
            f"found WebSocket version {headers.get('sec-websocket-version')}, expected {VERSION}",
            Headers((("Sec-WebSocket-Version", VERSION),)),
        )
    if not _KEY.fullmatch(_only(headers, "sec-websocket-key")):
        raise HandshakeError(400, "Sec-WebSocket-Key must be 16 bytes in base64")


def _only(headers: Headers, name: str) -> str:
    values = headers.get_all(name)
    if len(values) != 1:
        raise HandshakeError(400, f"expected one {name} header, found {len(values)}")
    return values[0]


def accept_value(key: str) -> str:
    """Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def write_acceptance(
    request: Request, subprotocol: str | None, headers: Sequence[tuple[str, str]]
) -> bytes:
    """The answer that opens the WebSocket."""
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_value(request.headers.get("sec-websocket-key") or "")),
    ]
    if subprotocol is not None:
        fields.append(("Sec-WebSocket-Protocol", subprotocol))
    return write_head("HTTP/1.1 101 Switching Protocols", [*fields, *headers])


def write_refusal(status: int, message: str, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The answer that refuses it, with the reason as its body.

    Raises `ValueError` for a status that ends no request, or for a header with a line end.
    """
    if not 200 <= status <= 599:
        raise ValueError(f"status: expected 200 to 599, found {status!r}")
    body = message.encode() + b"\n"
    fields = [
        ("Connection", "close"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        *headers,
    ]
    return write_head(f"HTTP/1.1 {status} {_REASONS.get(status, 'Refused')}", fields) + body


def write_request(offer: Offer, nonce: bytes) -> bytes:
    """A client's request. `nonce` is 16 random bytes, new for every connection."""
    fields = [
        ("Host", offer.host),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", base64.b64encode(nonce).decode()),
        ("Sec-WebSocket-Version", VERSION),
    ]
    if offer.subprotocols:
        fields.append(("Sec-WebSocket-Protocol", ", ".join(offer.subprotocols)))
    if offer.deflate is not None:
        fields.append((deflate.EXTENSIONS, offer.deflate.offer()))
    if offer.origin is not None:
        fields.append(("Origin", offer.origin))
    return write_head(f"GET {offer.target} HTTP/1.1", [*fields, *offer.headers])


def check_response(
    response: Response, offer: Offer, nonce: bytes
) -> tuple[str | None, Agreement | None]:
    """Check the server's answer (section 4.1). Raises `HandshakeError`.

    Returns the sub-protocol and the agreed compression.
    """
    headers = response.headers
    if response.status != 101:
        raise HandshakeError(
            response.status, f"the server answered {response.status} {response.reason}", headers
        )
    if not headers.has_token("upgrade", "websocket"):
        raise HandshakeError(101, "the answer's Upgrade header is not 'websocket'")
    if not headers.has_token("connection", "upgrade"):
        raise HandshakeError(101, "the answer's Connection header lacks 'Upgrade'")
    expected = accept_value(base64.b64encode(nonce).decode())
    if headers.get_all("sec-websocket-accept") != [expected]:
        raise HandshakeError(101, "the answer's Sec-WebSocket-Accept is wrong")
    agreement = _check_extensions(headers, offer)
    if len(headers.get_all("sec-websocket-protocol")) > 1:  # section 11.3.4
        raise HandshakeError(101, "the answer's Sec-WebSocket-Protocol stands there twice")
    subprotocol = headers.get("sec-websocket-protocol")
    if subprotocol is not None and subprotocol not in offer.subprotocols:
        raise HandshakeError(101, f"the server chose {subprotocol!r}, which was not offered")
    return subprotocol, agreement


def _check_extensions(headers: Headers, offer: Offer) -> Agreement | None:
    """Return the server's choice for the one extension that may be offered."""
    chosen = deflate.parse_extensions(headers.get_all("sec-websocket-extensions"))
    if not chosen:
        return None
    if offer.deflate is None or [name for name, _ in chosen] != [deflate.NAME]:
        names = ", ".join(name for name, _ in chosen)
        raise HandshakeError(101, f"the server chose extensions that were not offered: {names}")
    parameters = chosen[0][1]
    try:
        if parameters is None:
            raise deflate.NegotiationError("a parameter stands twice")
        return offer.deflate.check_answer(parameters)
    except deflate.NegotiationError as error:
        raise HandshakeError(101, f"the server's {deflate.NAME}: {error}") from error


def choose_subprotocol(request: Request, spoken: Sequence[str]) -> str | None:
    """The first of the client's sub-protocols, in its order, that the server supports."""
    for offered in request.headers.tokens("sec-websocket-protocol"):
        if offered in spoken:
            return spoken[spoken.index(offered)]  # one string for all connections
    return None


def origin_is_allowed(
    request: Request, allowed: Sequence[str] = (), *, secure: bool = False
) -> bool:
    """Whether a page of this origin may connect (section 10.2).

    A client without an Origin is no browser. `allowed` has origins as in `https://example.org`,
    `self` for pages of the request's host, `null`, and `*` for any; an empty `allowed` means
    `self`. The pages of a `secure` server came over TLS, too.
    """
    allowed = allowed or (SELF,)
    text = request.headers.get("origin")
    if text is None or "*" in allowed:
        return True
    origin = parse_origin(text)
    if origin is None:
        return text in allowed
    if any(parse_origin(listed) == origin for listed in allowed):
        return True
    return SELF in allowed and _is_own(origin, request.host, secure=secure)


def _is_own(origin: Origin, host: str | None, *, secure: bool) -> bool:
    """Whether a page has the same origin as its request (RFC 6454 sections 4 and 5)."""
    if origin.scheme not in (("https",) if secure else ("http", "https")):
        return False
    # If a proxy terminates TLS, only the scheme of the origin tells the default port.
    own = parse_origin(f"{origin.scheme}://{host}")
    return own == origin
