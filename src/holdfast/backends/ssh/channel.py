"""A terminal on an SSH server, as its bridge uses it. Hot path."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import asyncssh

from holdfast.backends.ssh.channel_data import DataSender
from holdfast.backends.terminal.kind import Exit, Sink
from holdfast.core.limits import TerminalLimits
from holdfast.core.text import presentable
from holdfast.net.transport.tcp_info import round_trip

_SAID_CHARS_MAX: Final = 500
"""Of what a server says, in what the user and the logs are told."""
_SIGNALS: Final = frozenset({"INT", "TERM", "HUP", "KILL", "QUIT", "USR1", "USR2"})


class SshSession(asyncssh.SSHClientSession[bytes]):
    """What asyncssh tells of the channel."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._exit = Exit()
        self.full = False

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._sink.received(data)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._sink.writable()

    def exit_status_received(self, status: int) -> None:
        self._exit = Exit(status=status)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._exit = Exit(signal=said(signal))

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._exit = Exit(error=f"The connection to the server was lost: {said(exc)}.")
        elif self._exit == Exit():
            self._exit = Exit(error="The server has closed the connection.")
        self._sink.ended(self._exit, broken=isinstance(exc, asyncssh.ProtocolError))


def said(what: object) -> str:
    """What may hold words of the server, in one line without controls."""
    return presentable(str(what), _SAID_CHARS_MAX)


class SshChannel:
    """One channel, and the connection that is its own."""

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        channel: asyncssh.SSHClientChannel[bytes],
        session: SshSession,
        limits: TerminalLimits,
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._session = session
        self._data = DataSender(connection, channel)
        self._limits = limits
        channel.set_write_buffer_limits(high=limits.unsent_bytes_max)

    @property
    def full(self) -> bool:
        return self._session.full

    def write(self, data: bytes) -> None:
        if not self._data.send(data) and not self._channel.is_closing():
            self._channel.write(data)

    def pause_reading(self) -> None:
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        self._channel.resume_reading()

    def resize(self, columns: int, rows: int) -> None:
        if not self._channel.is_closing():
            self._channel.change_terminal_size(columns, rows)

    def signal(self, name: str) -> None:
        if name in _SIGNALS and not self._channel.is_closing():
            self._channel.send_signal(name)

    def round_trip(self) -> float | None:
        sock: Any = self._connection.get_extra_info("socket")
        return round_trip(sock)

    async def close(self) -> None:
        await close_connection(self._connection, self._channel, self._limits.closing_seconds_max)


async def close_connection(
    connection: asyncssh.SSHClientConnection,
    channel: asyncssh.SSHClientChannel[bytes] | None,
    seconds_max: float,
) -> None:
    """Close the channel, then the connection; what is not closed in time is cut off."""
    try:
        async with asyncio.timeout(seconds_max):
            if channel is not None:
                channel.close()
                await channel.wait_closed()
            connection.close()
            await connection.wait_closed()
    except (TimeoutError, OSError, asyncssh.Error):
        pass
    finally:
        connection.abort()  # nothing, where it is closed
