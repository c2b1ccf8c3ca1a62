"""What the project offers to programs, and that each part of it says what it is."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from pkgutil import walk_packages
from typing import Final

import pytest

import holdfast
from holdfast.net.connection.handler import Handler

EXPORTS: Final = {
    "holdfast": ["__version__"],
    "holdfast.app": [
        "LATEST",
        "MUST",
        "VOLATILE",
        "App",
        "AuthResult",
        "Authenticate",
        "Binary",
        "Capabilities",
        "ClientFacts",
        "Data",
        "Formatted",
        "MemberCount",
        "Notice",
        "Output",
        "ProfileSummary",
        "Prompt",
        "PublishRefusedError",
        "Published",
        "Refusal",
        "RefusedError",
        "Session",
        "Span",
        "Text",
        "UnknownSessionError",
        "UnsendableError",
    ],
    "holdfast.client": [
        "Auth",
        "Began",
        "Binary",
        "Bye",
        "Client",
        "ClientCore",
        "ClientEvent",
        "Code",
        "Data",
        "Dropped",
        "Ended",
        "Formatted",
        "InputMode",
        "Login",
        "Notice",
        "Offer",
        "Offline",
        "Online",
        "Profiles",
        "Prompt",
        "Refused",
        "ServerFaultError",
        "State",
        "Text",
        "Uncertain",
        "connect",
    ],
    "holdfast.publish": [
        "AsyncClient",
        "Client",
        "Group",
        "PublishError",
        "Published",
        "RefusedError",
        "SessionFound",
        "UnavailableError",
        "Unknown",
        "UnknownSessionError",
        "publication",
    ],
    "holdfast.protocols.telnet": [
        "Capabilities",
        "CapabilitiesChanged",
        "CharsetHeard",
        "Event",
        "Fault",
        "Gmcp",
        "InputHidden",
        "Interrupt",
        "LineTooLong",
        "LinemodeChanged",
        "Msdp",
        "Mssp",
        "Mtts",
        "OptionChanged",
        "OutputAborted",
        "ProbeAnswered",
        "Prompt",
        "Settled",
        "TelnetClient",
        "TelnetServer",
        "Terminal",
        "Violation",
        "WindowSize",
    ],
    "holdfast.protocols.websocket": [
        "ABNORMAL",
        "CLIENT_DEFAULTS",
        "COMPILED",
        "NO_STATUS",
        "UNCOPIED_BYTES_MIN",
        "Broadcast",
        "ClientConnection",
        "Close",
        "CloseCode",
        "ConnectionSnapshot",
        "Deflate",
        "DeflateSettings",
        "Event",
        "HandshakeError",
        "Headers",
        "NotBetweenMessagesError",
        "Offer",
        "Opcode",
        "Ping",
        "PlainRequest",
        "Pong",
        "Request",
        "Response",
        "ServerConnection",
        "State",
        "Violation",
        "choose_subprotocol",
        "close_payload",
        "origin_is_allowed",
    ],
    "holdfast.tcp": [
        "Address",
        "AddressInUseError",
        "BindOptions",
        "Certificate",
        "Chunked",
        "Clockwork",
        "ConfigurationError",
        "Connection",
        "ConnectionLimits",
        "Delimited",
        "DialError",
        "Fixed",
        "FrameError",
        "FrameTooLargeError",
        "Framing",
        "Handler",
        "HandshakeError",
        "HoldfastError",
        "IdleTimeoutError",
        "InvalidAddressError",
        "InvalidHandlerError",
        "LengthPrefixed",
        "LimitExceededError",
        "ListenOptions",
        "Netstring",
        "NoUpstreamError",
        "Observer",
        "Phase",
        "ProxyOptions",
        "Server",
        "ServerClosedError",
        "ServerState",
        "ServerTls",
        "Stream",
        "StreamClosedError",
        "TlsInfo",
        "TlsOptions",
        "Upstream",
        "UpstreamLimits",
        "VarintPrefixed",
        "dial",
        "metrics",
        "parse_address",
        "run",
        "run_workers",
        "serve",
        "serve_forever",
        "serve_until_stopped",
    ],
    "holdfast.telnet": [
        "Capabilities",
        "CapabilitiesChanged",
        "CharsetHeard",
        "ClientTelnet",
        "DialError",
        "Event",
        "Gmcp",
        "InputHidden",
        "Interrupt",
        "LineTooLong",
        "LinemodeChanged",
        "Msdp",
        "Mssp",
        "Mtts",
        "OptionChanged",
        "OutputAborted",
        "ProbeAnswered",
        "Prompt",
        "Server",
        "ServerTelnet",
        "Settled",
        "Side",
        "StartTlsRefusedError",
        "Telnet",
        "TelnetClosed",
        "Terminal",
        "Violation",
        "WindowSize",
        "codes",
        "connect",
        "escape",
        "secure_line",
        "serve",
    ],
    "holdfast.websocket": [
        "ClientWebSocket",
        "Close",
        "CloseCode",
        "ConnectionClosed",
        "ConnectionClosedError",
        "ConnectionClosedOK",
        "DeflateSettings",
        "DialError",
        "HandshakeError",
        "Headers",
        "Refusal",
        "Request",
        "Response",
        "Server",
        "ServerWebSocket",
        "State",
        "WebSocket",
        "broadcast",
        "connect",
        "serve",
    ],
}
"""Every package that has a list of public names, and the list."""

MODULES: Final = [
    "holdfast",
    *(
        found.name
        for found in walk_packages(holdfast.__path__, "holdfast.")
        if not found.name.endswith("__main__")  # which is a program, and would run
    ),
]


def test_the_public_names() -> None:
    found = {
        name: module.__all__
        for name in MODULES
        if hasattr(module := import_module(name), "__path__") and hasattr(module, "__all__")
    }
    assert found == EXPORTS


@pytest.mark.parametrize("name", EXPORTS)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    module = import_module(name)
    offered = {public: getattr(module, public) for public in EXPORTS[name]}
    assert [public for public, value in offered.items() if not says_what_it_is(value)] == []


def says_what_it_is(value: object) -> bool:
    """Whether a class or function has a docstring of its own; constants and unions cannot."""
    if isinstance(value, type):
        return bool(vars(value).get("__doc__"))
    return not inspect.isfunction(value) or bool(value.__doc__)


@pytest.mark.parametrize("name", EXPORTS)
def test_so_does_every_public_method(name: str) -> None:
    module = import_module(name)
    missing = [
        f"{public}.{method}"
        for public in EXPORTS[name]
        if isinstance(owner := getattr(module, public), type)
        for method, value in vars(owner).items()
        if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
        # What a connection calls is told where `Handler` is.
        if not inspect.getdoc(value) and method not in vars(Handler)
    ]
    assert missing == []


def test_every_module_says_what_it_is() -> None:
    assert [name for name in MODULES if not import_module(name).__doc__] == []


HEAVY: Final = ("aiohttp", "cython", "hpack", "sqlite3", "typer")
"""What costs memory and time to import, and most programs do not need."""

LIGHT: Final = {
    "holdfast": (*HEAVY, "rich", "asyncio", "msgspec", "structlog", "uvloop"),
    "holdfast.app": HEAVY,
    "holdfast.client": HEAVY,
    "holdfast.publish": (*HEAVY, "structlog", "uvloop"),
    "holdfast.protocols.telnet": (*HEAVY, "asyncio", "ssl", "structlog", "uvloop"),
    "holdfast.protocols.websocket": (*HEAVY, "asyncio", "ssl", "structlog", "uvloop"),
}


@pytest.mark.parametrize(("name", "unwanted"), LIGHT.items(), ids=LIGHT)
def test_importing_it_does_not_import_what_it_does_not_need(
    name: str, unwanted: tuple[str, ...]
) -> None:
    program = f"import sys, {name}; print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert sorted(set(unwanted) & set(answer.stdout.split())) == []
