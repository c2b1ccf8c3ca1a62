"""What the commands `gateway` and `application` have in common."""

from __future__ import annotations

from holdfast.vtc.case import Case
from holdfast.vtc.command import Command, Given, option
from holdfast.vtc.gateway.daemon import Daemon
from holdfast.vtc.interpreter import Scope
from holdfast.vtc.numbers import unsigned
from holdfast.vtc.process import signal_number

DAEMON_OPTIONS = (
    option("-arg STRING", "A further argument of the next start. May be repeated."),
    option("-start", "Start it, and wait until it is ready."),
    option("-stop", "SIGTERM; it ends in an orderly way, with status 0."),
    option("-kill", "SIGKILL, which it cannot notice."),
    option("-signal SIGNAL", "Send a signal: TERM, INT, KILL, HUP or -NUMBER."),
    option("-wait", "Wait until it ends by itself."),
    option("-expectexit NUMBER", "It ends with this status."),
)


async def run_daemon(scope: Scope[Case], daemon: Daemon, given: Given) -> bool:
    """Do what one of `DAEMON_OPTIONS` says. Says whether it was one. Raises `Failure`."""
    match given.flag:
        case "-arg":
            daemon.arguments.append(given.values[0])
        case "-start":
            await daemon.start(scope.position)
        case "-stop":
            await daemon.stop()
        case "-kill":
            await daemon.kill()
        case "-signal":
            daemon.signal(signal_number(given.values[0]))
        case "-wait":
            await daemon.wait()
        case "-expectexit":
            daemon.exit_wanted = unsigned(given.values[0])
        case _:
            return False
    return True


COMMANDS: tuple[Command, ...] = ()
