"""A session as an application sees it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from holdfast.app.node import Node
from holdfast.app.outgoing import Outgoing
from holdfast.core.errors import REASONS, LimitExceededError
from holdfast.core.identity import ClientFacts
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
from holdfast.core.validation import (
    UnsendableError,
    check_choice,
    check_data,
    check_text,
    to_json,
)
from holdfast.link import messages as m
from holdfast.link.codec import UNREADABLE
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.records import Capabilities

_log: Final = RateLimitedLogger("holdfast.app")


class Sender(Protocol):
    """The application, as far as a session needs it."""

    async def say_for(self, session: Session, delivery: str, item: Output) -> None: ...

    async def broadcast(self, group: str, text: str, *, but: Session | None = None) -> None: ...

    async def call_for(
        self, session: Session, method: str, make: Callable[[int], Any], size: int = 0
    ) -> None: ...


class Session:
    """A session of a user. It outlives connections, and this application.

    Methods that send or change something wait only while the gateway's window is full; their
    calls are delivered once and in order across broken links. A value that cannot be sent
    raises at the call, `TypeError` or `UnsendableError` (a `ValueError`), and has no effect.
    """

    __slots__ = (
        "_app",
        "address",
        "applied",
        "attached",
        "capabilities",
        "client",
        "cseq",
        "ended",
        "gen",
        "groups",
        "mailbox",
        "node",
        "outgoing",
        "output_number",
        "profile",
        "properties",
        "protocol",
        "received",
        "sid",
        "stored",
        "user",
    )

    user: str
    """Who it belongs to; empty before a login or `identify`."""
    profile: str
    """The id of the profile that the user has chosen, or empty."""
    properties: dict[str, str]
    """What the login has said of the user (`AuthResult.properties`)."""
    capabilities: Capabilities
    """What the client can show and do."""
    address: str
    """Where the newest client is connected from."""
    protocol: str
    """How the newest client is connected: `telnet`, `websocket`, `tcp` …"""
    client: ClientFacts
    """What is known of the client's connection: its request, its certificate."""
    attached: bool
    """Whether a client is connected now."""

    def __init__(self, app: Sender, info: m.SessionInfo, node: Node) -> None:
        self._app = app
        self.node = node
        """The node of the gateway that has it."""
        self.outgoing: Outgoing = node.outgoing
        """Where its outputs go: those of its node, as soon as all earlier ones are there."""
        self.sid = info.sid
        """Its public id."""
        self.gen = 0
        """How many nodes have had it, as the newest one has told."""
        self.groups: list[str] = []
        """The groups that it is in."""
        self.stored: Any = None
        """What `store` was given last: plain values that MessagePack can hold."""
        self.cseq = 0
        """The number of the command that is being handled. Stored with the command's effect, it
        makes the effect happen once even if this process dies (see `App.on_remember`)."""
        self.received = 0
        """The newest command that came on this link."""
        self.applied = 0
        """The newest command that was handled."""
        self.output_number = 0
        """The application's newest output when that command had been handled. Its answer, if it
        has one, is not newer."""
        self.ended = False
        """Whether it has ended or moved away, as far as was received."""
        self.mailbox: deque[m.SessionEvent] | None = None
        """Events that wait for their handler; `None` while no handler runs."""
        self.learn(info)

    def learn(self, info: m.SessionInfo) -> None:
        """Take the gateway's state of the session."""
        self.gen = max(self.gen, info.gen)
        self.user = info.user
        self.profile = info.profile
        self.properties = info.properties
        self.groups = info.groups
        self.capabilities = info.capabilities
        self.address = info.address
        self.protocol = info.protocol
        self.client = info.client
        self.attached = info.attached
        self.applied = max(self.applied, info.applied)
        if info.data:
            try:
                self.stored = msgspec.msgpack.decode(info.data)
            except UNREADABLE as error:
                _log.error("session data is not MessagePack", session=self.sid, fault=str(error))

    def returned(self, protocol: str, address: str, client: ClientFacts) -> None:
        """The client is back, on another connection."""
        self.attached = True
        self.protocol, self.address, self.client = protocol, address, client

    def __repr__(self) -> str:
        return f"<Session {self.sid} {self.user or 'anonymous'} {self.protocol}>"

    # --- sending

    async def text(self, text: str, *, latest: str = "") -> None:
        """Send whole lines of text, without the end of the last one.

        With `latest`, a newer text of the same key replaces an unseen older one. On terminals,
        control characters are shown and not sent, and a line that begins like the gateway's
        own lines (`***`) is preceded by a space.
        """
        await self._say(Text(text), f"{LATEST}{latest}" if latest else MUST)

    async def formatted(self, text: str, spans: Sequence[Span]) -> None:
        """Send text with styled spans (`Span(start, length, "bold red")`).

        A colour is a name or `#rrggbb`, `on-` before it makes it the background. A terminal with
        fewer colours shows the nearest it has.

        Control characters in a span of the style `raw` are sent to terminals unchanged: never
        put text of others there.

        A span of the style `send` is a command: on `/play/`, and at Telnet clients with MXP, who
        chooses its text sends it. Elsewhere it is text.
        """
        await self._say(Formatted(text, tuple(spans)), MUST)

    async def data(
        self, package: str, value: Any, *, latest: bool = False, volatile: bool = False
    ) -> None:
        """Send a structured message beside the text. `value` is anything that JSON can hold, with
        finite numbers and integers of 64 bits."""
        item = Data(package, to_json("data", value))
        await self._say(item, VOLATILE if volatile else f"{LATEST}{package}" if latest else MUST)

    async def prompt(self, text: str) -> None:
        """Set the text before the user's cursor."""
        await self._say(Prompt(text), LATEST_PROMPT)

    async def binary(self, data: bytes) -> None:
        """Send bytes."""
        await self._say(Binary(data), MUST)

    async def notice(self, text: str) -> None:
        """Send a line that is set apart from the application's text."""
        await self._say(Notice(text), MUST)

    async def broadcast(self, group: str, text: str, *, but_me: bool = False) -> None:
        """Send `text` to every session in `group`."""
        await self._app.broadcast(group, text, but=self if but_me else None)

    # --- changing

    async def join(self, group: str) -> None:
        """Join `group`. Raises `LimitExceededError` for one group too many."""
        bounds = self._bounds
        check_text("group", group, bounds.name_bytes_max)
        if group not in self.groups:
            if len(self.groups) >= bounds.groups_max:
                raise LimitExceededError(
                    f"group: the session is in {len(self.groups)} groups, which is the limit;"
                    f" it cannot join {group!r}"
                )
            self.groups.append(group)
        await self._app.call_for(self, m.JOIN, lambda bseq: m.Membership(group, bseq, [self.sid]))

    async def leave(self, group: str) -> None:
        """Leave `group`."""
        check_text("group", group, self._bounds.name_bytes_max)
        if group in self.groups:
            self.groups.remove(group)
        await self._app.call_for(self, m.LEAVE, lambda bseq: m.Membership(group, bseq, [self.sid]))

    async def identify(self, user: str) -> None:
        """Set the user: detached sessions of the same user are offered.

        The gateway trusts this call, and lets the client take over those sessions. Call it only
        for an authenticated user. Earlier credentials of this session (tokens, codes) become
        void.
        """
        check_text("user", user, self._bounds.name_bytes_max)
        self.user = user
        await self._app.call_for(self, m.UPDATE, lambda bseq: m.Update(self.sid, bseq, user=user))

    async def store(self, value: Any) -> None:
        """Keep a small value in the session: it is there after a restart (`stored`)."""
        try:
            data = msgspec.msgpack.encode(value)
        except (OverflowError, RecursionError) as error:
            raise UnsendableError(f"store: expected what MessagePack can hold: {error}") from error
        size = check_data("store", data, self._bounds.data_bytes_max)
        self.stored = value
        await self._app.call_for(
            self, m.UPDATE, lambda bseq: m.Update(self.sid, bseq, data=data), size
        )

    async def input_mode(self, mode: str) -> None:
        """Set how typed input is read: `line`, `key`, or `secret`, which is not shown."""
        check_choice("input_mode", mode, m.INPUT_MODES)
        await self._app.call_for(self, m.INPUT_MODE, lambda bseq: m.InputMode(self.sid, bseq, mode))

    async def choose_again(self) -> None:
        """Send the user back to the choice of a profile."""
        await self._app.call_for(
            self, m.UPDATE, lambda bseq: m.Update(self.sid, bseq, selected=False)
        )

    async def close(self, reason: str = "kicked") -> None:
        """End the session for good."""
        check_choice("reason", reason, REASONS)
        await self.node.request(m.CLOSE, m.Close(self.sid, reason), bool)

    async def forget_commands(self) -> None:
        """Drop the commands of this session that wait, here and in the gateway: they do not run.

        The command whose handler runs is not among them. Raises as `App.request` does.
        """
        newest = await self.node.request(m.FORGET, m.Forget(self.sid), int)
        self.received = max(self.received, newest)
        mailbox = self.mailbox
        if mailbox:  # what had been sent before the answer
            kept = [event for event in mailbox if not 0 < event.cseq <= newest]
            mailbox.clear()
            mailbox.extend(kept)

    @property
    def _bounds(self) -> m.Bounds:
        return self.outgoing.bounds

    async def _say(self, item: Output, delivery: str) -> None:
        await self._app.say_for(self, delivery, item)
