"""A gateway whose terminals are commands of this machine."""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.gateway.running import TCP, TELNET, WS, serving

from holdfast.backends import pty
from holdfast.backends.pty.config import PtyOptions
from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.gateway.gateway import Gateway

OWN = pwd.getpwuid(os.geteuid()).pw_name
SHELL = ("bash", "--norc", "--noprofile")


def config(*command: str, limits: Limits | None = None, user: str = OWN, **options: Any) -> Config:
    given = PtyOptions(command=command or SHELL, user=user, **options)
    return Config(
        listener=tuple(
            ListenerConfig(url=url, backend=pty.Config(given)) for url in (WS, TELNET, TCP)
        ),
        limits=limits or Limits(),
    )


@asynccontextmanager
async def shells(
    *command: str, limits: Limits | None = None, **options: Any
) -> AsyncIterator[Gateway]:
    async with serving(config(*command, limits=limits, **options)) as gateway:
        yield gateway
