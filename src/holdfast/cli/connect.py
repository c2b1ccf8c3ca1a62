"""`holdfast connect`: a terminal client that reconnects by itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import sys
from typing import Annotated, Final

import typer

import holdfast
from holdfast.cli.output import reported
from holdfast.cli.terminal.dialogue import Dialogue, Session
from holdfast.cli.terminal.plain import PlainScreen
from holdfast.cli.terminal.screen import Screen
from holdfast.client import client as websocket_client
from holdfast.client.core import ClientCore
from holdfast.client.gateway_addresses import GatewayAddresses, gateway_addresses
from holdfast.client.lines import LineClient
from holdfast.core.limits import Limits
from holdfast.net.runtime.loop import run
from holdfast.net.tls.contexts import client_context
from holdfast.protocols.telnet import Terminal

_DUMB: Final = ("", "dumb", "unknown")
"""Types of terminals without a cursor that moves."""


def connect(
    url: Annotated[
        list[str],
        typer.Argument(help="Where the gateway is; several share a database.", metavar="URL..."),
    ],
    ca: Annotated[
        str | None, typer.Option("--ca", help="Authorities to trust, a PEM file.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Trust any certificate. For trying out only.")
    ] = False,
) -> None:
    """Connect a terminal to a gateway; it reconnects and resumes by itself.

    Ctrl-C asks the application to stop the running command; twice, or Ctrl-D, leaves, as does
    /quit. Tab completes commands that begin with a slash. Lines are remembered for the up arrow,
    in the user's state directory; hidden lines, resume codes and lines that begin with a space
    are not. In a pipe, lines are read and written as they are.

    Examples:

        holdfast connect ws://127.0.0.1:8080/

        holdfast connect telnets://game.example.org:4443

        holdfast connect wss://a.example.org/ wss://b.example.org/
    """
    with reported():
        gateways = gateway_addresses(url)
        tls = client_context(ca, verify=not insecure) if gateways.secure else None
        run(_talk(gateways, tls))


async def _talk(gateways: GatewayAddresses, tls: ssl.SSLContext | None) -> None:
    limits = Limits()
    session: Session
    if gateways.current.scheme in ("ws", "wss"):
        core = ClientCore(client=f"holdfast-connect {holdfast.__version__}")
        session = websocket_client.Client(gateways, core, limits, tls)
    else:
        width, height = shutil.get_terminal_size()
        kind = _terminal_type()
        terminal = Terminal("holdfast-connect", holdfast.__version__, kind, width, height)
        session = LineClient(gateways, limits, tls, terminal)
    screen = _screen()
    dialogue = Dialogue(session, screen)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(session.run())]
        async with screen.running(dialogue.interrupted, dialogue.resized):
            running.append(tasks.create_task(dialogue.read_keyboard()))
            try:
                await dialogue.show()
                dialogue.leave()
            finally:
                for task in running:
                    task.cancel()


def _screen() -> Screen:
    """A line editor on a terminal that can move its cursor."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or _terminal_type() in _DUMB:
        return PlainScreen()
    from holdfast.cli.terminal.editor import EditedScreen
    from holdfast.cli.terminal.history import History, history_path

    return EditedScreen(History(history_path()))


def _terminal_type() -> str:
    return os.environ.get("TERM", "dumb")
