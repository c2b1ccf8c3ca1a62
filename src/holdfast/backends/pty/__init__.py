"""The backend `pty`: a session is a command of this machine, in a terminal of its own."""

from __future__ import annotations

from holdfast.backends.base import Backend, Services
from holdfast.backends.pty.config import Config as Config
from holdfast.backends.pty.process import PtyOpener
from holdfast.backends.terminal.backend import TerminalBackend, TerminalSettings


def open(config: Config, services: Services) -> Backend:
    """The backend of one command."""
    options = config.pty
    settings = TerminalSettings(
        name=config.name,
        kind=config.kind,
        pauses=options.away == "pause",
        record=options.record,
        record_input=options.record_input,
    )
    opener = PtyOpener(options, services.limits.terminal, services.spawn)
    return TerminalBackend(settings, opener, services)
