"""How a connection comes to speak HTTP/2."""

from __future__ import annotations

import base64
import binascii
import struct

from holdfast.vtc.h2.connection import Http2Connection
from holdfast.vtc.h2.frames import Setting, setting_name
from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.language.command import Args
from holdfast.vtc.language.interpreter import interpret
from holdfast.vtc.language.source import Token, TokenBuilder
from holdfast.vtc.run.scope import Scope

_SETTINGS = """stream 0 {
    txsettings
    rxsettings
    txsettings -ack
    rxsettings
    expect settings.ack == true
}"""


def start(scope: Scope[HttpConnection]) -> None:
    """Speak HTTP/2 from here on."""
    http = scope.subject
    sock = http.open_socket(scope)
    http.h2 = Http2Connection(scope.case, http, sock, scope.log)
    http.h2.start(scope.position)


def _commands(args: Args, text: str) -> Token:
    """Parse commands that a command runs implicitly: a failure in them is shown at that command."""
    builder = TokenBuilder(args.name.source)
    builder.replaced(text, args.name.offset())
    return builder.build(args.name.offset())


async def exchange_settings(scope: Scope[HttpConnection], args: Args) -> None:
    """Send the preface and exchange settings. Raises `Failure`."""
    scope.log.line(4, "Not in H/2 mode, do what's needed")
    preface = "txpri" if scope.subject.is_client else "rxpri"
    await interpret(scope, _commands(args, f"{preface}\n{_SETTINGS} -run\n"))


async def finish_client_upgrade(scope: Scope[HttpConnection], args: Args, settings: str) -> None:
    """Complete an upgrade after its request. Raises `Failure`."""
    answer = "rxresp\nexpect resp.status == 101\nexpect resp.http.connection == Upgrade\n"
    await interpret(scope, _commands(args, f"{answer}expect resp.http.upgrade == h2c\ntxpri\n"))
    _apply_settings(scope, settings)
    await interpret(scope, _commands(args, f"{_SETTINGS} -start\n"))


async def accept_upgrade(scope: Scope[HttpConnection], args: Args, settings: str) -> None:
    """Answer a request to upgrade. Raises `Failure`."""
    fields = '-hdr "Connection: Upgrade" -hdr "Upgrade: h2c"'
    commands = f"txresp -status 101 {fields}\nrxpri\n{_SETTINGS} -start\n"
    await interpret(scope, _commands(args, commands))
    _apply_settings(scope, settings)


def _apply_settings(scope: Scope[HttpConnection], text: str) -> None:
    """The settings of the field `HTTP2-Settings` (RFC 7540 section 3.2.1)."""
    http2 = scope.subject.h2
    assert http2 is not None
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        pairs = list(struct.iter_unpack("!HI", data))
    except (binascii.Error, ValueError, struct.error):
        raise scope.failure('Bad "HTTP2-Settings" header') from None
    for number, value in pairs:
        if number == Setting.NO_RFC7540_PRIORITIES:
            http2.priorities_ignored = bool(value)
        elif number == Setting.HEADER_TABLE_SIZE and scope.subject.is_client:
            http2.decoding.resize(value)
        elif number == Setting.HEADER_TABLE_SIZE:
            http2.encoding.resize(value)
        scope.log.line(4, f"Upgrade: {setting_name(number)} ({number}): {value}")
