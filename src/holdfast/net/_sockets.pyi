import asyncio
import socket

class Poller:
    """All sockets of one event loop, in one epoll set that the loop polls."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def close(self) -> None:
        """Watch nothing any more."""

class SocketTransport(asyncio.Transport):
    """A transport of a connected non-blocking stream socket, which then is its.

    Raises `OSError` if the socket cannot be watched.
    """

    def __init__(self, poller: Poller, sock: socket.socket, protocol: asyncio.Protocol) -> None: ...
    def start(self) -> None:
        """Tell the protocol (`connection_made`); what it raises ends the transport."""
