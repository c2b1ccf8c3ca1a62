"""HTTP on a connection that turned out to be no WebSocket: aiohttp takes it from there."""

from __future__ import annotations

from aiohttp import web

from holdfast.net.connection import Connection


class HttpHost:
    """An aiohttp application that takes over accepted connections."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None)

    async def start(self) -> None:
        """Make ready to serve."""
        await self._runner.setup()

    async def stop(self) -> None:
        """Close what is open."""
        await self._runner.cleanup()

    def take_over(self, connection: Connection, data: bytes) -> None:
        """Serve `connection` from here on; `data` has come already."""
        server = self._runner.server
        assert server is not None, "the application is not started"
        connection.hand_over(server(), data)
