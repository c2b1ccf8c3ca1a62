"""The backend `ssh`: a session is a terminal on an SSH server."""

from __future__ import annotations

from holdfast.backends.base import Backend, Services
from holdfast.backends.ssh.config import Config as Config
from holdfast.backends.terminal.backend import TerminalBackend, TerminalSettings


def open(config: Config, services: Services) -> Backend:
    """The backend of one listener's servers."""
    from holdfast.backends.ssh.opener import SshOpener  # a listener without it starts faster

    options, timers = config.ssh, services.runtime.timers
    opener = SshOpener(options, services.limits.terminal, lambda: timers.now)
    settings = TerminalSettings(
        name=config.name,
        kind=config.kind,
        pauses=options.away == "pause",
        record=options.record,
        record_input=options.record_input,
    )
    return TerminalBackend(settings, opener, services)
