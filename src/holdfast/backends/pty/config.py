"""The keys of a listener whose sessions are commands of this machine, each in a terminal.

```toml
[[listener]]
url = "wss://127.0.0.1:8443/shell"
backend = "pty"

[listener.pty]
command = ["bash", "-l"]
user = "guest"                 # another user than the gateway's requires that it runs as root
```

The listener itself does not authenticate: every client gets the command. Use a command that does
(`login`), client certificates, or a proxy that authenticates its users.
"""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path
from typing import Final

from msgspec import Struct

from holdfast.backends.base import BackendConfig, Placement
from holdfast.backends.ssh.config import AWAY, check_record
from holdfast.core.errors import ConfigurationError

_ROOT: Final = "root"


class PtyOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """The command that runs in each terminal, and its user."""

    command: tuple[str, ...] = ()
    """The program and its arguments."""
    user: str = ""
    """The user that it runs as. Empty: that of the gateway, unless it is root."""
    folder: str = ""
    """The working directory. Empty: the user's home."""
    environment: tuple[str, ...] = ()
    """Variables in addition to TERM, HOME, USER, LOGNAME, SHELL, PATH and LANG, as in
    `["EDITOR=vi"]`."""
    away: str = "drain"
    """What happens while a session is detached and its ring buffer is full: the oldest output is
    dropped (`drain`), or the command's output is not read (`pause`)."""
    record: str = ""
    """A folder for recordings of the terminals. Empty: none are made."""
    record_input: bool = False
    """Whether recordings include input, with passwords that are typed."""


class Config(BackendConfig, frozen=True):
    """The keys of the kind `pty`."""

    kind = "pty"
    raw = True
    terminal = True

    pty: PtyOptions = PtyOptions()

    def check(self, placement: Placement) -> None:
        key, options = f"{placement.key}.pty", self.pty
        if not options.command:
            raise ConfigurationError(f"{key}.command: expected a command, found none")
        if shutil.which(options.command[0]) is None:
            raise ConfigurationError(
                f"{key}.command: expected a program, found {options.command[0]!r}"
            )
        for number, variable in enumerate(options.environment):
            if not variable.partition("=")[0] or "=" not in variable:
                raise ConfigurationError(
                    f"{key}.environment[{number}]: expected NAME=value, found {variable!r}"
                )
        if options.away not in AWAY:
            raise ConfigurationError(
                f"{key}.away: expected 'drain' or 'pause', found {options.away!r}"
            )
        if options.folder and not Path(options.folder).is_dir():
            raise ConfigurationError(f"{key}.folder: expected a folder, found {options.folder!r}")
        check_record(f"{key}.record", options.record)
        _check_user(f"{key}.user", options.user)


def _check_user(key: str, user: str) -> None:
    own = pwd.getpwuid(os.geteuid()).pw_name
    if not user:
        if own == _ROOT:
            raise ConfigurationError(
                f"{key}: expected a user, because the gateway runs as root; found none"
            )
        return
    try:
        pwd.getpwnam(user)
    except KeyError as error:
        raise ConfigurationError(
            f"{key}: expected a user of this machine, found {user!r}"
        ) from error
    if user != own and own != _ROOT:
        raise ConfigurationError(
            f"{key}: expected {own!r}, because the gateway is not root; found {user!r}"
        )
