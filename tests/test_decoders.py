"""Each decoder and parser of what peers send works in linear time, or its input is short.

They are found by their names, so a new one has to join the table here.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import process_time
from typing import Any, Final

import pytest

from holdfast.core.ids import read_resume_code
from holdfast.gateway.auth.errors import CredentialError
from holdfast.gateway.auth.tokens import read_header
from holdfast.link.codec import FrameDecoder, LinkProtocolError
from holdfast.protocols.cookies import read_cookies
from holdfast.protocols.event_stream import read_position
from holdfast.protocols.forwarded import forwarded_client
from holdfast.protocols.telnet.options import msdp, mssp
from holdfast.protocols.uris import parse_origin
from holdfast.protocols.websocket.deflate import parse_extensions
from tests.gateway.adapters.test_linear_time import WORK as ADAPTERS
from tests.linear import check_linear
from tests.protocols.test_linear_time import WORK as PROTOCOLS

SOURCE: Final = Path(__file__).parents[1] / "src" / "holdfast"
PACKAGES: Final = ("core", "protocols", "net", "gateway/adapters", "gateway/auth", "link")
PIECE: Final = 128


def of(call: Callable[[Any], object], make: Callable[[int], Any]) -> Callable[[int], float]:
    """Seconds for one call with what is made, as long as a large head of a request."""

    def work(size: int) -> float:
        given = make(size // 8)
        begin = process_time()
        with contextlib.suppress(CredentialError, msdp.MalformedMsdp):
            call(given)
        return process_time() - begin

    return work


def link_frame(size: int) -> float:
    decoder = FrameDecoder(2 * size)
    wire = size.to_bytes(4, "big") + b"\x91" * size
    begin = process_time()
    with contextlib.suppress(LinkProtocolError):
        for at in range(0, len(wire), PIECE):
            decoder.receive_data(wire[at : at + PIECE])
    return process_time() - begin


def forwarded(value: str) -> object:
    return forwarded_client([value], "forwarded", lambda host: True)


HERE: Final[Mapping[str, Callable[[int], float]]] = {
    "cookies": of(lambda it: read_cookies([it], "a", 100), lambda size: "b; a=" * (size // 5)),
    "cookie-of-quotes": of(lambda it: read_cookies([it], "a", 9), lambda size: "a=" + '"' * size),
    "extensions": of(lambda it: parse_extensions([it]), lambda size: 'a; b="c", ' * (size // 10)),
    "extension-of-one": of(lambda it: parse_extensions([it]), lambda size: "a;" * (size // 2)),
    "forwarded": of(forwarded, lambda size: ';for="' * (size // 6)),
    "forwarded-of-spaces": of(forwarded, lambda size: ";for=" + " " * size + "x"),
    "forwarded-of-semicolons": of(forwarded, lambda size: "; " * (size // 2)),
    "forwarded-of-commas": of(forwarded, lambda size: ",for=a" * (size // 6)),
    "origin": of(parse_origin, lambda size: "http://" + "a." * (size // 2)),
    "origin-of-brackets": of(parse_origin, lambda size: "http://" + "[" * size),
    "resume-code": of(read_resume_code, lambda size: "2-" * (size // 2)),
    "position": of(read_position, lambda size: ":" * size),
    "digits": of(read_position, lambda size: "a:" + "9" * size),
    "json-web-token": of(
        lambda it: read_header(it, len(it), ["HS256"]), lambda size: "a" * (size - 4) + ".a.a"
    ),
    "json-web-token-of-dots": of(
        lambda it: read_header(it, len(it), ["HS256"]), lambda size: "a." * (size // 2)
    ),
    "msdp": of(lambda it: msdp.decode(it, 8), lambda size: b"\x01a\x02" + b"x" * size),
    "msdp-arrays": of(lambda it: msdp.decode(it, 8), lambda size: b"\x01a\x02" + b"\x05" * size),
    "mssp": of(mssp.decode, lambda size: b"\x01a\x02b" * (size // 4)),
    "mssp-of-one": of(mssp.decode, lambda size: b"\x01a" + b"\x02b" * (size // 2)),
    "link-frame": link_frame,
}

DECODERS: Final[Mapping[str, str | tuple[str, ...]]] = {
    "core/ids.py: read_resume_code": ("resume-code", "many-resumes"),
    "gateway/adapters/base.py: Adapter.receive_data": "the interface",
    "gateway/adapters/event_stream.py: EventStreamAdapter.receive_data": (
        "whole requests, whose size is limited; their messages are those of the dialects"
    ),
    "gateway/adapters/gmcp_package.py: read_ack": ("telnet-gmcp",),
    "gateway/adapters/lines.py: LineAdapter.receive_data": ("no-line-at-all", "empty-lines"),
    "gateway/adapters/telnet.py: TelnetAdapter.receive_data": ("telnet-line", "telnet-tokens"),
    "gateway/adapters/websocket.py: WebSocketAdapter.receive_data": ("websocket-message",),
    "gateway/auth/keys.py: read_jwks": "the issuer's, whose size is limited",
    "gateway/auth/keys.py: read_keys": "the issuer's, whose size is limited",
    "gateway/auth/tokens.py: read_header": ("json-web-token", "json-web-token-of-dots"),
    "link/codec.py: FrameDecoder.receive_data": ("link-frame",),
    "net/addresses.py: parse_address": "from the configuration",
    "protocols/cookies.py: read_cookies": ("cookies", "cookie-of-quotes"),
    "protocols/event_stream.py: read_position": ("position", "digits"),
    "protocols/forwarded.py: parse_node": (
        "forwarded", "forwarded-of-spaces", "forwarded-of-semicolons", "forwarded-of-commas",
    ),
    "protocols/frames.py: Framing.receive_data": "the interface",
    "protocols/frames.py: LengthPrefixed.receive_data": ("length",),
    "protocols/frames.py: _Buffered.receive_data": (
        "varint", "delimited", "fixed", "netstring", "chunked",
    ),
    "protocols/framing.py: LineDecoder.receive_data": ("line", "endless-line"),
    "protocols/http_requests.py: RequestReader.receive_data": (
        "request-head", "request-body", "request-chunks",
    ),
    "protocols/json_items.py: read_output": "from applications",
    "protocols/proxy.py: ProxyDecoder.receive_data": "a header of limited size",
    "protocols/telnet/connection.py: TelnetCore.receive_data": ("telnet-line", "telnet-tokens"),
    "protocols/telnet/options/gmcp.py: decode": ("telnet-gmcp",),
    "protocols/telnet/options/msdp.py: decode": ("msdp", "msdp-arrays"),
    "protocols/telnet/options/mssp.py: decode": ("mssp", "mssp-of-one"),
    "protocols/telnet/parser.py: Parser.parse": ("telnet-line", "telnet-tokens", "telnet-gmcp"),
    "protocols/telnet/start_tls.py: StartTls.receive_data": "at most `start_tls_bytes_max`",
    "protocols/term.py: read_input": "a number in front of a message",
    "protocols/uris.py: parse_origin": ("origin", "origin-of-brackets"),
    "protocols/webs.py: Decoder.receive_data": ("webs-message",),
    "protocols/websocket/deflate.py: parse_extensions": ("extensions", "extension-of-one"),
    "protocols/websocket/frames.py: Decoder.receive_data": ("websocket-message",),
    "protocols/websocket/head.py: parse_request": (
        "header-of-spaces", "header-of-commas", "many-headers",
    ),
    "protocols/websocket/head.py: parse_response": ("header-of-spaces", "many-headers"),
}  # fmt: skip
"""By decoder: what tries it, or why nothing has to."""


def decoders() -> Iterator[str]:
    """The functions and methods whose names say that they take what others have written."""
    for package in PACKAGES:
        for path in sorted((SOURCE / package).rglob("*.py")):
            place = path.relative_to(SOURCE)
            yield from (f"{place}: {name}" for name in found_in(ast.parse(path.read_text()), ""))


def found_in(node: ast.AST, within: str) -> Iterator[str]:
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.ClassDef):
            yield from found_in(each, f"{each.name}.")
        elif isinstance(each, ast.FunctionDef) and is_decoder(each.name) and takes(each):
            yield within + each.name


def is_decoder(name: str) -> bool:
    return name in ("receive_data", "parse", "decode") or name.startswith(("parse_", "read_"))


def takes(function: ast.FunctionDef) -> bool:
    return any(each.arg != "self" for each in function.args.args)


def test_every_decoder_is_in_the_table() -> None:
    assert set(decoders()) == DECODERS.keys()


def test_what_tries_them_is_there() -> None:
    named = {name for how in DECODERS.values() if isinstance(how, tuple) for name in how}
    assert named - HERE.keys() - ADAPTERS.keys() - PROTOCOLS.keys() == set()


@pytest.mark.parametrize("work", HERE.values(), ids=HERE)
def test_work_is_linear(work: Callable[[int], float]) -> None:
    check_linear(work)
