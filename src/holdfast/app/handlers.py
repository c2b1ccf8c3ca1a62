"""The handlers of an application."""

from __future__ import annotations

from inspect import signature

from holdfast.app.login_handlers import LoginHandlers
from holdfast.app.registered import F


class Handlers(LoginHandlers):
    """The decorators for the handlers of an application.

    A handler that gets a session is a coroutine function (`async def`): a plain function could
    send nothing, because it cannot wait. The others may be plain functions, too. Handlers of one
    session run one after the other, in order; those of different sessions run concurrently.

    Each decorator raises `TypeError` for what cannot be such a handler, and `ValueError` for a
    second one.
    """

    def __init__(self) -> None:
        super().__init__()
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
        """`(session)`: the user asks to stop the running command."""
        return self._set("interrupt", handler)

    def on_resize(self, handler: F) -> F:
        """`(session, width, height)`: the screen has another size, in characters."""
        return self._set("resize", handler)

    def on_capabilities(self, handler: F) -> F:
        """`(session)`: `session.capabilities` is another value."""
        return self._set("capabilities", handler)

    def on_detach(self, handler: F) -> F:
        """`(session, reason)`: the client has disconnected, and may resume."""
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
        """`(session)`: another instance holds the session now. Later calls of this instance for
        it are refused; if the session returns, `on_adopt` is called."""
        return self._set("move", handler)

    def on_start(self, handler: F) -> F:
        """`()`: the application is about to link for the first time."""
        return self._set("start", handler)

    def on_stop(self, handler: F) -> F:
        """`()`: the application is about to end."""
        return self._set("stop", handler)

    def on_error(self, handler: F) -> F:
        """`(session, error)`: a handler has raised `error`, which was logged. `session` is `None`
        if the handler gets no session. The next handler runs all the same.

        A `RefusedError` is not of a handler: the gateway does not carry out calls of this
        application. Its `outputs` are shown to nobody; `session` is `None` if they were not for one
        session of this instance."""
        return self._set("error", handler)

    def on_remember(self, handler: F) -> F:
        """`(sids) -> dict[str, int]`: by `sid`, the newest `session.cseq` whose effect is
        stored.

        It is called before this instance gets the sessions `sids`, which another run held; it
        may return more. A handler without a parameter returns all that it knows. An application
        that stores the number with the effect, in one transaction, and returns it here, applies
        each command once, however it ends. With several instances, that transaction does
        nothing if a number as high is stored already: another instance may have run the command
        while this one was stopped. While the handler raises, this instance gets no such
        session.

        A command that is reported here is not repeated, even if the run that applied it died
        before its answer. An application that must answer every command has no `on_remember`:
        it stores the answer with the effect, and when the command is repeated, sends the stored
        answer and changes nothing.
        """
        self._set("remember", handler)
        self._takes_sids = bool(signature(handler).parameters)
        return handler

    async def remembered(self, sids: list[str]) -> dict[str, int]:
        """Return the result of `on_remember` for these sessions."""
        args = [sids] if self._takes_sids else []
        found = await self.call("remember", *args) or {}
        return {sid: found[sid] for sid in sids if sid in found}
