"""A client of the demo that talks ten times a second once it is asked to: its lines are numbered,
so a page can count what is missing and what came twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final

import msgspec

from holdfast.client import Began, Client, Data, connect
from holdfast.core.errors import ClosedError
from holdfast.demo import control

_PAUSE_SECONDS: Final = 0.1


class Robot:
    """The robot, which also carries out what the page asks for."""

    def __init__(self, url: str, token: str, acts: Mapping[str, Callable[[], None]]) -> None:
        self._url = url
        self._token = token
        self._talks = asyncio.Event()
        self._acts = {
            control.TALK: self._talks.set,
            control.STOP_TALKING: self._talks.clear,
            **acts,
        }

    async def run(self) -> None:
        """Be in the demo until cancelled, or until the session is closed."""
        async with connect(self._url, client="demo robot") as client:
            self._introduce(client)
            async with asyncio.TaskGroup() as tasks:
                talking = tasks.create_task(self._talk(client))
                async for event in client:
                    match event:
                        case Began():
                            self._introduce(client)
                        case Data(p=control.DO, d=value):
                            self._acts[msgspec.json.decode(value, type=str)]()
                        case _:
                            pass
                talking.cancel()

    def _introduce(self, client: Client) -> None:
        client.data(control.ROBOT, {"token": self._token})

    async def _talk(self, client: Client) -> None:
        try:
            for number in count(1):
                await self._talks.wait()
                await client.room()
                client.command(str(number))
                await asyncio.sleep(_PAUSE_SECONDS)
        except ClosedError:
            return
