"""Conversations in lines of text: bare ones, and Telnet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from holdfast.core.items import value_in
from holdfast.core.limits import Limits
from holdfast.protocols import telnet
from holdfast.protocols.framing import LineDecoder, LineTooLong
from holdfast.vtc.dialogue.conversation import (
    Conversation,
    ReceivedMessage,
    now,
    to_script,
)
from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.run.scope import Scope

PROMPT = "prompt"


class LineConversation(Conversation):
    """Lines of UTF-8, as a line terminal shows and sends them.

    A prompt is the text after the last line. Input ends it: the cursor moves to the next line,
    as on a terminal.
    """

    aside: ClassVar[frozenset[str]] = frozenset({"gmcp"})

    def __init__(self, connection: HttpConnection) -> None:
        super().__init__(connection)
        self._answered = ""
        """The part of the unfinished line that was there before the last input."""

    @abstractmethod
    def _unfinished(self) -> str:
        """The incomplete line."""

    @abstractmethod
    def _type(self, line: str) -> None:
        """Have a line sent."""

    def type_line(self, line: str) -> None:
        """Type a line and its end."""
        self._answered = self._unfinished()
        self._type(line)

    def _line(self, line: str) -> ReceivedMessage:
        answered, self._answered = self._answered, ""
        return ReceivedMessage("line", to_script(line.removeprefix(answered)))

    def _prompt(self) -> str:
        return to_script(self._unfinished().removeprefix(self._answered))

    def _find(self, kind: str, accepts: Callable[[str], bool] | None) -> ReceivedMessage | None:
        if kind == PROMPT and not self._main:
            prompt = self._prompt()
            if prompt and (accepts is None or accepts(prompt)):
                self._taken(ReceivedMessage(PROMPT, prompt))
                return self.last
        return super()._find(kind, accepts)

    async def receive_whole(self, scope: Scope[Any], kind: str, text: str) -> ReceivedMessage:
        """A prompt has no end: it is waited for until it is as long as it should be."""
        while kind == PROMPT and not self._main and len(self._prompt()) < len(text):
            if not await self.read(scope, f"rx {kind}"):
                break
        return await self.receive(scope, kind)


class PlainLines(LineConversation):
    """Lines on a connection that carries nothing else."""

    def __init__(self, connection: HttpConnection) -> None:
        super().__init__(connection)
        self._decoder = LineDecoder(Limits().line.line_bytes_max)
        self._out = bytearray()

    def _take_in(self, data: bytes) -> Iterable[ReceivedMessage]:
        for line in self._decoder.receive_data(data):
            if isinstance(line, LineTooLong):
                raise Failure(f"a line of more than {line.bytes_max} bytes", None, self.notes())
            yield self._line(line)

    def _unfinished(self) -> str:
        return self._decoder.unfinished

    def _type(self, line: str) -> None:
        self._out += line.encode("utf-8", "surrogateescape") + b"\r\n"

    def _to_send(self) -> bytes:
        out, self._out = bytes(self._out), bytearray()
        return out


class TelnetLines(LineConversation):
    """The client's end of a Telnet connection."""

    def __init__(self, connection: HttpConnection, core: telnet.TelnetClient) -> None:
        super().__init__(connection)
        self.core = core
        self._hidden = False

    def _take_in(self, data: bytes) -> Iterable[ReceivedMessage]:
        for event in self.core.receive_data(data, now()):
            match event:
                case str():
                    yield self._line(event)
                case telnet.Prompt(text):
                    self._answered = ""
                    yield ReceivedMessage(PROMPT, to_script(text))
                case telnet.Gmcp(package, json):
                    yield ReceivedMessage("gmcp", package, _value(json))
                case telnet.InputHidden(hidden):
                    self._hidden = hidden
                case telnet.LineTooLong():
                    raise Failure("telnet: the line is too long", None, self.notes())
                case telnet.Violation(fault):
                    text = f"telnet: the peer broke the protocol: {fault.value}"
                    raise Failure(text, None, self.notes())
                case _:
                    pass

    def _unfinished(self) -> str:
        return self.core.unfinished_line

    def _type(self, line: str) -> None:
        self.core.send_text(line + "\n")

    def _to_send(self) -> bytes:
        return self.core.data_to_send()

    def value(self, word: str) -> str | None:
        if word == "telnet.hidden":
            return "true" if self._hidden else "false"
        return word

    async def send_gmcp(self, scope: Scope[Any], package: str, json: str) -> None:
        """Send a GMCP message, as soon as GMCP is agreed on. Raises `Failure`."""
        while not self.core.send_gmcp(package, json):
            if not await self.read(scope, "tx gmcp"):
                raise scope.failure("tx gmcp: the peer does not speak GMCP", None, *self.notes())


def _value(json: str) -> Any:
    """The value in a GMCP message, if it has one that Python reads."""
    try:
        return value_in(json)
    except ValueError:
        return None
