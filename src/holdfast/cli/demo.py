"""`holdfast demo`: a chat, to see what a gateway does."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import LogLevel
from holdfast.cli.output import reported
from holdfast.cli.run import DEFAULT_DATA, DEFAULT_URLS, Data, make_config, run_together
from holdfast.cli.supervise import Application
from holdfast.gateway.gateway import Gateway
from holdfast.net.log import configure_logs
from holdfast.net.runtime.loop import run

_TELNET, _TCP, _WEB = DEFAULT_URLS


def demo(
    telnet: Annotated[
        str, typer.Option("--telnet", help="The address for Telnet clients.")
    ] = _TELNET,
    tcp: Annotated[str, typer.Option("--tcp", help="The address for plain TCP clients.")] = _TCP,
    web: Annotated[str, typer.Option("--web", help="The address for browsers.")] = _WEB,
    data: Data = DEFAULT_DATA,
) -> None:
    """Run the demo: a chat of several rooms, for Telnet, plain TCP and the browser.

    Kill the application (its process id is shown), or disconnect the network: no client loses
    its session or its output.

    Examples:

        holdfast demo

        holdfast demo --telnet telnet://0.0.0.0:2323 --web ws://0.0.0.0:9090/
    """
    level = LogLevel.warning.value
    configure_logs(level)
    os.environ["HOLDFAST_CHAT_DATA"] = str(data.resolve())
    with reported():
        config = make_config((telnet, tcp, web), data, _pages())
        chat = Application(["-m", "holdfast.demo.chat"], level, _say_process)
        run(run_together(config, chat, lambda gateway: _say_how(gateway, data)))


def _pages() -> Path:
    return Path(str(resources.files("holdfast.demo").joinpath("pages")))


def _say_how(gateway: Gateway, data: Path) -> None:
    by_scheme = {address.scheme.rstrip("s"): address for address in gateway.addresses}
    lines = ["The chat is running. Connect with:", ""]
    web = by_scheme.get("w")
    if web is not None:
        page = f"http{'s' if web.secure else ''}://{web.authority}/"
        lines.append(f"  browser   {page}")
        lines.append(f"  terminal  holdfast connect {web}")
    telnet = by_scheme.get("telnet")
    if telnet is not None:
        lines.append(f"  telnet    telnet {telnet.host} {telnet.port}")
    tcp = by_scheme.get("tcp")
    if tcp is not None:
        lines.append(f"  netcat    nc {tcp.host} {tcp.port}")
    lines += ["", f"Sessions are stored in {data.resolve()}. Ctrl-C stops the demo; they stay."]
    typer.echo("\n".join(lines))


def _say_process(number: int) -> None:
    typer.echo(f"The chat itself is process {number}.")
