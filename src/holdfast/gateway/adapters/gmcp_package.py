"""GMCP's package `Holdfast`: a Telnet client that counts outputs and resumes by token.

    client → Holdfast.Hello  {} or {"token", "epoch", "last"}   before or after the welcome
             Holdfast.Ack    {"n"}
    server → Holdfast.Welcome {"sid", "token", "epoch", "seq"}
             Holdfast.Resumed {"sid", "token", "epoch", "from", "to"}
             Holdfast.Reset   {"sid", "token", "epoch", "reason", "top"}
             Holdfast.Next    {"n"}                             what comes after it begins with n
             Holdfast.Seq     {"n"}                             what came before it ends with n

A client that keeps what comes after `Next` until `Seq` follows shows nothing twice: without
its `Seq`, it comes again.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from holdfast.gateway.adapters.events import Ack, Enter, TokenWanted
from holdfast.gateway.adapters.notifications import Restart, Resumption, TokenIssued, Welcomed
from holdfast.gateway.adapters.snapshot import PackageSnapshot
from holdfast.sessions.position import ClientPosition

HELLO: Final = "holdfast.hello"
ACK: Final = "holdfast.ack"
"""The names of the client's messages, in lower case."""

Message = tuple[str, str]
"""A GMCP message: its name and its JSON."""


class _Hello(Struct, frozen=True):
    token: str = ""
    epoch: str = ""
    last: int = 0


class _Ack(Struct, frozen=True):
    n: int


class HoldfastPackage:
    """The package on one connection."""

    __slots__ = ("_token", "entry")

    def __init__(self) -> None:
        self.entry = Enter(or_new=True)
        """What the client has asked for before it was ready for a session."""
        self._token = ""
        """The token that the client has of this session."""

    def snapshot(self) -> PackageSnapshot:
        """What is known of the client."""
        return PackageSnapshot(self.entry, self._token)

    @classmethod
    def restore(cls, taken: PackageSnapshot) -> HoldfastPackage:
        """The package that `taken` was made of."""
        package = cls()
        package.entry, package._token = taken.entry, taken.token
        return package

    def hello(self, json: str, *, settled: bool) -> Enter | TokenWanted | None:
        """The event of a `Hello`, if the connection is `settled`; raises `msgspec.MsgspecError`."""
        hello = msgspec.json.decode(json or "{}", type=_Hello)
        position = ClientPosition(hello.epoch, hello.last) if hello.epoch else None
        entry = Enter(token=hello.token, position=position, or_new=True)
        if not settled:
            self.entry = entry
            return None
        if not hello.token or hello.token == self._token:
            return TokenWanted()  # a script that was loaded again
        return entry

    def welcome(self, new: Welcomed) -> Message:
        """The session is new."""
        return self.issue(TokenIssued(new.sid, new.token, new.epoch, 0))

    def issue(self, issued: TokenIssued) -> Message:
        """The client has a token of the session that it is in."""
        self._token = issued.token
        return _message(
            "Welcome", sid=issued.sid, token=issued.token, epoch=issued.epoch, seq=issued.seq
        )

    def resume(self, resumed: Resumption) -> Message:
        """The session is resumed where the client was."""
        self._token = resumed.token
        return _message(
            "Resumed",
            sid=resumed.sid,
            token=resumed.token,
            epoch=resumed.epoch,
            **{"from": resumed.first, "to": resumed.last},
        )

    def restart(self, restart: Restart) -> Message:
        """The session is resumed elsewhere than where the client was."""
        self._token = restart.token
        return _message(
            "Reset",
            sid=restart.sid,
            token=restart.token,
            epoch=restart.epoch,
            reason=restart.reason.value,
            top=restart.top,
        )

    def before(self, first: int) -> Message:
        """What precedes outputs from number `first` on."""
        return _message("Next", n=first)

    def behind(self, last: int) -> Message:
        """What follows outputs up to number `last`."""
        return _message("Seq", n=last)


def read_ack(json: str) -> Ack:
    """The event of an `Ack`; raises `msgspec.MsgspecError`."""
    return Ack(msgspec.json.decode(json, type=_Ack).n)


def _message(name: str, **fields: Any) -> Message:
    return f"Holdfast.{name}", msgspec.json.encode(fields).decode()
