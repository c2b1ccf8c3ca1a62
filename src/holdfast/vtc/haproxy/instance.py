"""A HAProxy by name: its configuration and options, its runs, its command lines."""

from __future__ import annotations

import os
import signal
from typing import ClassVar

from holdfast.vtc.actors.program_run import ProgramRun
from holdfast.vtc.actors.server import Server
from holdfast.vtc.haproxy.cli import HaproxyCli
from holdfast.vtc.haproxy.config import BackendServer, backends, head, wanted_sockets
from holdfast.vtc.haproxy.processes import HAPROXY, DetachedProcess, haproxy_program
from holdfast.vtc.haproxy.ready import ReadySocket, wait_for_pid_file
from holdfast.vtc.haproxy.sockets import HandedSockets
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.lexer import cut
from holdfast.vtc.language.position import Position
from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.case import Actor, Case

_MASTER_EXIT = 128 + signal.SIGINT
"""How a master process ends that was stopped with SIGINT."""


class Haproxy(Actor):
    """A HAProxy by name."""

    kind: ClassVar[str] = "haproxy"

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.arguments = case.env.get(b"HAPROXY_ARGS", b"").decode(ENCODING)
        self.daemon = False
        self.worker = ""
        """The option for a master and a worker, `-W` or `-Ws`."""
        self.master_cli = False
        self.exit_wanted = 0
        self.cli = HaproxyCli(case, self.log, f"{name}_cli_sock")
        self.mcli = HaproxyCli(case, self.log, f"{name}_mcli_sock")
        self._config: str | None = None
        self._sockets = HandedSockets(case, self.log, name)
        self._process: ProgramRun | None = None
        self._daemon: DetachedProcess | None = None
        self._used = False
        self._path = f"{case.directory}/{name}"
        self._directory = os.fsencode(self._path).decode(ENCODING)
        os.mkdir(self._path)
        self._sockets.define_closed()

    def configure(self, text: str, *, with_servers: bool = False) -> None:
        """Take a configuration, and open the sockets that it wants. Raises `Failure`."""
        whole = head(f"{self._directory}/stats.sock") + text
        if with_servers:
            whole += backends(self._servers())
        for wanted in wanted_sockets(whole):
            self._sockets.hand_over(wanted)
        self._config = self.case.macros.expand_text(whole)

    def _servers(self) -> list[BackendServer]:
        known = [(server.name, server.address) for server in self.case.actors(Server).values()]
        return [BackendServer(name, at.host, at.port) for name, at in known if at]

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._process is not None

    async def check(self, complaint: str, exit_wanted: int) -> None:
        """Check the configuration; return the exit status and the output. Raises `Failure`."""
        process = self._launch("-c", None)
        await process.wait()
        self._process = None
        process.release()
        process.judge(exit_wanted, 0)
        if complaint not in process.output:
            text = f"Did not find expected string '{complaint}'"
            raise Failure(text, None, (process.last_words(),))
        self.log.line(2, f"Found expected '{complaint}'")

    async def start(self, position: Position | None) -> None:
        """Start the process; one in the background is ready then. Raises `Failure`."""
        ready = ReadySocket(f"{self._path}/sd_notify.sock") if self.worker == "-Ws" else None
        if self.worker and not self.daemon:
            self.exit_wanted = _MASTER_EXIT
        process = self._launch("-D" if self.daemon else "-d", ready)
        process.on_death = lambda status: self._on_death(process, status, position)
        try:
            if self.worker or self.daemon:
                await self._wait_for_pid(process)
            if ready:
                self.log.line(3, "wait-sdnotify-ready")
                await ready.wait(self.case.settings.seconds_max / 3)
                self.log.line(3, "sd_notify READY=1")
        finally:
            if ready:
                ready.close()

    def _launch(self, mode: str, ready: ReadySocket | None) -> ProgramRun:
        self.log.line(2, "haproxy_start")
        self._used = True
        command = self._command(mode)
        self.log.dump(4, "argv", command)
        self._write_config()
        env = {**self._sockets.env, **self.case.env}
        if ready:
            env[b"NOTIFY_SOCKET"] = os.fsencode(ready.path)
        self._process = process = ProgramRun(
            self.case,
            self.log,
            HAPROXY,
            ("/bin/sh", "-c", command.encode(ENCODING)),
            directory=self._path,
            env=env,
            pass_fds=[*self._sockets.fds, *self._server_fds()],
        )
        self.log.line(3, f"PID: {process.child.pid}")
        self.case.define(self.log, f"{self.name}_pid", str(process.child.pid))
        self.case.define(self.log, f"{self.name}_name", self._directory)
        return process

    def _server_fds(self) -> list[int]:
        """The servers' listening sockets, which the reference leaks to its children.

        HAProxy's suite depends on it: a port that `server -break` has closed is
        still open in the HAProxy that was started before, so a check of that
        server is not refused but times out.
        """
        servers = self.case.actors(Server).values()
        return [server.listener.fd for server in servers if server.listener]

    def _command(self, mode: str) -> str:
        program = os.fsencode(haproxy_program(self.case.env)).decode(ENCODING)
        parts = [f'exec "{program}" {mode}']
        if self.worker:
            parts.append(self.worker)
            if self.master_cli:
                parts.append(f'-S "fd@{self._sockets.open_master_cli()}"')
        parts.append(f'{self.arguments} -f "{self._directory}/cfg"')
        if self.worker or self.daemon:
            parts.append(f'-p "{self._directory}/pid"')
        return " ".join(parts)

    def _write_config(self) -> None:
        if self._config is None:
            raise Failure(f"haproxy {self.name} has no configuration")
        text = self.case.macros.expand_text(self._config)
        self.log.dump(4, "conf", text)
        with open(f"{self._path}/cfg", "wb") as file:
            file.write(text.encode(ENCODING))

    async def _wait_for_pid(self, process: ProgramRun) -> None:
        self.log.line(3, "wait-pid-file")
        own = process.child.pid
        try:
            pid = await wait_for_pid_file(
                f"{self._path}/pid", lambda found: self.daemon or found == own
            )
            if self.daemon:
                self._daemon = DetachedProcess(pid)
        except (Failure, ProcessLookupError) as error:
            text = f"haproxy {self.name} {error}"
            raise Failure(text, None, (process.last_words(),)) from None
        self.log.line(2, f"haproxy PID {pid} successfully started")

    def _on_death(self, process: ProgramRun, status: int, position: Position | None) -> None:
        """Handle an unrequested death: the test fails now, before a client times out."""
        if self._is_judged_later():
            return
        wanted = 0 if self.daemon else self.exit_wanted
        if not (os.WIFEXITED(status) and os.WEXITSTATUS(status) == wanted):
            failure = process.death(status)
            failure.position = position
            self.case.fail_now(self.log, failure)

    def _is_judged_later(self) -> bool:
        """Whether a command of the script names this instance's exit status: it waits for it."""
        commands = self.case.script.source.whole()
        return any(
            command.words[:2] == ["haproxy", self.name] and "-expectexit" in command.words
            for command in cut(commands).commands
        )

    async def wait(self, position: Position | None) -> None:
        """Stop the process, once its command lines are done. Raises `Failure`."""
        self.log.line(2, "Wait")
        if not self.running:
            await self.start(position)
        for cli in (self.cli, self.mcli):
            if cli.spec is not None:
                await cli.run(position)
        await self._stop()

    async def _stop(self) -> None:
        process = self._process
        assert process is not None
        if self._daemon:
            process.on_death = None
            await self._daemon.stop()
        self.log.line(2, f"Stop HAproxy pid={process.child.pid}")
        sent = await process.stop()
        self._process = None
        process.release()
        if not self.daemon:
            process.judge(self.exit_wanted, sent)

    async def reset(self) -> None:
        self.log.line(2, f"Reset and free {self.name} haproxy")
        if self.running:
            await (self._stop() if self.case.failing else self.wait(None))
        elif not self._used:
            raise Failure(f"haproxy {self.name} was configured and never started")
        self.release()

    def release(self) -> None:
        if self._daemon:
            self._daemon.release()
        if self._process:
            self._process.release()
        self._sockets.close()
