"""A command under a pseudo-terminal: its own session, process group and user. Hot path."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import signal
import struct
import subprocess
import termios
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

from holdfast.backends.pty.config import PtyOptions
from holdfast.backends.terminal.dialogue import Dialogue
from holdfast.backends.terminal.kind import Exit, Plan, Screen, Sink, TerminalError
from holdfast.core.limits import KIB, TerminalLimits

Spawn = Callable[[Coroutine[Any, Any, None]], None]

_READ_BYTES: Final = 64 * KIB
_SESSION: Final = 3
"""Where a process's session stands in its `stat`, behind its name."""
_SHELL: Final = "/bin/sh"
_TAKE_TERMINAL: Final = '{ exec "$@"; } <>"$0" 1>&0 2>&1'
"""What the shell does before the command takes its place. It keeps what it had as standard input
until then: that is closed when the command is there, which no signal to the shell can miss."""
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
_SIGNALS: Final = {
    "INT": signal.SIGINT,
    "TERM": signal.SIGTERM,
    "HUP": signal.SIGHUP,
    "KILL": signal.SIGKILL,
    "QUIT": signal.SIGQUIT,
    "USR1": signal.SIGUSR1,
    "USR2": signal.SIGUSR2,
}


class PtyOpener:
    """Starts the command of one backend."""

    def __init__(self, options: PtyOptions, limits: TerminalLimits, spawn: Spawn) -> None:
        self._options = options
        self.limits = limits
        self.spawn = spawn

    async def plan(self, dialogue: Dialogue) -> Plan:
        user = self._options.user or pwd.getpwuid(os.geteuid()).pw_name
        return Plan(self._options.command[0], user)

    async def connect(
        self, plan: Plan, dialogue: Dialogue, screen: Screen, sink: Sink
    ) -> PtyChannel:
        try:
            account = pwd.getpwnam(plan.user)  # which may be deleted since the gateway's start
        except KeyError as error:
            raise _not_started(plan) from error
        master, slave = os.openpty()
        try:
            process, is_there = _start(self._options, account, screen, slave)
        except BaseException as error:
            os.close(master)
            os.close(slave)
            if isinstance(error, OSError | ValueError | subprocess.SubprocessError):
                raise _not_started(plan) from error
            raise
        channel = PtyChannel(master, process, sink, self)
        try:
            await _closed(is_there)
        except BaseException:
            await channel.close()
            raise
        finally:
            os.close(slave)  # until here, so that the terminal does not end before it begins
        return channel


def _not_started(plan: Plan) -> TerminalError:
    return TerminalError("not_started", f"{plan.target!r} cannot be started.")


def _start(
    options: PtyOptions, account: pwd.struct_passwd, screen: Screen, slave: int
) -> tuple[subprocess.Popen[bytes], int]:
    """The command in a session of its own, which `slave` controls, and a pipe that is closed once
    it has taken the place of the shell that starts it. Raises `OSError`.

    The session is there before this returns, so that no signal to it is lost; whoever leads a
    session without a terminal gets the first that it opens.
    """
    _set_size(slave, screen.columns, screen.rows)
    if not screen.echo:
        modes = termios.tcgetattr(slave)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, modes)
    other = account.pw_uid != os.geteuid()
    if other:
        os.fchown(slave, account.pw_uid, -1)
    is_there, held = os.pipe()
    try:
        process = subprocess.Popen(
            (_SHELL, "-c", _TAKE_TERMINAL, os.ttyname(slave), *options.command),
            stdin=held,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd=options.folder or (account.pw_dir if Path(account.pw_dir).is_dir() else "/"),
            env=_environment(options, account, screen),
            user=account.pw_uid if other else None,
            group=account.pw_gid if other else None,
            extra_groups=os.getgrouplist(account.pw_name, account.pw_gid) if other else None,
        )
    except BaseException:
        os.close(is_there)
        raise
    finally:
        os.close(held)
    return process, is_there


async def _closed(pipe: int) -> None:
    """Wait until nobody has the other end of `pipe`, and close this one."""
    loop, closed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe, closed.set)
    try:
        await closed.wait()
    finally:
        loop.remove_reader(pipe)
        os.close(pipe)


def _environment(options: PtyOptions, account: pwd.struct_passwd, screen: Screen) -> dict[str, str]:
    """Nothing of the gateway's own is passed on."""
    return {
        "TERM": screen.term,
        "HOME": account.pw_dir,
        "USER": account.pw_name,
        "LOGNAME": account.pw_name,
        "SHELL": account.pw_shell or "/bin/sh",
        "PATH": _PATH,
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        **dict(variable.split("=", 1) for variable in options.environment),
    }


def _set_size(descriptor: int, columns: int, rows: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class PtyChannel:
    """One command. What it has put out is read until its terminal ends."""

    def __init__(
        self,
        master: int,
        process: subprocess.Popen[bytes],
        sink: Sink,
        opener: PtyOpener,
    ) -> None:
        os.set_blocking(master, False)
        self._master = master
        self._process = process
        self._sink = sink
        self._limits = opener.limits
        self._spawn = opener.spawn
        self._loop = asyncio.get_running_loop()
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._full = False
        self._over = False
        """Whether the terminal has ended."""
        self._loop.add_reader(master, self._read)

    @property
    def full(self) -> bool:
        return self._full

    def write(self, data: bytes) -> None:
        if self._over:
            return
        waits = bool(self._unsent)
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if not waits:
            self._send()
            if self._unsent:
                self._loop.add_writer(self._master, self._go_on_sending)
        self._full = self._unsent_bytes > self._limits.unsent_bytes_max

    def pause_reading(self) -> None:
        if not self._over:
            self._loop.remove_reader(self._master)

    def resume_reading(self) -> None:
        if not self._over:
            self._loop.add_reader(self._master, self._read)

    def resize(self, columns: int, rows: int) -> None:
        if not self._over:
            _set_size(self._master, columns, rows)

    def signal(self, name: str) -> None:
        if name in _SIGNALS:
            self._kill(_SIGNALS[name])

    def round_trip(self) -> float | None:
        return None

    async def close(self) -> None:
        """Hang up, as a modem does: a command that does not end by itself is killed."""
        self._end()
        try:
            self._kill(signal.SIGHUP)
            await self._wait()
        finally:
            self._kill(signal.SIGKILL)
            # Carried out also if this is cancelled.
            await asyncio.shield(self._loop.run_in_executor(None, self._kill_left_behind))

    def _kill_left_behind(self) -> None:
        """Kill what is left of the session, and reap the command. It reads the state of every
        process: not on the event loop."""
        for pid in _left_behind(self._process.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(self._limits.closing_seconds_max)

    def _kill(self, number: int) -> None:
        """Signal the whole process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read(self) -> None:
        try:
            data = os.read(self._master, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if data:
            self._sink.received(data)
            return
        self._end()
        self._spawn(self._tell_end())

    async def _tell_end(self) -> None:
        """The terminal has ended: say how the command has."""
        code = await self._wait()
        if code is None:
            self._sink.ended(Exit(error="The command has left its terminal."))
        elif code < 0:
            self._sink.ended(Exit(signal=signal.Signals(-code).name.removeprefix("SIG")))
        else:
            self._sink.ended(Exit(status=code))

    async def _wait(self) -> int | None:
        """How the command has ended; `None` if it has not for too long."""
        if self._process.poll() is not None:
            return self._process.returncode
        try:
            return await asyncio.to_thread(self._process.wait, self._limits.closing_seconds_max)
        except subprocess.TimeoutExpired:
            return None

    def _send(self) -> None:
        unsent = self._unsent
        while unsent:
            try:
                sent = os.write(self._master, unsent[0])
            except BlockingIOError:
                break
            except OSError:
                unsent.clear()
                self._unsent_bytes = 0
                break
            self._unsent_bytes -= sent
            if sent == len(unsent[0]):
                unsent.popleft()
            else:
                unsent[0] = unsent[0][sent:]

    def _go_on_sending(self) -> None:
        self._send()
        if not self._unsent:
            self._loop.remove_writer(self._master)
        if self._full and self._unsent_bytes <= self._limits.unsent_bytes_max // 2:
            self._full = False
            self._sink.writable()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._master)


def _left_behind(session: int) -> Iterator[int]:
    """The processes of a session: jobs in groups of their own among them."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[_SESSION]) == session:
            yield int(stat.parent.name)
