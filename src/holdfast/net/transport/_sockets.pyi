import asyncio
import socket

class Poller:
    """All sockets of one event loop, in one epoll set that the loop polls until it is closed.

    Raises `OSError` if no such set can be had.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...

class SocketTransport(asyncio.Transport):
    """A transport of a connected non-blocking stream socket, which then is its.

    It does what `asyncio.Transport` says, without being a subclass. What its protocol
    raises ends it, and is told to the loop's exception handler. Its `peername` is what
    the socket says: the default, once the connection has been reset.

    Raises `OSError` if the socket cannot be watched.
    """

    def __init__(self, poller: Poller, sock: socket.socket, protocol: asyncio.Protocol) -> None: ...
    def start(self) -> None:
        """Tell the protocol (`connection_made`); what it raises ends the transport."""
