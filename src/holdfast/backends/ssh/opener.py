"""Makes terminals on SSH servers: which one, as whom, whether it is that server, and the login."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final

import asyncssh
from asyncssh.packet import PacketDecodeError

from holdfast.backends.ssh.algorithms import algorithms
from holdfast.backends.ssh.channel import SshChannel, SshSession, close_connection, said
from holdfast.backends.ssh.config import SshOptions, TargetConfig
from holdfast.backends.ssh.login import Login
from holdfast.backends.ssh.targets import find_target, permitted
from holdfast.backends.ssh.tunnel import SocketTunnel
from holdfast.backends.terminal.dialogue import Dialogue, Question
from holdfast.backends.terminal.kind import Plan, Screen, Sink, TerminalError
from holdfast.core.limits import TerminalLimits
from holdfast.core.rate import Rate, RateByKey
from holdfast.net.security_log import SecurityEvent

_ECHO_OFF: Final = {asyncssh.PTY_ECHO: 0}
_USER_CHARS_MAX: Final = 64
_PACKET_BYTES_MAX: Final = 32 * 1024
_KEEPALIVES_MAX: Final = 3
_FAILURES: Final = (TimeoutError, asyncssh.Error, OSError, PacketDecodeError)
"""What asyncssh raises where the other end is the reason."""
_YES: Final = frozenset({"yes", "y"})


class SshPlan(Plan):
    """Which server."""

    config: TargetConfig


class SshOpener:
    """Makes the terminals of one backend. `now` is the runtime's time."""

    def __init__(
        self, options: SshOptions, limits: TerminalLimits, now: Callable[[], float]
    ) -> None:
        self._options = options
        self._limits = limits
        self._now = now
        self._failures = RateByKey(
            Rate(limits.login_failures_per_minute_max / 60, limits.login_failure_burst_max)
        )

    async def plan(self, dialogue: Dialogue) -> SshPlan:
        options = self._options
        targets = [target.name for target in options.target]
        if len(targets) == 1 and not options.allow_hosts:
            wanted = targets[0]
        else:
            wanted = (await dialogue.ask(Question("target", "Server", choices=targets))).strip()
        target = find_target(options, wanted)
        user = target.user or (await dialogue.ask(Question("user", "User"))).strip()
        if not user or len(user) > _USER_CHARS_MAX or not user.isprintable():
            raise TerminalError(
                "user_refused", f"A user has 1 to {_USER_CHARS_MAX} printable characters."
            )
        return SshPlan(target.name, user, target)

    async def connect(
        self, plan: SshPlan, dialogue: Dialogue, screen: Screen, sink: Sink
    ) -> SshChannel:
        await self._check_rate(plan, dialogue)
        addresses = permitted(self._options, plan.config, await self._resolve(plan.config))
        accepted: list[asyncssh.SSHKey] = []
        login = self._login(plan, dialogue, accepted)
        try:
            connection = await self._dial(plan, addresses, login)
        except asyncssh.HostKeyNotVerifiable as error:
            accepted.append(await self._accept(plan, addresses, login, dialogue, error))
            login = self._login(plan, dialogue, accepted)
            connection = await self._dial(plan, addresses, login)
        return await self._open(plan, connection, screen, sink)

    def _login(
        self, plan: SshPlan, dialogue: Dialogue, accepted: Sequence[asyncssh.SSHKey]
    ) -> Login:
        tries = self._limits.password_tries_max
        return Login(plan.config, dialogue, accepted, self._options.agent, tries)

    # --- before the login

    async def _check_rate(self, plan: SshPlan, dialogue: Dialogue) -> None:
        wait = self._failures.wait(self._key(plan, dialogue), self._now())
        if wait > 0:
            raise TerminalError(
                "login_limited",
                f"Too many wrong logins; try again in {wait:.0f} s.",
                SecurityEvent.LOGIN_LIMITED,
            )

    def _key(self, plan: SshPlan, dialogue: Dialogue) -> str:
        return f"{dialogue.network} {plan.target} {plan.user}"

    async def _resolve(self, target: TargetConfig) -> list[str]:
        """The addresses of the target: they are what is checked, and dialled."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.resolve_seconds_max):
                found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # a time-out is an OSError, too
            raise TerminalError(
                "unknown_host",
                f"The server {target.name!r} has no known address.",
                SecurityEvent.TARGET_FAILED,
            ) from None
        return list(dict.fromkeys(str(it[4][0]) for it in found))

    async def _accept(
        self,
        plan: SshPlan,
        addresses: Sequence[str],
        login: Login,
        dialogue: Dialogue,
        error: asyncssh.HostKeyNotVerifiable,
    ) -> asyncssh.SSHKey:
        """The server's key, if the user takes it for the right one."""
        key = login.host_key
        if key is None or any(self._known(plan.config, it)[0] for it in addresses):
            # It has a key that is known, and shows another one, or one that was revoked.
            raise TerminalError(
                "host_key_changed",
                f"The key of {plan.target!r} is another one than is known. Somebody may be"
                " listening in: nothing was sent to it.",
                SecurityEvent.HOST_KEY_REFUSED,
            ) from error
        fingerprint = key.get_fingerprint("sha256")
        refused = TerminalError(
            "host_key_unknown",
            f"The key of {plan.target!r} is not known ({fingerprint}), and was not accepted.",
            SecurityEvent.HOST_KEY_REFUSED,
        )
        if self._options.unknown_keys == "refuse":
            raise refused from error
        dialogue.tell(f"The key of {plan.target!r} is not known: {fingerprint}.")
        question = Question("hostkey", f"Is {fingerprint} the right key?", choices=("yes", "no"))
        try:
            async with asyncio.timeout(self._limits.question_seconds_max):
                answer = await dialogue.ask(question)
        except TimeoutError:
            raise refused from error
        if answer.strip().lower() not in _YES:
            raise refused from error
        return key

    def _known(self, target: TargetConfig, address: str) -> Any:
        """What the file of known hosts has of the target: keys, authorities, revoked keys."""
        path = self._options.known_hosts
        if not path:
            return ((), (), (), (), (), (), ())
        return asyncssh.match_known_hosts(path, target.host, address, target.port)

    # --- the connection

    async def _dial(
        self, plan: SshPlan, addresses: Sequence[str], login: Login
    ) -> asyncssh.SSHClientConnection:
        """Connect to the first address that answers, and log in. Raises `TerminalError`, and
        `HostKeyNotVerifiable` for a server whose key is not known."""
        for number, address in enumerate(addresses, 1):
            try:
                sock = await self._reach(plan.config, address)
            except OSError as error:
                if number == len(addresses):
                    raise _unreachable(plan, error) from error
                continue
            return await self._log_in(plan, address, sock, login)
        raise AssertionError("there is no target without an address")

    async def _reach(self, target: TargetConfig, address: str) -> socket.socket:
        """A connected socket. Raises `OSError`, on a time-out too."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(self._limits.connect_seconds_max):
                await asyncio.get_running_loop().sock_connect(sock, (address, target.port))
        except BaseException:
            sock.close()
            raise
        return sock

    async def _log_in(
        self, plan: SshPlan, address: str, sock: socket.socket, login: Login
    ) -> asyncssh.SSHClientConnection:
        limits, known = self._limits, self._known(plan.config, address)
        try:
            async with asyncio.timeout(limits.login_seconds_max):
                return await asyncssh.connect(
                    tunnel=SocketTunnel(sock),
                    client_factory=lambda: login,
                    username=plan.user,
                    known_hosts=known,
                    config=None,
                    client_keys=None,
                    agent_path=None,
                    x509_trusted_certs=None,
                    gss_kex=False,
                    gss_auth=False,
                    host_based_auth=False,
                    preferred_auth=list(plan.config.methods),
                    compression_algs=None,
                    login_timeout=limits.login_seconds_max,
                    keepalive_interval=limits.keepalive_seconds_max,
                    keepalive_count_max=_KEEPALIVES_MAX,
                    **algorithms(plan.config, known[0], known[1]),
                )
        except asyncssh.HostKeyNotVerifiable:
            raise
        except asyncssh.PermissionDenied as error:
            raise self._denied(plan, login) from error
        except _FAILURES as error:
            raise _failed(plan, error) from error
        finally:
            if not login.connected:
                sock.close()
            await login.close()

    def _denied(self, plan: SshPlan, login: Login) -> TerminalError:
        self._failures.spend(self._key(plan, login.dialogue), self._now())
        return TerminalError(
            "login_failed",
            f"{plan.target!r} does not let {plan.user!r} log in with that.",
            SecurityEvent.LOGIN_FAILED,
        )

    async def _open(
        self,
        plan: SshPlan,
        connection: asyncssh.SSHClientConnection,
        screen: Screen,
        sink: Sink,
    ) -> SshChannel:
        limits = self._limits
        try:
            async with asyncio.timeout(limits.connect_seconds_max):
                channel, session = await connection.create_session(
                    lambda: SshSession(sink),
                    plan.config.command or None,
                    request_pty="force",
                    term_type=screen.term,
                    term_size=(screen.columns, screen.rows),
                    term_modes={} if screen.echo else _ECHO_OFF,
                    encoding=None,
                    window=limits.window_bytes_max,
                    max_pktsize=_PACKET_BYTES_MAX,
                )
        except BaseException as error:
            await close_connection(connection, None, limits.closing_seconds_max)
            if isinstance(error, _FAILURES):
                raise _failed(plan, error) from error
            raise
        assert isinstance(session, SshSession)
        return SshChannel(connection, channel, session, limits)


def _unreachable(plan: SshPlan, error: OSError) -> TerminalError:
    if isinstance(error, TimeoutError):
        return _fault("timeout", f"{plan.target!r} does not answer.")
    return _fault("unreachable", f"{plan.target!r} cannot be reached: {error.strerror or error}.")


def _failed(plan: SshPlan, error: Exception) -> TerminalError:
    if isinstance(error, TimeoutError):
        return _fault("timeout", f"The login at {plan.target!r} took too long.")
    return _fault("protocol", f"{plan.target!r} cannot be talked to: {said(error)}.")


def _fault(code: str, text: str) -> TerminalError:
    """A fault of the server, or of the way to it."""
    return TerminalError(code, text, SecurityEvent.TARGET_FAILED)
