"""The configuration of `holdfast demo`: its command and its gateway make the same one."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from holdfast.backends import ssh as ssh_backend
from holdfast.backends.ssh.config import SshOptions, TargetConfig
from holdfast.cli.run import make_config
from holdfast.core.errors import ConfigurationError
from holdfast.demo import control
from holdfast.gateway.config import Config, ListenerConfig, check
from holdfast.net.http.hosts import is_loopback_name
from holdfast.protocols.uris import split_authority

_SSH_PORT = 22
_LOOPBACK = ("127.0.0.0/8", "::1/128")
_DURABILITY: Final = "durable"
"""A gateway that is killed loses nothing that anybody has seen."""


class DemoOptions(Struct, frozen=True):
    """The options of the command."""

    web: str
    telnet: str
    tcp: str
    data: str
    ssh: str
    """Empty: no terminals."""
    terminals: str


def demo_config(options: DemoOptions, token: str) -> Config:
    """The configuration; pages get the `token`, if there is one. Raises `ConfigurationError`."""
    urls = (options.web, options.telnet, options.tcp)
    config = make_config(urls, Path(options.data), demo_pages())
    listeners = tuple(structs.replace(one, durability=_DURABILITY) for one in config.listener)
    config = structs.replace(config, listener=listeners)
    if token:
        config = _with_header(config, token)
    return with_terminals(config, options.terminals, options.ssh) if options.ssh else config


def is_local(config: Config) -> bool:
    """Whether no other machine reaches the demo's page: only then it may kill anything."""
    web = config.listener[0].address
    return web.scheme == "ws" and is_loopback_name(web.host)


def demo_pages() -> Path:
    """The folder of the demo's page."""
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


def _with_header(config: Config, token: str) -> Config:
    web, *others = config.listener
    headers = web.page_headers | {control.TOKEN_HEADER: token}
    return structs.replace(config, listener=(structs.replace(web, page_headers=headers), *others))
