"""Connections made of two lists of bytes. Nothing moves unless it is told to."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from holdfast.core.limits import ConnectionLimits
from holdfast.net.addresses import Address
from holdfast.net.connection.connection import Connection
from holdfast.net.dial.dial import DialError
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.server.acceptor import HandlerFactory
from holdfast.net.server.server import DEFAULT, ListenOptions, Server
from holdfast.net.tls.certificates import ServerTls
from tests.simulation.process import Process


class End(asyncio.Transport):
    """One end of a pipe: what a protocol believes to be its socket."""

    def __init__(self, pipe: Pipe, process: Process) -> None:
        super().__init__()
        self.peer: End
        self.outgoing = bytearray()
        self.written = self.taken = 0
        """How many bytes were written, and how many of them have reached the other end."""
        self.seal: bytearray | None = None
        """What is written from now on, if anybody cares."""
        self.protocol: Any = None
        self.process = process
        self.gone = False
        """Whether the protocol knows that the connection has ended."""
        self.dead = False
        """Whether the process has died that held it."""
        self.pipe = pipe
        self._closing = False
        self._paused = False
        self._eof_told = False
        process.ends.append(self)

    # --- what a protocol does

    def write(self, data: Any) -> None:
        if not (self._closing or self.gone or self.dead or self.pipe.cut):
            if self.process.watch is not None:
                self.process.watch(self)
            self.outgoing += data
            self.written += len(data)
            if self.seal is not None:
                self.seal += data

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.process.loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self._closing = True
        self.outgoing.clear()
        self.process.loop.call_soon(self._lose, None)

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self._closing

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return _Kernel(self) if name == "socket" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False

    # --- what the network does

    @property
    def ended(self) -> bool:
        """Whether nothing comes from this end any more, but what is under way."""
        return self.gone or self.dead or self._closing

    def die(self) -> None:
        """Its process is killed: the kernel closes the socket, and what was not sent is lost."""
        self.dead = True
        self.outgoing.clear()

    def lose(self) -> None:
        """The protocol learns that the network has failed."""
        if not (self.dead or self.gone or self.protocol is None):
            self.process.loop.call_soon(self._lose, ConnectionResetError())

    def _lose(self, cause: Exception | None) -> None:
        if not self.gone:
            self.gone = True
            self._closing = True
            self.protocol.connection_lost(cause)

    def arrive(self, count: int | None = None) -> bool:
        """Bytes that the other end wrote arrive here, at most `count`. Whether any did."""
        deaf = self.ended or self._paused or self.pipe.cut or not self.process.runs
        if deaf or self.protocol is None or self.pipe.network.blocks(self.peer, self):
            return False
        waiting = self.peer.outgoing
        part = bytes(waiting[:count])
        del waiting[: len(part)]
        self.peer.taken += len(part)
        if part:
            self.process.loop.call_soon(self.protocol.data_received, part)
            return True
        if self.peer.ended and not self._eof_told:
            self._eof_told = True
            self.process.loop.call_soon(self._tell_eof)
            return True
        return False

    def _tell_eof(self) -> None:
        if not self.gone and not self.protocol.eof_received():
            self.close()


class _Kernel:
    """What a kernel knows of an end: as much of a socket as is asked for it."""

    family = socket.AF_INET

    def __init__(self, end: End) -> None:
        self._end = end

    def fileno(self) -> int:
        raise ValueError("there is no file")

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        """`TCP_INFO`: see `net.tcp_info`."""
        end = self._end
        info = bytearray(size)
        info[0] = 1
        struct.pack_into("=Q", info, 120, end.taken)
        struct.pack_into("=QQ", info, 200, end.written, 0)
        struct.pack_into("=I", info, 228, 65_536)
        return bytes(info)


class Pipe:
    """A connection between two processes. `near` is the one that has dialled."""

    def __init__(self, network: Network, address: str, near: Process, far: Process) -> None:
        self.network = network
        self.address = address
        """What was dialled."""
        self.near = End(self, near)
        self.far = End(self, far)
        self.near.peer, self.far.peer = self.far, self.near
        self.cut = False

    def break_(self) -> None:
        """The network fails: what is under way is lost. Each end notices when it is told."""
        self.cut = True
        self.near.outgoing.clear()
        self.far.outgoing.clear()

    @property
    def over(self) -> bool:
        """Whether nobody holds an end any more."""
        return all(end.gone or end.dead for end in (self.near, self.far))


class _Listening(NamedTuple):
    server: SimServer
    factory: HandlerFactory


class Network:
    """Who listens where, and every connection."""

    def __init__(self) -> None:
        self.pipes: list[Pipe] = []
        self.blocked: set[tuple[Process, Process]] = set()
        """From which process to which one nothing comes through."""
        self._listening: dict[str, _Listening] = {}
        self._peers = 0

    def dial(self, address: str, process: Process) -> Pipe | None:
        """A connection to `address`; `None` if nobody listens there, or cannot be reached."""
        listening = self._listening.get(address)
        if listening is None:
            return None
        there = listening.server.process
        if (process, there) in self.blocked or (there, process) in self.blocked:
            return None
        pipe = Pipe(self, address, process, there)
        self.pipes.append(pipe)
        self._peers += 1
        peer = f"192.0.2.1:{self._peers}"
        pipe.far.process.loop.call_soon(listening.server.take, pipe.far, listening.factory, peer)
        return pipe

    async def dial_for(
        self,
        address: Address,
        make: HandlerFactory,
        *,
        clockwork: Runtime,
        limits: ConnectionLimits,
        tls: ssl.SSLContext | None = None,
        processes: Iterator[Process],
    ) -> Connection:
        """As `net.dial`, for the one of `processes` whose loop it is."""
        process = next(one for one in processes if one.loop is clockwork.loop)
        pipe = self.dial(str(address), process)
        if pipe is None:
            raise DialError(f"{address}: nobody listens")
        connection = Connection(clockwork, limits, _Anyone(), peer=str(address))
        connection.attach(make(connection))
        pipe.near.protocol = connection
        connection.connection_made(pipe.near)
        return connection

    def blocks(self, sender: End, receiver: End) -> bool:
        """Whether nothing comes from one end to the other."""
        return bool(self.blocked) and (sender.process, receiver.process) in self.blocked

    def move(self) -> bool:
        """Every byte that is under way arrives. Whether there was any."""
        moved = [end.arrive() for pipe in self.pipes for end in (pipe.far, pipe.near)]
        self.pipes = [pipe for pipe in self.pipes if not pipe.over]
        return any(moved)

    def cut(self, index: int, addresses: Collection[str]) -> None:
        """A connection to one of `addresses` breaks; nobody has noticed yet."""
        found = [pipe for pipe in self.pipes if pipe.address in addresses and not pipe.cut]
        if found:
            found[index % len(found)].break_()

    def notice(self) -> None:
        """Everybody notices which connections are broken."""
        for pipe in self.pipes:
            if pipe.cut:
                pipe.near.lose()
                pipe.far.lose()

    def server(self, limits: ConnectionLimits, runtime: Runtime, process: Process) -> SimServer:
        """A server of that process."""
        return SimServer(limits, runtime, self, process)

    def open(self, address: str, server: SimServer, factory: HandlerFactory) -> None:
        """`server` listens at `address`."""
        self._listening[address] = _Listening(server, factory)

    def close(self, process: Process) -> None:
        """This process listens no more."""
        for address, listening in list(self._listening.items()):
            if listening.server.process is process:
                del self._listening[address]


class SimServer(Server):
    """The real server, whose listeners are those of the simulated network."""

    def __init__(
        self, limits: ConnectionLimits, runtime: Runtime, network: Network, process: Process
    ) -> None:
        super().__init__(limits, runtime)
        self.process = process
        self._network = network

    async def listen(
        self,
        address: Address,
        factory: HandlerFactory,
        tls: ssl.SSLContext | ServerTls | None = None,
        options: ListenOptions = DEFAULT,
    ) -> Address:
        self._network.open(str(address), self, factory)
        return address

    def take(self, end: End, factory: HandlerFactory, peer: str) -> None:
        """A connection has come."""
        connection = Connection(self.runtime, self.limits, self, peer=peer)
        connection.attach(factory(connection))
        end.protocol = connection
        connection.connection_made(end)

    def _stop_listening(self) -> None:
        super()._stop_listening()
        self._network.close(self.process)


class _Anyone:
    """The owner of a connection that is never refused."""

    def opened(self, connection: Connection) -> bool:
        return True

    def closed(self, connection: Connection) -> None:
        pass
