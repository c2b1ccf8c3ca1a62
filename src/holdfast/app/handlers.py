"""An application's handlers, and which event calls which."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, signature
from typing import Any, TypeVar

import msgspec

from holdfast.app.session import Session
from holdfast.core.items import Binary, Data, Interrupt, Resized, Text
from holdfast.link import messages as m

F = TypeVar("F", bound=Callable[..., Any])


class Handlers:
    """The decorators with which an application says what it does.

    A handler may be a plain function or a coroutine function. Those of one
    session run one after the other, in order; those of different sessions side
    by side.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, Callable[..., Any]] = {}
        self._takes_sids = False
        """Whether `on_remember` wants to know of which sessions it is asked."""

    def on_open(self, handler: F) -> F:
        """`(session)`: a new session."""
        return self._set("open", handler)

    def on_adopt(self, handler: F) -> F:
        """`(session)`: a session from before this run, or from another instance."""
        return self._set("adopt", handler)

    def on_text(self, handler: F) -> F:
        """`(session, text)`: a line."""
        return self._set("text", handler)

    def on_binary(self, handler: F) -> F:
        """`(session, data)`: bytes."""
        return self._set("binary", handler)

    def on_data(self, handler: F) -> F:
        """`(session, package, value)`: a structured message, parsed."""
        return self._set("data", handler)

    def on_interrupt(self, handler: F) -> F:
        """`(session)`: the person wants what is running to stop."""
        return self._set("interrupt", handler)

    def on_resize(self, handler: F) -> F:
        """`(session, width, height)`: the screen has another size, in characters."""
        return self._set("resize", handler)

    def on_capabilities(self, handler: F) -> F:
        """`(session)`: `session.capabilities` is another value."""
        return self._set("capabilities", handler)

    def on_detach(self, handler: F) -> F:
        """`(session, reason)`: the client is gone, and may come back."""
        return self._set("detach", handler)

    def on_resume(self, handler: F) -> F:
        """`(session)`: the client is back and has missed nothing."""
        return self._set("resume", handler)

    def on_resync(self, handler: F) -> F:
        """`(session, reason)`: the client is back and may have missed output: show it where
        it stands."""
        return self._set("resync", handler)

    def on_close(self, handler: F) -> F:
        """`(session, reason)`: the session has ended."""
        return self._set("close", handler)

    def on_move(self, handler: F) -> F:
        """`(session)`: the session has moved to another instance, which speaks for it now. What
        this one still says for it is refused; if it comes back, `on_adopt` is called."""
        return self._set("move", handler)

    def on_start(self, handler: F) -> F:
        """`()`: the application is about to link for the first time."""
        return self._set("start", handler)

    def on_stop(self, handler: F) -> F:
        """`()`: the application is about to end."""
        return self._set("stop", handler)

    def on_authenticate(self, handler: F) -> F:
        """`(claim: Authenticate) -> str | AuthResult`: who a person is; raises `Refusal`.

        With this handler, no session reaches the application before its login.
        """
        return self._set("authenticate", handler)

    def on_profiles(self, handler: F) -> F:
        """`(sid) -> list[ProfileSummary]`: what the session's user may choose from."""
        return self._set("profiles", handler)

    def on_create_profile(self, handler: F) -> F:
        """`(sid, name) -> ProfileSummary`: a new one; raises `Refusal`."""
        return self._set("create_profile", handler)

    def on_select_profile(self, handler: F) -> F:
        """`(sid, id) -> ProfileSummary`: the chosen one; raises `Refusal`."""
        return self._set("select_profile", handler)

    def on_remember(self, handler: F) -> F:
        """`(sids) -> dict[str, int]`: by `sid`, the newest `session.cseq` whose effect was kept.

        It is asked before sessions are given to this instance that another run held, and
        `sids` are those; it may say more. A handler without a parameter says all that it knows.
        An application that keeps the number with the effect, in one transaction, and reports
        it here, applies each command once, however it dies. Where there are several instances,
        that transaction does nothing if a number as high is kept already: another instance may
        have done the command while this one stood still. While the handler raises, no such
        session is given to this instance.

        A command that is reported here does not come again, also if the run that did it died
        before it could answer. An application that must answer every command has no
        `on_remember`: it keeps the answer with the effect, and when the command comes again,
        says the kept answer and changes nothing.
        """
        self._takes_sids = bool(signature(handler).parameters)
        return self._set("remember", handler)

    def has(self, name: str) -> bool:
        """Whether there is a handler `on_NAME`."""
        return name in self._by_name

    async def remembered(self, sids: list[str]) -> dict[str, int]:
        """What `on_remember` says of these sessions."""
        args = [sids] if self._takes_sids else []
        found = await self.call("remember", *args) or {}
        return {sid: found[sid] for sid in sids if sid in found}

    async def call(self, name: str, *args: Any) -> Any:
        """Call the handler `on_NAME`, if there is one."""
        handler = self._by_name.get(name)
        if handler is None:
            return None
        result = handler(*args)
        return await result if isawaitable(result) else result

    def _set(self, name: str, handler: F) -> F:
        if name in self._by_name:
            raise ValueError(f"on_{name}: there is a handler already")
        self._by_name[name] = handler
        return handler

    async def handle(self, session: Session, event: m.Event) -> None:  # noqa: C901 - a case an event
        """Call what an event asks for."""
        match event:
            case Text(text):
                await self.call("text", session, text)
            case Binary(data):
                await self.call("binary", session, data)
            case Data(package, json):
                await self.call("data", session, package, msgspec.json.decode(json))
            case Interrupt():
                await self.call("interrupt", session)
            case m.Opened(info):
                session.learn(info)  # its user may have chosen again, and chosen another profile
                await self.call("open", session)
            case m.Adopted():
                await self.call("adopt", session)
            case Resized(width, height):
                await self.call("resize", session, width, height)
            case m.CapabilitiesChanged(capabilities):
                session.capabilities = capabilities
                await self.call("capabilities", session)
            case m.Detached(reason):
                session.attached = False
                await self.call("detach", session, reason)
            case m.Resumed(protocol, address):
                session.attached, session.protocol, session.address = True, protocol, address
                await self.call("resume", session)
            case m.Resync(reason):
                session.attached = True
                await self.call("resync", session, reason)
            case m.Closed(reason):
                await self.call("close", session, reason)
            case m.Moved():
                await self.call("move", session)
