"""`holdfast version`: the version, and what the program runs on."""

from __future__ import annotations

from typing import Annotated

import typer


def version(
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Also what it runs on.")] = False,
) -> None:
    """Print the version, and with `-v` what it runs on.

    Examples:

        holdfast version

        holdfast version -v
    """
    from holdfast import __version__

    typer.echo(f"holdfast {__version__}")
    if not verbose:
        return
    import platform

    from holdfast.core import items
    from holdfast.net.runtime.loop import new_event_loop
    from holdfast.net.transport import transports as sockets
    from holdfast.protocols.websocket import codec

    typer.echo(f"python {platform.python_version()} on {platform.system()}")
    typer.echo(f"event loop: {new_event_loop.__module__.partition('.')[0]}")
    typer.echo(f"websocket codec: {'compiled' if codec.COMPILED else 'pure Python'}")
    typer.echo(f"sockets: {'compiled' if sockets.COMPILED else 'of the event loop'}")
    compiled = not items.__file__.endswith(".py")
    typer.echo(f"core: {'compiled' if compiled else 'pure Python'}")
