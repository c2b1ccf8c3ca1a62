"""`holdfast record`: writes a test script from a live conversation."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.output import EXIT_FAILED, reported, stop
from holdfast.net.addresses import Address, parse_address
from holdfast.net.runtime.loop import run
from holdfast.vtc.io.socket_address import AddressError, resolve
from holdfast.vtc.record.proxy import RecordingProxy
from holdfast.vtc.record.recording import Recording

LISTEN = "127.0.0.1:0"


def record(
    server: Annotated[str, typer.Argument(help="Whom to pass connections on to.", metavar="URL")],
    script: Annotated[Path, typer.Argument(help="The script to write.", dir_okay=False)],
    listen: Annotated[
        str, typer.Option("--listen", help="Where clients are to connect, ADDRESS:PORT.")
    ] = LISTEN,
) -> None:
    """Forward clients to a server, and write their conversation as a test script.

    Each connection becomes a client of the script, with the data that it sent and received.
    Passwords and resume codes become macros. Ctrl-C ends the recording.

    Examples:

        holdfast record ws://127.0.0.1:8080/ chat.vtc

        holdfast record telnet://127.0.0.1:4000 login.vtc --listen 127.0.0.1:4001
    """
    with reported():
        url = parse_address(server)
        if script.exists():
            stop(f"{script}: there is such a file already", EXIT_FAILED)
        try:
            run(_record(url, script, listen))
        except (OSError, AddressError) as error:
            stop(str(error), EXIT_FAILED)


async def _record(server: Address, script: Path, listen: str) -> None:
    book = Recording(server)

    def write() -> None:
        script.write_text(book.script(), encoding="utf-8")

    (at, *_) = await resolve(listen, None, socket.SOCK_STREAM)
    relay = RecordingProxy(at, book, write)
    write()
    typer.echo(f"listening at {relay.at.joined}, forwarding to {server}")
    loop = asyncio.get_running_loop()
    running = asyncio.current_task()
    assert running is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await relay.run()
    write()
    typer.echo(f"written to {script}")
