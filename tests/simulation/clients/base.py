"""A client of any kind: it types, and it has at most one connection that it knows of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from holdfast.gateway.conversation.driver import Driver
from holdfast.sessions.session import Session
from tests.simulation.network import Pipe

if TYPE_CHECKING:
    from tests.simulation.world import World


class Ghost:
    """Nobody, at the end of a connection that was forgotten."""

    def data_received(self, data: bytes) -> None:
        pass

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, cause: Exception | None) -> None:
        pass


def session_of(pipe: Pipe) -> Session | None:
    """Which session the gateway has put on a connection, if any."""
    connection = pipe.far.protocol
    driver = connection.handler if connection is not None else None
    attachment = driver.attachment if isinstance(driver, Driver) else None
    return attachment.session if attachment is not None else None


class ClientNode:
    """One person's client; it lives as long as the world. A protocol on its ends of pipes."""

    addresses: Sequence[str] = ()
    """Where the gateways listen for it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.typed: list[str] = []
        self.index = 0
        """Which of the gateways it dials."""
        self.connections = 0
        """How many there were."""
        self.pipe: Pipe | None = None
        self.slept_on: list[Pipe] = []
        """Connections that are still open, and nobody's any more."""
        self.sealed: list[bytearray] = []
        """What the gateway wrote to those after a newer one attached."""
        self.transport: Any = None

    # --- what the person does

    def type(self) -> str:
        """Type a command; it says whose it is, and is unlike any other."""
        command = f"{self.name}-{len(self.typed) + 1}"
        self.typed.append(command)
        self.command(command)
        return command

    def command(self, text: str) -> None:
        """Send a command, or keep it."""
        raise NotImplementedError

    def connect(self) -> None:
        """Dial, if there is no connection."""
        if self.pipe is None:
            self.pipe = self.world.network.dial(self.addresses[self.index], self.world.people)
            if self.pipe is not None:
                self.pipe.near.protocol = self
                self.connection_made(self.pipe.near)

    def hang_up(self) -> None:
        """The client's side notices that the network failed, and may dial again."""
        if self.pipe is not None:
            pipe, self.pipe = self.pipe, None
            pipe.near.protocol = Ghost()
            pipe.break_()
            self.offline()

    def doze(self) -> None:
        """Forget the connection without closing it, as a phone does that falls asleep."""
        if self.pipe is not None:
            self.pipe.near.protocol = Ghost()
            if self.has_right:  # another might still get the session after the next connection
                self.slept_on.append(self.pipe)
            self.pipe = None
            self.offline()

    # --- what a kind of client does

    @property
    def has_right(self) -> bool:
        """Whether no session of this connection's can be begun after the next connection's."""
        raise NotImplementedError

    @property
    def settled(self) -> bool:
        """Whether it waits for nothing."""
        raise NotImplementedError

    def offline(self) -> None:
        """There is no connection any more."""

    def attached(self) -> None:
        """The session is this connection's: from here on nothing may go out on an older one."""
        for pipe in self.slept_on:
            if self.pipe is None:
                continue
            before, now = session_of(pipe), session_of(self.pipe)
            if before is None or (now is not None and before.sid == now.sid):
                pipe.far.seal = bytearray()
                self.sealed.append(pipe.far.seal)
        self.slept_on.clear()

    # --- the protocol

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.connections += 1

    def data_received(self, data: bytes) -> None:
        raise NotImplementedError

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, cause: Exception | None) -> None:
        self.pipe = None
        self.offline()
