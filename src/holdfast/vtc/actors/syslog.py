"""A syslog server on UDP: receives datagrams and looks at the last one."""

from __future__ import annotations

import re
import socket
from typing import ClassVar

from holdfast.vtc.actors.background_task import BackgroundTask
from holdfast.vtc.io.socket_address import AddressError, SocketAddress, own_address, resolve, why
from holdfast.vtc.io.stream_socket import readable
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.interpreter import play
from holdfast.vtc.language.position import Position
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.case import Actor, Case
from holdfast.vtc.run.scope import Scope

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
DATAGRAM_BYTES_MAX = 65536

_PRIORITY = re.compile(r"<[ \t]*(\d+)>")
_SEVERITY_MASK = 7


def level_number(word: Token) -> int:
    """The severity (RFC 5424 section 6.2.1) of that name. Raises `Failure`."""
    if word not in LEVELS:
        raise Failure(f"wrong syslog level '{word}'", word.position())
    return LEVELS.index(word)


class Syslog(Actor):
    """A syslog server by name. The port that it was given once it keeps for later starts."""

    kind: ClassVar[str] = "syslog"

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.spec: Token | None = None
        self.level: int | None = None
        """The default level of `recv`."""
        self.repeat = 1
        self.task = BackgroundTask(case, self.log)
        self.last = ""
        """The last datagram."""
        self._bind_to = case.macros.expand_text("${listen_addr}")
        self._sock: socket.socket | None = None

    async def bind(self, address: str | None = None) -> None:
        """Open the socket, at another address if one is given. Raises `Failure`."""
        if address is not None:
            self._bind_to = address
        self.release()
        try:
            found = await resolve(self._bind_to, "0", socket.SOCK_DGRAM)
            self._sock = _bound(found[0])
        except (AddressError, OSError) as error:
            text = f"Syslog server bind address ({self._bind_to}) cannot be resolved: {why(error)}"
            raise Failure(text) from None
        own = own_address(self._sock)
        self._bind_to = own.joined
        self.case.define_address(self.log, self.name, own)

    async def start(self, position: Position | None) -> None:
        """Begin in the background. Raises `Failure`."""
        self.log.line(2, "Starting syslog server")
        if self._sock is None:
            await self.bind()
        self.log.line(1, f"Bound on {self._bind_to}")
        self.task.start(self._serve, position)

    async def wait(self) -> None:
        """Wait until the specification is done. Raises `Failure` if it was not started."""
        if not self.task.running:
            raise Failure("Syslog server not -started")
        self.log.line(2, f"Waiting for syslog server ({self._sock.fileno() if self._sock else -1})")
        await self.task.wait()

    async def stop(self) -> None:
        """Stop in mid-specification."""
        self.log.line(2, "Stopping for syslog server")
        await self.task.stop()

    async def reset(self) -> None:
        await self.task.stop()
        self.release()
        self.case.undefine_address(self.log, self.name)

    def release(self) -> None:
        if self._sock:
            self._sock.close()
            self._sock = None

    async def _serve(self) -> None:
        if self.spec is None:
            raise Failure(f"syslog {self.name} has no specification")
        self.log.line(2, f"Started on {self._bind_to} (level: {self._level_shown()})")
        scope = Scope(self.case, Context.SYSLOG, self, self.log)
        for turn in range(self.repeat):
            if self.repeat > 1:
                self.log.line(3, f"Iteration {turn}")
            await play(scope, self.spec)
        self.release()
        self.log.line(2, "Ending")

    def _level_shown(self) -> int:
        return -1 if self.level is None else self.level

    async def receive(self, level: int) -> None:
        """Take datagrams until one has that severity. Raises `Failure`."""
        while True:
            assert self._sock is not None
            try:
                data = self._sock.recv(DATAGRAM_BYTES_MAX)
            except (BlockingIOError, InterruptedError):
                await readable(self._sock)
                continue
            self.log.dump(4, "syslog", data)
            self.last = data.decode(ENCODING)
            if self._severity() == level:
                return

    def _severity(self) -> int:
        match = _PRIORITY.match(self.last)
        if match:
            return int(match[1]) & _SEVERITY_MASK
        if not self.last.startswith("<"):
            reason = "no '<'"
        else:
            reason = "bad number" if ">" in self.last else "no '>'"
        raise Failure(f"syslog PRI, {reason}", None, (Note("datagram", self.last),))


def _bound(address: SocketAddress) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind(address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock
