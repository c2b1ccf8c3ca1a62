"""Somebody on plain TCP, who types the resume code after every cut."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.clients.person import Person

if TYPE_CHECKING:
    from tests.simulation.world import World

ADDRESSES = ("tcp://127.0.0.1:2", "tcp://127.0.0.1:12", "tcp://127.0.0.1:22")
_CODE: Final = re.compile(r'type "resume ([0-9A-Z-]+)"')


class LineClient(Person):
    """Lines, both ways."""

    addresses = ADDRESSES

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self._code = self._newest = ""
        """The resume code of the session, and the one that was shown last on this connection."""
        self._asked = False
        """Whether the resume code was typed, and not answered yet."""
        self._buffer = b""

    @property
    def can_type(self) -> bool:
        return self.pipe is not None

    def command(self, text: str) -> None:
        self.transport.write(f"{text}\n".encode())

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._buffer, self._newest = b"", ""
        self._asked = bool(self._code)
        if self._asked:
            self.command(f"resume {self._code}")

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self.read(line.decode())

    def notice(self, text: str) -> None:
        super().notice(text)
        if "does not resume" in text:
            self._asked = False
        elif text.startswith("Welcome back."):
            self._asked, self._newest = False, ""
            self.attached()
        elif text == "You may have seen this:":
            self.doubt = True
        elif text in ("You missed this:", "That was all."):
            self.doubt = False
        if match := _CODE.search(text):
            self._newest = match[1]
        # Until the answer, what is heard is of a session that is left again.
        if self._newest and not self._asked:
            self._code = self._newest
            self.entered = True
