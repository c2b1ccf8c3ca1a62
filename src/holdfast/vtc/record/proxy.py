"""A proxy between clients and a server: forwards all bytes, and passes them to a recording."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable

from holdfast.net.tls.contexts import client_context
from holdfast.protocols.uris import bracketed
from holdfast.vtc.io.socket_address import AddressError, SocketAddress, resolve
from holdfast.vtc.io.stream_socket import Listener, StreamSocket, connect, listen
from holdfast.vtc.io.tls import TlsSocket
from holdfast.vtc.record.recording import Recording

BACKLOG = 10
RECEIVE_BYTES_MAX = 65536


class RecordingProxy:
    """A listener that forwards its connections to the recording's server."""

    def __init__(
        self,
        at: SocketAddress,
        recording: Recording,
        changed: Callable[[], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen. `changed` is called when the recording has changed.

        Raises `OSError`.
        """
        self._listener = Listener(listen(at, BACKLOG))
        self._recording = recording
        self._changed = changed
        secure = recording.server.secure
        self._tls = (tls or client_context()) if secure else None

    @property
    def at(self) -> SocketAddress:
        """Where clients are to connect."""
        return self._listener.address

    async def run(self) -> None:
        """Pass on connections until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    sock = await self._listener.accept()
                    task = tasks.create_task(self._serve(sock))
                    task.add_done_callback(lambda _, sock=sock: sock.close())  # type: ignore[misc]
        finally:
            self._listener.close()

    async def _serve(self, client: StreamSocket) -> None:
        """Forward one connection; an error in it does not affect others."""
        try:
            server = await self._dial()
        except OSError:
            return
        recorder = self._recording.begin()
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(_carry(client, server, recorder.client_says))
                ways.create_task(_carry(server, client, recorder.server_says))
        finally:
            server.close()
            recorder.ended()
            self._changed()

    async def _dial(self) -> StreamSocket:
        url = self._recording.server
        if url.scheme == "unix":
            where = os.fsdecode(url.path)
        else:
            where = f"{bracketed(url.host)}:{url.port}"
        try:
            sock = await connect(await resolve(where, None, socket.SOCK_STREAM))
        except AddressError as error:
            raise OSError(str(error)) from None
        if self._tls is None:
            return sock
        secure = TlsSocket(sock, self._tls, server=False, name=url.host)
        try:
            await secure.handshake()
        except BaseException:
            secure.close()
            raise
        return secure


async def _carry(source: StreamSocket, target: StreamSocket, hear: Callable[[bytes], None]) -> None:
    """One way, to its end."""
    with contextlib.suppress(OSError):
        while data := await source.recv(RECEIVE_BYTES_MAX, None):
            hear(data)
            await target.send(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
