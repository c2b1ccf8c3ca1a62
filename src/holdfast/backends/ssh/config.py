"""The keys of a listener whose sessions are terminals on SSH servers.

```toml
[[listener]]
url = "wss://0.0.0.0:8443/term"
backend = "ssh"

[listener.ssh]
known_hosts = "/etc/holdfast/known_hosts"
unknown_keys = "refuse"                 # default: "ask", which shows the user the fingerprint

[[listener.ssh.target]]
name = "build"
host = "build.example.org"
```
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from msgspec import Struct

from holdfast.backends.base import BackendConfig, Placement
from holdfast.core.errors import ConfigurationError

UNKNOWN_KEYS: Final = ("ask", "refuse")
AWAY: Final = ("drain", "pause")
METHODS: Final = ("publickey", "keyboard-interactive", "password")


class TargetConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A server that users may choose."""

    name: str
    """The server's name in the list that users choose from."""
    host: str
    """A name or an address. An address here is allowed even in a denied network."""
    port: int = 22
    """The port of its SSH server."""
    user: str = ""
    """The only user to log in as. Empty: the user is asked."""
    methods: tuple[str, ...] = METHODS
    """The methods of authentication, in the order in which they are tried."""
    key_file: str = ""
    """A private key that all users of this listener log in with."""
    command: str = ""
    """A command that runs instead of the user's shell."""
    legacy: bool = False
    """Whether old algorithms are allowed, for a server without newer ones."""


class SshOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The SSH servers that may be reached, and how they are verified."""

    target: tuple[TargetConfig, ...] = ()
    """The servers that users may choose."""
    allow_hosts: tuple[str, ...] = ()
    """Patterns (`*.lab.example.org`) of the hosts that a user may enter. Empty: targets only."""
    allow_ports: tuple[int, ...] = (22,)
    """The ports of hosts that a user enters."""
    allow_networks: tuple[str, ...] = ()
    """Exceptions from the denied networks, as for loopback addresses."""
    deny_networks: tuple[str, ...] = ()
    """Networks that are denied in addition to link-local, loopback, multicast and unspecified
    addresses and those of metadata services."""
    known_hosts: str = ""
    """The known host keys: a file in OpenSSH's format."""
    unknown_keys: str = "ask"
    """What happens when the key of a server is unknown: `ask` shows the user its fingerprint,
    `refuse` ends the connection. A changed key is always refused."""
    agent: str = ""
    """The socket of an SSH agent that all users of this listener log in with."""
    away: str = "drain"
    """What happens while a session is detached and its ring buffer is full: the oldest output is
    dropped (`drain`), or the server is not read (`pause`)."""
    record: str = ""
    """A folder for recordings of the terminals. Empty: none are made."""
    record_input: bool = False
    """Whether recordings include input, with passwords that are typed."""


class Config(BackendConfig, frozen=True):
    """The keys of the kind `ssh`."""

    kind = "ssh"
    raw = True
    terminal = True

    ssh: SshOptions = SshOptions()

    def check(self, placement: Placement) -> None:
        if find_spec("asyncssh") is None:
            raise ConfigurationError(
                f"{placement.key}.backend: expected asyncssh to be installed (holdfast[ssh]); found"
                " none"
            )
        key, options = f"{placement.key}.ssh", self.ssh
        if not options.target and not options.allow_hosts:
            raise ConfigurationError(
                f"{key}.target: expected a [[listener.ssh.target]] or allow_hosts, found neither"
            )
        _check_choice(f"{key}.unknown_keys", options.unknown_keys, UNKNOWN_KEYS)
        _check_choice(f"{key}.away", options.away, AWAY)
        for name in ("allow_networks", "deny_networks"):
            for number, network in enumerate(getattr(options, name)):
                _check_network(f"{key}.{name}[{number}]", network)
        if options.known_hosts and not Path(options.known_hosts).is_file():
            raise ConfigurationError(
                f"{key}.known_hosts: expected a file, found {options.known_hosts!r}"
            )
        check_record(f"{key}.record", options.record)
        seen = set[str]()
        for number, target in enumerate(options.target):
            _check_target(f"{key}.target[{number}]", target, seen)
            seen.add(target.name)


def _check_target(key: str, target: TargetConfig, seen: set[str]) -> None:
    for name in ("name", "host"):
        if not getattr(target, name):
            raise ConfigurationError(f"{key}.{name}: expected a name, found none")
    if target.name in seen:
        raise ConfigurationError(f"{key}.name: expected a name of its own, found {target.name!r}")
    if not 0 < target.port < 65_536:
        raise ConfigurationError(f"{key}.port: expected 1 to 65535, found {target.port}")
    for number, method in enumerate(target.methods):
        _check_choice(f"{key}.methods[{number}]", method, METHODS)
    if target.key_file and not Path(target.key_file).is_file():
        raise ConfigurationError(f"{key}.key_file: expected a file, found {target.key_file!r}")


def check_record(key: str, folder: str) -> None:
    """Raises `ConfigurationError` for a folder of recordings that is none."""
    if folder and not Path(folder).is_dir():
        raise ConfigurationError(f"{key}: expected a folder, found {folder!r}")


def _check_choice(key: str, found: str, choices: Sequence[str]) -> None:
    if found not in choices:
        raise ConfigurationError(
            f"{key}: expected {' or '.join(map(repr, choices))}, found {found!r}"
        )


def _check_network(key: str, network: str) -> None:
    try:
        ipaddress.ip_network(network)
    except ValueError as error:
        raise ConfigurationError(
            f"{key}: expected a network as in '10.0.0.0/8', found {network!r}"
        ) from error
