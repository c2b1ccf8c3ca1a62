"""A conversation in messages, for all protocols: the received messages and the bytes to send.

The protocols are the cores of `holdfast.protocols`, which do no I/O; a subclass feeds one of
them and translates its events.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple

from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.numbers import whole
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.scope import Scope

RECEIVE_BYTES_MAX = 65536
_SHOWN_MAX = 12
"""Messages that a failure shows."""


def to_script(text: str) -> str:
    """Text as scripts hold it: a character for each of its UTF-8 bytes."""
    return text.encode("utf-8", "surrogateescape").decode(ENCODING)


def from_script(word: str) -> str:
    """The text that a word of a script stands for, the reverse of `to_script`."""
    return word.encode(ENCODING).decode("utf-8", "surrogateescape")


class ReceivedMessage(NamedTuple):
    """A message of the peer."""

    kind: str
    text: str
    """As scripts hold it."""
    fields: Any = None
    """The values in it, where it holds JSON."""


def json_in(text: str) -> Any:
    """Decode a JSON text; `None` if it is malformed."""
    try:
        return json.loads(text)
    except ValueError:
        return None


class Conversation(ABC):
    """One connection while a specification of messages runs on it."""

    aside: ClassVar[frozenset[str]]
    """Kinds of messages that need not be received: they wait until a command asks for them."""
    passed: ClassVar[frozenset[str]] = frozenset()
    """Kinds that are skipped in their order, unless a command asks for them."""

    def __init__(self, connection: HttpConnection) -> None:
        self.connection = connection
        self.last = ReceivedMessage("", "")
        """What `expect` looks at."""
        self._main: deque[ReceivedMessage] = deque()
        self._aside: deque[ReceivedMessage] = deque()
        self._shown: deque[str] = deque(maxlen=_SHOWN_MAX)
        self._ended = False

    # For the protocols.

    @abstractmethod
    def _take_in(self, data: bytes) -> Iterable[ReceivedMessage]:
        """The messages in `data`. Raises `Failure` if it breaks the protocol."""

    @abstractmethod
    def _to_send(self) -> bytes:
        """Return the bytes that the protocol wants to send now."""

    def value(self, word: str) -> str | None:
        """A value of the protocol's own; the word itself if it names none."""
        return word

    # For the commands.

    async def flush(self, scope: Scope[Any]) -> None:
        """Send the queued bytes. Raises `Failure`."""
        if data := self._to_send():
            await self.send(scope, data)

    async def send(self, scope: Scope[Any], data: bytes) -> None:
        """Send bytes. Raises `Failure`."""
        try:
            await self.connection.open_socket(scope).send(data)
        except OSError as error:
            raise scope.failure(f"cannot send: {error.strerror}", None, *self.notes()) from None

    async def receive(
        self, scope: Scope[Any], kind: str, accepts: Callable[[str], bool] | None = None
    ) -> ReceivedMessage:
        """The next message, which must be of this kind.

        One that `accepts` does not accept is passed over. Raises `Failure`.
        """
        while True:
            found = self._find(kind, accepts)
            await self.flush(scope)  # the input may require an answer
            if found is not None:
                if accepts is None or (found.kind == kind and accepts(found.text)):
                    return found
            elif not await self.read(scope, f"rx {kind}"):
                text = f"rx {kind}: the peer has closed the connection"
                raise scope.failure(text, None, *self.notes())

    async def receive_whole(self, scope: Scope[Any], kind: str, text: str) -> ReceivedMessage:
        """The next message, which must be of this kind and will be held against `text`.

        Raises `Failure`.
        """
        return await self.receive(scope, kind)

    def _find(self, kind: str, accepts: Callable[[str], bool] | None) -> ReceivedMessage | None:
        """A message of this kind, if there is one; takes it away. Raises `Failure`."""
        if kind in self.aside:
            found = next((one for one in self._aside if one.kind == kind), None)
            if found is not None:
                self._aside.remove(found)
                self._taken(found)
            return found
        while self._main:
            found = self._main.popleft()
            self._taken(found)
            if found.kind == kind or accepts is not None:
                return found
            if found.kind not in self.passed:
                text = f"rx {kind}: received {found.kind} {found.text!r}"
                raise Failure(text, None, self.notes())
        return None

    def _taken(self, message: ReceivedMessage) -> None:
        """The specification has received a message, or passed over it. Raises `Failure`."""
        self.last = message

    async def read(self, scope: Scope[Any], what: str) -> bool:
        """Take in what comes next. False at the end of the stream. Raises `Failure`."""
        data = b"" if self._ended else await self._read(scope, what)
        if not data:
            self._ended = True
            return False
        for message in self._take_in(data):
            self._keep(scope, message)
        await self.flush(scope)
        return True

    async def _read(self, scope: Scope[Any], what: str) -> bytes:
        seconds = self.connection.seconds_max
        try:
            return await self.connection.open_socket(scope).recv(RECEIVE_BYTES_MAX, seconds)
        except TimeoutError:
            text = f"{what}: nothing came within {seconds:g} s"
            raise scope.failure(text, None, *self.notes()) from None
        except OSError as error:
            scope.log.line(4, f"the connection broke: {error.strerror}")
            return b""

    def _keep(self, scope: Scope[Any], message: ReceivedMessage) -> None:
        (self._aside if message.kind in self.aside else self._main).append(message)
        shown = f"{message.kind} {message.text}".rstrip()
        self._shown.append(shown)
        scope.log.dump(4, "rx", shown)

    async def expect_end(self, scope: Scope[Any]) -> None:
        """Wait until the peer closes without a further message. Raises `Failure`."""
        while not self._main and await self.read(scope, "expect_close"):
            pass
        if self._main:
            text = f"expect_close: received {self._main[0].kind} {self._main[0].text!r}"
            raise scope.failure(text, None, *self.notes())

    def drop(self, scope: Scope[Any]) -> None:
        """Break the connection off, as when a machine fails. Raises `Failure`."""
        self.connection.open_socket(scope).reset()
        self.connection.sock = None

    def notes(self) -> tuple[Note, ...]:
        """Return notes with the data received last, for a failure."""
        found = [Note("received", "\n".join(self._shown))] if self._shown else []
        return (*found, *(note for note in self.connection.notes() if not self._shown))

    def resolve(self, word: str) -> str | None:
        """Return the value of a word of `expect`; the word itself if it has no meaning."""
        if word == "rx.kind":
            return self.last.kind
        if word == "rx.text":
            return self.last.text
        if word == "rx.json" or word.startswith("rx.json."):
            return _inside(self.last.fields, word.split(".")[2:])
        return self.value(word)


def _inside(value: Any, path: list[str]) -> str | None:
    """The value at a path of names and indices, as a word; `None` if it is not there."""
    for step in path:
        number = whole(step)
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and number is not None and number < len(value):
            value = value[number]
        else:
            return None
    return to_script(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def text_of(word: Token) -> str:
    """The text that a word stands for. Raises `Failure` if it is not UTF-8."""
    try:
        return word.encode(ENCODING).decode("utf-8")
    except UnicodeDecodeError:
        raise Failure("this is not UTF-8; sendhex sends any bytes", word.position()) from None


def now() -> float:
    """The time that protocols count in."""
    return asyncio.get_running_loop().time()
