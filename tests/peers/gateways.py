"""Gateways with an application, each in a process of its own, as users start them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.cli.process import Program, program

SCHEMES: Final = ("telnet", "tcp", "ws")
ANY: Final[Mapping[str, int]] = dict.fromkeys(SCHEMES, 0)
"""Any free port."""

_CONFIG: Final = """
[store]
path = "sessions.db"

[link]
listen = "unix:link"

[limits.session]
window_messages_max = 20000
window_bytes_max = 4000000
detached_seconds_max = 600
probe_interval_seconds_max = 0.2
"""


class RunningGateway:
    """A running gateway with its application, and its ports."""

    def __init__(
        self, program: Program, ports: Mapping[str, int], application: int, process: int = 0
    ) -> None:
        self.program = program
        self.process = process or program.pid
        """The process of the gateway's first run."""
        self.ports = ports
        self.application = application
        """The process of the application's first run."""

    def url(self, scheme: str) -> str:
        """The URL of the listener of this scheme."""
        return url(scheme, self.ports[scheme])

    @property
    def page(self) -> str:
        """The URL of the page."""
        return f"http://127.0.0.1:{self.ports['ws']}/"


def url(scheme: str, port: int) -> str:
    """An address of this machine."""
    return f"{scheme}://127.0.0.1:{port}" + "/" * (scheme == "ws")


def process_in(line: str) -> int:
    """The number of the process that the demo tells."""
    return int(line.split()[-1].rstrip("."))


@asynccontextmanager
async def demo(folder: Path, ports: Mapping[str, int] = ANY) -> AsyncIterator[RunningGateway]:
    """The demo, with its data in `folder`, while the block runs."""
    options = [
        f"--{option}={url(scheme, ports[scheme])}"
        for option, scheme in (("telnet", "telnet"), ("tcp", "tcp"), ("web", "ws"))
    ]
    async with program("demo", *options, "--data", "data", folder=folder) as it:
        page = await it.says("  browser ")
        await it.says("  terminal ")
        telnet = await it.says("  telnet ")
        netcat = await it.says("  netcat ")
        found = {
            "ws": int(page.rpartition(":")[2].rstrip("/")),
            "telnet": int(telnet.split()[-1]),
            "tcp": int(netcat.split()[-1]),
        }
        process = process_in(await it.says("The gateway itself is process "))
        chat = process_in(await it.says("The chat itself is process "))
        yield RunningGateway(it, found, chat, process)


@asynccontextmanager
async def running(
    application: Path,
    folder: Path,
    *,
    durability: str = "fast",
    ports: Mapping[str, int] = ANY,
    limits: str = "",
    telnet: str = "",
) -> AsyncIterator[RunningGateway]:
    """`holdfast run APPLICATION`, with windows that hold whatever a test can miss.

    `limits` is TOML: further tables of the configuration. `telnet`: keys of the Telnet listener.
    """
    config = folder / "holdfast.toml"
    config.write_text(
        _CONFIG
        + limits
        + "".join(
            f'\n[[listener]]\nurl = "{url(scheme, ports[scheme])}"\ndurability = "{durability}"\n'
            + telnet * (scheme == "telnet")
            for scheme in SCHEMES
        )
    )
    async with program("run", application, "--config", config.name, folder=folder) as it:
        found = await it.ports(len(SCHEMES))
        (started,) = await it.logged("application started")
        await it.logged("linked")
        yield RunningGateway(it, found, started["process"])
