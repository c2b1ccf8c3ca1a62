"""`holdfast run`: a gateway and an application together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from msgspec import structs

from holdfast.backends.link.server_config import LinkConfig
from holdfast.cli.options import Level, LogLevel
from holdfast.cli.output import reported
from holdfast.cli.serve import say_where
from holdfast.cli.serving import serve_gateway
from holdfast.cli.supervise import Child, Supervisor, link_environment
from holdfast.cli.ways import ways
from holdfast.core.errors import ConfigurationError
from holdfast.gateway.config import Config, ListenerConfig, check, load
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.play_config import PlayConfig
from holdfast.gateway.store_config import StoreConfig
from holdfast.net.log import configure_logs
from holdfast.net.loggers import LazyLogger
from holdfast.net.runtime.loop import run as run_loop
from holdfast.net.runtime.loop import unwrapped

DEFAULT_DATA = Path("holdfast-data")
DEFAULT_URLS = (
    "telnet://127.0.0.1:4000",
    "tcp://127.0.0.1:4001",
    "ws://127.0.0.1:8080/",
)

Data = Annotated[Path, typer.Option("--data", help="Where sessions are kept.")]


def run(
    application: Annotated[Path, typer.Argument(help="The application, a Python file.")],
    listen: Annotated[
        list[str] | None,
        typer.Option("--listen", help="An address for clients; may be repeated.", metavar="URL"),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A configuration instead of --listen.")
    ] = None,
    data: Data = DEFAULT_DATA,
    reload: Annotated[
        bool, typer.Option("--reload", help="Restart the application when its files change.")
    ] = False,
    log_level: Level = LogLevel.info,
) -> None:
    """Run a gateway and an application together; the application is restarted when it ends.

    Examples:

        holdfast run app.py

        holdfast run app.py --reload --listen telnet://0.0.0.0:4000 --listen ws://0.0.0.0:8080/
    """
    configure_logs(log_level.value)
    with reported():
        if not application.is_file():
            raise ConfigurationError(f"{application}: expected a Python file, found none")
        if config is not None and listen:
            raise ConfigurationError("--config and --listen: expected one of them, found both")
        if config is not None:
            loaded = load(config)
        else:
            loaded = with_play(make_config(listen or DEFAULT_URLS, data), application.stem)
        if not loaded.link.listen:
            raise ConfigurationError(
                f"{config}: link.listen: expected an address for the application, found none"
            )
        watched = application.resolve().parent if reload else None
        child = Child([str(application)], _say_process, watched=watched)
        run_loop(_run_together(loaded, child, log_level.value))


def _say_how(gateway: Gateway) -> None:
    say_where(gateway)
    lines = ways(gateway.config, gateway.addresses)
    if lines:
        typer.echo("\n".join(["Connect with:", *lines]))


def _say_process(number: int) -> None:
    LazyLogger("holdfast.run").info("application started", process=number)


_OWN_PAGES: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; object-src 'none'; base-uri 'none'"
    )
}
"""The pages of the demo have no scripts or styles in line."""


def make_config(urls: Sequence[str], data: Path, pages: Path | None = None) -> Config:
    """A configuration that listens at `urls` and keeps everything in the folder `data`."""
    listeners = tuple(ListenerConfig(url=url) for url in urls)
    if pages is not None:
        listeners = tuple(
            structs.replace(listener, pages=str(pages), page_headers=_OWN_PAGES)
            if listener.address.scheme in ("ws", "wss")
            else listener
            for listener in listeners
        )
    config = Config(
        listener=listeners,
        store=StoreConfig(path=str(data / "sessions.db")),
        link=LinkConfig(listen=f"unix:{data / 'link.sock'}"),
    )
    check(config)
    return config


def with_play(config: Config, title: str) -> Config:
    """The configuration with the page `/play/`, which shows the command to connect by Telnet."""
    addresses = [listener.address for listener in config.listener]
    telnet = [
        f"telnet {at.host} {at.port}" for at in addresses if at.scheme == "telnet" and at.port
    ]
    play = PlayConfig(title=title, telnet=next(iter(telnet), ""))
    listeners = [
        structs.replace(listener, play=play) if at.scheme in ("ws", "wss") else listener
        for listener, at in zip(config.listener, addresses, strict=True)
    ]
    return structs.replace(config, listener=tuple(listeners))


async def _run_together(config: Config, application: Child, log_level: str) -> None:
    """Serve `config`, and the application behind it, until it is stopped."""
    running: list[asyncio.Task[None]] = []
    with unwrapped():
        async with asyncio.TaskGroup() as tasks:

            def start(gateway: Gateway) -> None:
                link = structs.replace(config.link, listen=str(gateway.link_address))
                _say_how(gateway)
                supervisor = Supervisor(application, link_environment(link, log_level))
                running.append(tasks.create_task(supervisor.run()))

            await serve_gateway(config, start, reloads=False)
            for task in running:
                task.cancel()
