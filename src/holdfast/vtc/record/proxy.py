"""Stands between clients and a server: passes on all bytes, and lets a book hear them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable

from holdfast.net.tls.options import client_context
from holdfast.vtc.io import socket_address as address
from holdfast.vtc.io.tls import TlsWire
from holdfast.vtc.io.stream_socket import Listener, Wire, connect, listen
from holdfast.vtc.record.recording import Book

BACKLOG = 10
RECEIVE_BYTES_MAX = 65536


class Relay:
    """A listener whose connections go on to the book's server."""

    def __init__(
        self,
        at: address.Address,
        book: Book,
        changed: Callable[[], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen. `changed` is called when the book has something more to tell.

        Raises `OSError`.
        """
        self._listener = Listener(listen(at, BACKLOG))
        self._book = book
        self._changed = changed
        secure = book.server.secure
        self._tls = (tls or client_context()) if secure else None

    @property
    def at(self) -> address.Address:
        """Where clients are to connect."""
        return self._listener.address

    async def run(self) -> None:
        """Pass on connections until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    wire = await self._listener.accept()
                    task = tasks.create_task(self._serve(wire))
                    task.add_done_callback(lambda _, wire=wire: wire.close())  # type: ignore[misc]
        finally:
            self._listener.close()

    async def _serve(self, client: Wire) -> None:
        """One connection: whatever goes wrong with it, the others go on."""
        try:
            server = await self._dial()
        except OSError:
            return
        scribe = self._book.begin()
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(_carry(client, server, scribe.client_says))
                ways.create_task(_carry(server, client, scribe.server_says))
        finally:
            server.close()
            scribe.ended()
            self._changed()

    async def _dial(self) -> Wire:
        url = self._book.server
        if url.scheme == "unix":
            where = os.fsdecode(url.path)
        else:
            where = f"[{url.host}]:{url.port}" if ":" in url.host else f"{url.host}:{url.port}"
        try:
            wire = await connect(await address.resolve(where, None, socket.SOCK_STREAM))
        except address.AddressError as error:
            raise OSError(str(error)) from None
        if self._tls is None:
            return wire
        secure = TlsWire(wire, self._tls, server=False, name=url.host)
        try:
            await secure.handshake()
        except BaseException:
            secure.close()
            raise
        return secure


async def _carry(source: Wire, target: Wire, hear: Callable[[bytes], None]) -> None:
    """One way, to its end."""
    with contextlib.suppress(OSError):
        while data := await source.recv(RECEIVE_BYTES_MAX, None):
            hear(data)
            await target.send(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
