"""`holdfast serve`: a gateway."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import Level, LogLevel
from holdfast.cli.output import reported
from holdfast.cli.serving import serve_gateway
from holdfast.gateway.config import load
from holdfast.gateway.gateway import Gateway
from holdfast.net.loggers import LazyLogger, set_level
from holdfast.net.runtime.loop import run

DEFAULT_CONFIG = Path("holdfast.toml")


def serve(
    config: Annotated[
        Path, typer.Argument(help="The configuration, a TOML file.")
    ] = DEFAULT_CONFIG,
    log_level: Level = LogLevel.info,
) -> None:
    """Run a gateway until SIGTERM, which notifies each client and keeps each session.

    Examples:

        holdfast serve

        holdfast serve /etc/holdfast/gateway.toml --log-level warning
    """
    set_level(log_level.value)
    with reported():
        run(serve_gateway(load(config), say_where, source=partial(load, config)))


def say_where(gateway: Gateway) -> None:
    """Log the addresses of the listeners."""
    logger = LazyLogger("holdfast")
    for address in gateway.addresses:
        logger.info("listening for clients", at=str(address))
    if gateway.link_address is not None:
        logger.info("listening for applications", at=str(gateway.link_address))
    if gateway.admin_address is not None:
        logger.info("listening for operators", at=str(gateway.admin_address))
