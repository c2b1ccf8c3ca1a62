"""Which event of a session calls which handler."""

from __future__ import annotations

from typing import Any, Final, Protocol

from holdfast.app.session import Session
from holdfast.core.items import Binary, Data, Interrupt, Resized, Text, value_in
from holdfast.link import messages as m
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.app")


class HandlerCaller(Protocol):
    """The application, as far as an event needs it."""

    async def call(self, name: str, *args: Any) -> Any:
        """Call the handler `on_NAME`, if there is one."""


async def handle(  # noqa: C901 - a case for each event
    handlers: HandlerCaller, session: Session, event: m.Event
) -> None:
    """Call the handler of an event, after the session has learned what the event says."""
    match event:
        case Text(text):
            await handlers.call("text", session, text)
        case Binary(data):
            await handlers.call("binary", session, data)
        case Data(package, json):
            try:
                value = value_in(json)
            except ValueError as error:  # a number of 5,000 digits
                _log.info(
                    "data of a client cannot be decoded",
                    session=session.sid,
                    package=package,
                    fault=str(error),
                )
                return
            await handlers.call("data", session, package, value)
        case Interrupt():
            await handlers.call("interrupt", session)
        case m.Opened(info):
            session.learn(info)  # its user may have chosen again, and chosen another profile
            await handlers.call("open", session)
        case m.Adopted():
            await handlers.call("adopt", session)
        case Resized(width, height):
            await handlers.call("resize", session, width, height)
        case m.CapabilitiesChanged(capabilities):
            session.capabilities = capabilities
            await handlers.call("capabilities", session)
        case m.Detached(reason):
            session.attached = False
            await handlers.call("detach", session, reason)
        case m.Resumed(protocol, address, client):
            session.returned(protocol, address, client)
            await handlers.call("resume", session)
        case m.Resync(reason, protocol, address, client):
            session.returned(protocol or session.protocol, address or session.address, client)
            await handlers.call("resync", session, reason)
        case m.Closed(reason):
            await handlers.call("close", session, reason)
        case m.Moved():
            await handlers.call("move", session)
