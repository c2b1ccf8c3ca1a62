"""`holdfast demo`: a chat, to see what a gateway does."""

from __future__ import annotations

import os
import secrets
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer
from msgspec import structs

from holdfast.backends import ssh as ssh_backend
from holdfast.backends.ssh.config import SshOptions, TargetConfig
from holdfast.cli.options import LogLevel
from holdfast.cli.output import reported
from holdfast.cli.run import DEFAULT_DATA, DEFAULT_URLS, Beside, Data, make_config, run_together
from holdfast.cli.supervise import Application, Supervisor
from holdfast.cli.ways import ways
from holdfast.core.errors import ConfigurationError
from holdfast.demo import control
from holdfast.demo.robot import Robot
from holdfast.gateway.config import Config, ListenerConfig, check
from holdfast.gateway.gateway import Gateway
from holdfast.net.http.hosts import is_loopback_name
from holdfast.net.log import configure_logs
from holdfast.net.runtime.loop import run
from holdfast.protocols.uris import split_authority

_TELNET, _TCP, _WEB = DEFAULT_URLS
_TERMINALS = "ws://127.0.0.1:8022/"
_SSH_PORT = 22
_LOOPBACK = ("127.0.0.0/8", "::1/128")


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

    Kill the application (its process id is shown), or disconnect the network: no client loses
    its session or its output.

    Examples:

        holdfast demo

        holdfast demo --telnet telnet://0.0.0.0:2323 --web ws://0.0.0.0:9090/

        holdfast demo --ssh build.example.org
    """
    level = LogLevel.warning.value
    configure_logs(level)
    os.environ["HOLDFAST_CHAT_DATA"] = str(data.resolve())
    with reported():
        config = make_config((web, telnet, tcp), data, _pages())
        token = secrets.token_urlsafe() if _is_local(config) else ""
        if token:
            os.environ[control.TOKEN_VARIABLE] = token
            config = _with_header(config, token)
        if ssh:
            config = with_terminals(config, terminals, ssh)
        chat = Application(["-m", "holdfast.demo.chat"], level, _say_process)

        def started(gateway: Gateway) -> None:
            _tell_ways(gateway)
            _say_how(gateway, data)

        run(run_together(config, chat, started, _robot(token) if token else None))


def _is_local(config: Config) -> bool:
    """Whether no other machine reaches the demo's page: only then it may kill anything."""
    web = config.listener[0].address
    return web.scheme == "ws" and is_loopback_name(web.host)


def _with_header(config: Config, token: str) -> Config:
    web, *others = config.listener
    headers = web.page_headers | {control.TOKEN_HEADER: token}
    return structs.replace(config, listener=(structs.replace(web, page_headers=headers), *others))


def _tell_ways(gateway: Gateway) -> None:
    """Tell the application how to connect to the addresses that were found."""
    for line in ways(gateway):
        kind, _, command = line.strip().partition(" ")
        variable = {"telnet": control.TELNET_VARIABLE, "terminal": control.TERMINAL_VARIABLE}
        if kind in variable:
            os.environ.setdefault(variable[kind], command.strip())


def _robot(token: str) -> Beside:
    async def run_robot(gateway: Gateway, supervisor: Supervisor) -> None:
        await Robot(str(gateway.addresses[0]), token, supervisor.kill).run()

    return run_robot


def _pages() -> Path:
    return Path(str(resources.files("holdfast.demo").joinpath("pages")))


def with_terminals(config: Config, url: str, server: str) -> Config:
    """The configuration with terminals on the SSH server `server` (`HOST` or `HOST:PORT`) at `url`.

    The user is asked whether the server's key is the right one. Raises `ConfigurationError`.
    """
    split = split_authority(server)
    if split is None:
        raise ConfigurationError(f"--ssh: expected HOST or HOST:PORT, found {server!r}")
    host, port = split
    target = TargetConfig(name=server, host=host, port=_SSH_PORT if port is None else port)
    options = SshOptions(target=(target,), allow_networks=_LOOPBACK)  # as `localhost` resolves
    backend = ssh_backend.Config(options)
    listener = ListenerConfig(url=url, backend=backend)
    config = structs.replace(config, listener=(*config.listener, listener))
    check(config)
    return config


def _say_how(gateway: Gateway, data: Path) -> None:
    lines = ["The chat is running. Connect with:", "", *ways(gateway)]
    lines += ["", f"Sessions are stored in {data.resolve()}. Ctrl-C stops the demo; they stay."]
    typer.echo("\n".join(lines))


def _say_process(number: int) -> None:
    typer.echo(f"The chat itself is process {number}.")
