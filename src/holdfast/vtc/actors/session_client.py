"""A session by name: a client of a gateway that resumes."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

from holdfast.client import ClientCore
from holdfast.protocols import holdfast_v1 as v1
from holdfast.protocols.websocket import Offer
from holdfast.vtc.actors.client import Client
from holdfast.vtc.dialogue.conversation import to_script
from holdfast.vtc.dialogue.session_connection import ENTERED, SessionConnection
from holdfast.vtc.dialogue.websocket import client_core
from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.interpreter import play
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope

_MACROS = ("sid", "token", "epoch")


class SessionClient(Client):
    """A session by name. Each run is one more connection of it."""

    kind: ClassVar[str] = "session"

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.target = "/"
        self.core = ClientCore(client="vtc")

    def be(self, other: SessionClient) -> None:
        """Go on from where another client of the same session is."""
        self.core = deepcopy(other.core)

    def take_code(self, code: str) -> None:
        """Take over the session of this code at the next connection."""
        self.core.resume(code)

    async def play(self, connection: HttpConnection, spec: Token) -> None:
        host = connection.peer.joined if connection.peer.path is None else "localhost"
        offer = Offer(host, self.target, (v1.SUBPROTOCOL,))
        conversation = SessionConnection(connection, client_core(offer), self.core, self._note)
        scope: Scope[SessionConnection] = Scope(self.case, Context.SESSION, conversation, self.log)
        await conversation.open(scope)
        self.core.connected()
        await conversation.flush(scope)
        await play(scope, spec)

    def _note(self, kind: str, fields: dict[str, Any]) -> None:
        """Keep what others may want to know."""
        if kind in ENTERED:
            for macro in _MACROS:
                self.case.define(self.log, f"{self.name}_{macro}", to_script(fields[macro]))
        elif kind in ("code", "token"):
            self.case.define(self.log, f"{self.name}_{kind}", to_script(fields["d"]))
