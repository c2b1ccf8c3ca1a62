"""One Telnet connection, the same on the server and on the client. Hot path.

Lines are read with `readline` or `async for`; when the peer does not read, `send` waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from holdfast.core.errors import BusyError
from holdfast.net.connection.handler import Phase
from holdfast.net.tls.describe import TlsInfo
from holdfast.protocols.telnet.capabilities import Capabilities
from holdfast.protocols.telnet.events import Prompt
from holdfast.protocols.telnet.negotiation import Side
from holdfast.protocols.telnet.options.mxp import defused, secure_line
from holdfast.telnet.closed import TelnetClosed
from holdfast.telnet.lifecycle import Lifecycle

_BURST_CHARS: Final = 64 * 1024
"""Sent in one tick before the transport gets it, which then reports back-pressure."""


class Telnet(Lifecycle):
    """A Telnet connection. Made by `serve` and `connect`."""

    __slots__ = ()

    # --- what it is

    @property
    def peer(self) -> str:
        """The peer's address."""
        return self._connection.peer

    @property
    def tls(self) -> TlsInfo | None:
        """The TLS parameters and the peer's identity; `None` without TLS."""
        return self._connection.tls

    @property
    def capabilities(self) -> Capabilities:
        """What the peer has told of itself: name, terminal, window, character set, GMCP ..."""
        return self._core.capabilities

    @property
    def charset(self) -> str:
        """The character set of sent text."""
        return self._core.charset

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._connection.phase in (Phase.CLOSING, Phase.LOST)

    # --- reading

    async def readline(self) -> str:
        """Return the next line, without its end.

        May be cancelled, by a time-out say, without losing a line. Raises `TelnetClosed` at the
        end, `BusyError` if another task is reading.
        """
        while True:
            line = await self._next()
            if type(line) is str:
                return line

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        """As `readline`; ends where the peer has left in order."""
        try:
            return await self.readline()
        except TelnetClosed as end:
            if end.cause is None:
                raise StopAsyncIteration from None
            raise

    async def _next(self) -> str | Prompt:
        lines = self._lines
        while not lines:
            if self._ended:
                raise TelnetClosed(self._reason, self._connection.cause)
            await self._wait()
        line = lines.popleft()
        if self._paused and len(lines) <= self._settings.limits.telnet.queue_lines_max // 4:
            self._paused = False
            self._connection.resume_reading()
        return line

    async def _wait(self) -> None:
        if self._waiter.waiting:
            raise BusyError("another task is waiting for a line of this connection")
        await self._waiter

    # --- writing

    async def send(self, text: str) -> None:
        """Send text with its line ends, as LF. Waits while the peer is behind.

        Raises `TelnetClosed`.
        """
        self._core.send_text(self._safe(text))
        await self._sent(len(text))

    def _safe(self, text: str) -> str:
        """Text that the peer does not read as elements."""
        return defused(text) if self._core.capabilities.mxp else text

    async def send_mxp(self, markup: str) -> bool:
        """Send a line with elements, in which text is escaped (`escape`); `False`, and nothing
        is sent, if the peer has no MXP."""
        if not self._core.capabilities.mxp:
            return False
        line = secure_line(markup)
        self._core.send_text(line)
        await self._sent(len(line))
        return True

    def send_gmcp(self, package: str, value: Any = None) -> bool:
        """Send a GMCP message, with JSON of `value` unless it is `None`; `False` if the peer has
        no GMCP, or the name is none."""
        json = "" if value is None else msgspec.json.encode(value).decode()
        return self._tell(self._core.send_gmcp(package, json))

    def send_msdp(self, variable: str, value: Any) -> bool:
        """Send an MSDP variable: text, or lists and dictionaries of texts; `False` if the peer
        has no MSDP, or it cannot be said."""
        return self._tell(self._core.send_msdp(variable, msgspec.json.encode(value).decode()))

    def request(self, option: int, side: Side, *, on: bool = True) -> bool:
        """Ask the peer for an option (`codes`), or ask it away; `OptionChanged` tells what
        becomes of it. `False` for an option that is not known here."""
        return self._tell(self._core.request(option, side, on))

    def is_on(self, option: int, side: Side) -> bool:
        """Whether an option is in effect on one side."""
        return self._core.is_on(option, side)

    def _tell(self, told: bool) -> bool:
        self._flush_later()
        return told

    async def _sent(self, size: int) -> None:
        connection = self._connection
        if self.closed or connection.broken:
            raise TelnetClosed(self._reason, connection.cause)
        self._flush_later()
        self._burst += size
        if self._burst >= _BURST_CHARS:
            self._burst = 0
            self._flush()
            connection.flush()  # the transport says when it is full only once it has the bytes
            if not connection.full:
                await asyncio.sleep(0)  # who only writes must not keep all others waiting
        while connection.full and not connection.broken:
            if self._writable is None:
                self._writable = asyncio.Event()
            await self._writable.wait()
