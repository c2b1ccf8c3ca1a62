"""What Telnet servers of an upstream say of themselves (MSSP), asked once a minute.

A crawler waits for nobody: it is told the newest answer. Each question is a connection of its own,
which refuses everything else.
"""

from __future__ import annotations

import asyncio
from typing import Final

import holdfast
from holdfast.core.limits import Limits, TelnetLimits
from holdfast.net.connection.connection import Connection
from holdfast.net.connection.handler import NullHandler
from holdfast.net.dial.dial import DialError
from holdfast.net.upstream.dialler import Dialler
from holdfast.net.upstream.pool import Target
from holdfast.protocols import telnet
from holdfast.protocols.telnet import codes

_INTERVAL_SECONDS: Final = 60.0
_REFUSED: Final = frozenset(
    {
        codes.TTYPE, codes.NAWS, codes.NEW_ENVIRON, codes.CHARSET, codes.END_OF_RECORD, codes.GMCP,
        codes.ECHO, codes.SGA, codes.BINARY,
    }
)  # fmt: skip

Values = dict[str, str | list[str]]


class StatusPoll:
    """The newest status of an upstream's servers. `run` while it serves."""

    def __init__(
        self, dialler: Dialler, limits: Limits, interval_seconds: float = _INTERVAL_SECONDS
    ) -> None:
        self._dialler = dialler
        self._limits = limits
        self._interval_seconds = interval_seconds
        self._values: Values = {}

    def values(self) -> Values:
        """The newest, of the server that answered last."""
        return self._values

    async def run(self) -> None:
        """Ask each server, again and again, until cancelled."""
        while True:
            for target in self._dialler.pool.targets:
                values = await self._ask(target)
                if values:
                    self._values = values
            await asyncio.sleep(self._interval_seconds)

    async def _ask(self, target: Target) -> Values:
        """What a server says; nothing if it cannot be reached, or does not say anything."""
        answer: asyncio.Future[Values] = asyncio.get_running_loop().create_future()
        try:
            connection = await self._dialler.visit(
                target, lambda connection: _Visitor(connection, self._limits.telnet, answer)
            )
        except DialError:
            return {}
        try:
            async with asyncio.timeout(self._limits.upstream.check_seconds_max):
                return await answer
        except TimeoutError:
            return {}
        finally:
            connection.close()


class _Visitor(NullHandler):
    """One question, whose `answer` is empty if the server ends the connection without one."""

    def __init__(
        self, connection: Connection, limits: TelnetLimits, answer: asyncio.Future[Values]
    ) -> None:
        self._connection = connection
        self._answer = answer
        terminal = telnet.Terminal("Holdfast", holdfast.__version__, "dumb", width=80, height=24)
        self._core = telnet.TelnetClient(limits, terminal, _REFUSED, also=[codes.MSSP])

    def connected(self) -> None:
        self._connection.established()

    def received(self, data: bytes) -> None:
        for event in self._core.receive_data(data, self._connection.now):
            if isinstance(event, telnet.Mssp):
                self._answers(event.values)
        self._connection.write(self._core.data_to_send())

    def ended(self) -> None:
        self._answers({})

    def lost(self, cause: Exception | None) -> None:
        self._answers({})

    def _answers(self, values: Values) -> None:
        if not self._answer.done():
            self._answer.set_result(values)
