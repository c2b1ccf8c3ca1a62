"""`holdfast demo`: a chat, to see what a gateway does."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs

from holdfast.cli import demo_gateway
from holdfast.cli.demo_config import DemoOptions, demo_config, is_local
from holdfast.cli.demo_processes import Processes
from holdfast.cli.demo_sockets import Sockets
from holdfast.cli.options import LogLevel
from holdfast.cli.output import reported
from holdfast.cli.run import DEFAULT_DATA, DEFAULT_URLS, Data
from holdfast.cli.ways import ways
from holdfast.demo import control
from holdfast.gateway.config import Config
from holdfast.net.addresses import Address
from holdfast.net.log import configure_logs
from holdfast.net.runtime.loop import run

_TELNET, _TCP, _WEB = DEFAULT_URLS
_TERMINALS = "ws://127.0.0.1:8022/"


def demo(
    telnet: Annotated[
        str, typer.Option("--telnet", help="The address for Telnet clients.")
    ] = _TELNET,
    tcp: Annotated[str, typer.Option("--tcp", help="The address for plain TCP clients.")] = _TCP,
    web: Annotated[str, typer.Option("--web", help="The address for browsers.")] = _WEB,
    data: Data = DEFAULT_DATA,
    ssh: Annotated[
        str,
        typer.Option("--ssh", help="Also offer terminals on this SSH server.", metavar="HOST"),
    ] = "",
    terminals: Annotated[
        str, typer.Option("--terminals", help="The address of the terminals' page, with --ssh.")
    ] = _TERMINALS,
) -> None:
    """Run the demo: a chat of several rooms, for Telnet, plain TCP and the browser.

    Kill the application or the gateway (their process ids are shown; each is started again), or
    disconnect the network: no client loses its session or its output.

    Examples:

        holdfast demo

        holdfast demo --telnet telnet://0.0.0.0:2323 --web ws://0.0.0.0:9090/

        holdfast demo --ssh build.example.org
    """
    level = LogLevel.warning.value
    configure_logs(level)
    os.environ["HOLDFAST_CHAT_DATA"] = str(data.resolve())
    options = DemoOptions(web, telnet, tcp, str(data), ssh, terminals)
    with reported():
        config = demo_config(options, "")
        token = secrets.token_urlsafe() if is_local(config) else ""
        if token:
            os.environ[control.TOKEN_VARIABLE] = token
        run(_run(config, options, token, level))


async def _run(config: Config, options: DemoOptions, token: str, log_level: str) -> None:
    sockets = Sockets(config)
    addresses = sockets.addresses
    found = dict(zip(("web", "telnet", "tcp", "terminals"), map(str, addresses), strict=False))
    start = demo_gateway.Start(structs.replace(options, **found), sockets.descriptors, log_level)
    _tell_ways(config, addresses)
    try:
        await Processes(
            demo_gateway.command(start),
            sockets.descriptors,
            config.link,
            log_level,
            lambda: _say_how(config, addresses, Path(options.data)),
            typer.echo,
        ).run(str(addresses[0]), token, sockets.close)
    finally:
        sockets.close()


def _tell_ways(config: Config, addresses: Sequence[Address]) -> None:
    """Tell the application how to connect to the addresses that were found."""
    for line in ways(config, addresses):
        kind, _, command = line.strip().partition(" ")
        variable = {"telnet": control.TELNET_VARIABLE, "terminal": control.TERMINAL_VARIABLE}
        if kind in variable:
            os.environ.setdefault(variable[kind], command.strip())


def _say_how(config: Config, addresses: Sequence[Address], data: Path) -> None:
    lines = ["The chat is running. Connect with:", "", *ways(config, addresses)]
    lines += ["", f"Sessions are stored in {data.resolve()}. Ctrl-C stops the demo; they stay."]
    typer.echo("\n".join(lines))
