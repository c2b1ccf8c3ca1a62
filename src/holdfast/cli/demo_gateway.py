"""The demo's gateway: `holdfast demo` starts this process, and starts it again when it ends.

It inherits the listening sockets, so no client is refused while it is away.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import msgspec
import typer
from msgspec import Struct

from holdfast.cli.demo_config import DemoOptions, demo_config
from holdfast.cli.output import reported
from holdfast.cli.serving import serve_gateway
from holdfast.cli.supervise import end_with_parent
from holdfast.demo import control
from holdfast.net.log import configure_logs
from holdfast.net.runtime.loop import run
from holdfast.net.server.inherited import Inherited


class Start(Struct, frozen=True):
    """What the process is told by its argument, as JSON."""

    options: DemoOptions
    """With the ports that the listeners have."""
    sockets: Sequence[int]
    """The descriptors of the listening sockets."""
    log_level: str


def command(start: Start) -> Sequence[str]:
    """The arguments of Python that start the gateway."""
    return ["-m", __name__, msgspec.json.encode(start).decode()]


def main(argument: str) -> int:
    """Serve until SIGTERM, or until the parent process has ended; returns the exit code."""
    end_with_parent()
    start = msgspec.json.decode(argument, type=Start)
    configure_logs(start.log_level)
    try:
        with reported():
            config = demo_config(start.options, os.environ.get(control.TOKEN_VARIABLE, ""))
            inherited = Inherited(descriptors=start.sockets)
            run(serve_gateway(config, lambda _: None, inherited=inherited, reloads=False))
    except typer.Exit as end:
        return end.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
