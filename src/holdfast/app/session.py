"""A session as an application sees it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.core.items import (
    LATEST,
    LATEST_PROMPT,
    MUST,
    VOLATILE,
    Binary,
    Data,
    Formatted,
    Notice,
    Output,
    Prompt,
    Span,
    Text,
)
from holdfast.link import messages as m
from holdfast.sessions.records import Capabilities

if TYPE_CHECKING:
    from holdfast.app.app import App


class Session:
    """One user's session. It outlives connections, and this application.

    The methods that say something wait only while the gateway's window is used
    up; what they say is delivered once and in order, whatever breaks between.
    """

    __slots__ = (
        "_app",
        "address",
        "applied",
        "attached",
        "capabilities",
        "cseq",
        "mailbox",
        "profile",
        "properties",
        "protocol",
        "received",
        "sid",
        "stored",
        "user",
    )

    def __init__(self, app: App, info: m.SessionInfo) -> None:
        self._app = app
        self.sid = info.sid
        self.stored: Any = None
        """What `store` was given last: plain values that MessagePack can hold."""
        self.cseq = 0
        """The number of the command being handled: kept with its effect, it makes the effect
        happen once even if this process dies (see `App.on_remember`)."""
        self.received = 0
        """The newest command that came in on this link."""
        self.applied = 0
        """The newest command that was handled."""
        self.mailbox: deque[m.SessionEvent] | None = None
        """Events that wait for their handler; `None` while no handler runs."""
        self.learn(info)

    def learn(self, info: m.SessionInfo) -> None:
        """Take over what the gateway knows of it."""
        self.user = info.user
        self.profile = info.profile
        self.properties = info.properties
        self.capabilities: Capabilities = info.capabilities
        self.address = info.address
        self.protocol = info.protocol
        self.attached = not info.state.startswith("detached")
        """Whether a client is connected now."""
        self.applied = max(self.applied, info.applied)
        if info.data:
            self.stored = msgspec.msgpack.decode(info.data)

    def __repr__(self) -> str:
        return f"<Session {self.sid} {self.user or 'anonymous'} {self.protocol}>"

    # --- saying something

    async def text(self, text: str, *, latest: str = "") -> None:
        """Whole lines of text, without the last one's end.

        With `latest`, a newer text of the same key replaces an unseen older one.
        """
        await self._say(Text(text), LATEST + latest if latest else MUST)

    async def formatted(self, text: str, spans: Sequence[Span]) -> None:
        """Text with styled spans (`Span(start, length, "bold red")`)."""
        await self._say(Formatted(text, tuple(spans)), MUST)

    async def data(
        self, package: str, value: Any, *, latest: bool = False, volatile: bool = False
    ) -> None:
        """A structured message beside the text. `value` is anything that JSON can hold."""
        delivery = VOLATILE if volatile else LATEST + package if latest else MUST
        await self._say(Data(package, msgspec.json.encode(value).decode()), delivery)

    async def prompt(self, text: str) -> None:
        """What stands before the person's cursor."""
        await self._say(Prompt(text), LATEST_PROMPT)

    async def binary(self, data: bytes) -> None:
        """Bytes as they are."""
        await self._say(Binary(data), MUST)

    async def notice(self, text: str) -> None:
        """A line set apart from the application's text."""
        await self._say(Notice(text), MUST)

    async def broadcast(self, group: str, text: str, *, but_me: bool = False) -> None:
        """Say `text` to every session in `group`."""
        await self._app.broadcast(group, text, but=self if but_me else None)

    # --- changing it

    async def join(self, group: str) -> None:
        """Be in `group` from now on."""
        await self._app.call_gateway(m.JOIN, lambda bseq: m.Membership(group, bseq, [self.sid]))

    async def leave(self, group: str) -> None:
        """Be in `group` no longer."""
        await self._app.call_gateway(m.LEAVE, lambda bseq: m.Membership(group, bseq, [self.sid]))

    async def identify(self, user: str) -> None:
        """The user is known to be `user`: a detached session of the same user is offered."""
        self.user = user
        await self._app.call_gateway(m.UPDATE, lambda bseq: m.Update(self.sid, bseq, user=user))

    async def store(self, value: Any) -> None:
        """Keep a small value in the session: it is there after a restart (`stored`)."""
        data = msgspec.msgpack.encode(value)
        self.stored = value
        await self._app.call_gateway(
            m.UPDATE, lambda bseq: m.Update(self.sid, bseq, data=data), len(data)
        )

    async def input_mode(self, mode: str) -> None:
        """How typing is taken: `line`, `key`, or `secret`, which is not shown."""
        await self._app.call_gateway(m.INPUT_MODE, lambda bseq: m.InputMode(self.sid, bseq, mode))

    async def choose_again(self) -> None:
        """Send the user back to the choice of a profile."""
        await self._app.call_gateway(
            m.UPDATE, lambda bseq: m.Update(self.sid, bseq, selected=False)
        )

    async def close(self, reason: str = "kicked") -> None:
        """End the session for good. Raises `RequestError` for a reason that does not exist."""
        await self._app.request(m.CLOSE, m.Close(self.sid, reason), bool)

    async def _say(self, item: Output, delivery: str) -> None:
        await self._app.say(self.sid, delivery, item)
