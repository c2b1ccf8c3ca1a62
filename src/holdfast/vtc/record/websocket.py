"""Records WebSockets: as messages, or as the session that they carry."""

from __future__ import annotations

import json
from typing import Any

from holdfast.protocols import websocket as ws
from holdfast.protocols.holdfast_v1 import SUBPROTOCOL
from holdfast.protocols.websocket.frames import Decoder
from holdfast.protocols.websocket.head import END, HeadError, parse_request, parse_response
from holdfast.vtc.dialogue.conversation import json_in
from holdfast.vtc.dialogue.websocket import LIMITS
from holdfast.vtc.record.quoting import quoted
from holdfast.vtc.record.recorder import Recorder

_KEPT_FIELDS = ("origin", "cookie")
"""Of the client's request, beside what every request has."""


class WebSocketRecorder(Recorder):
    """One WebSocket."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(names)
        self._client = _Direction(masked=True)
        self._server = _Direction(masked=False)
        self._request: ws.Request | None = None
        self._subprotocol: str | None = None
        self._closed = False
        self.sid = ""
        """The session that it carries, once it is known."""

    @property
    def opening(self) -> str:
        if self._request is None or self.is_session:
            return ""
        words = ["ws"]
        if self._request.target != "/":
            words.append(f"-url {quoted(self._request.target)}")
        if self._subprotocol:
            words.append(f"-protocol {self._subprotocol}")
        headers = self._request.headers
        words += [
            f"-hdr {quoted(f'{name.title()}: {value}')}"
            for name in _KEPT_FIELDS
            for value in headers.get_all(name)
        ]
        return " ".join(words)

    @property
    def is_session(self) -> bool:
        """Whether it speaks `holdfast.v1`; then the commands are those of a `session`."""
        return self._subprotocol == SUBPROTOCOL

    def client_says(self, data: bytes) -> None:
        try:
            if self._request is None and (head := self._client.head(data)) is not None:
                self._request = parse_request(head, header_count_max=LIMITS.header_count_max)
                data = b""
        except HeadError as error:
            self._write(f"# A request that is none: {error}")
        for event in self._client.events(data):
            if isinstance(event, str) and self.is_session:
                self._client_message(event)
            else:
                self._sent(event)

    def server_says(self, data: bytes) -> None:
        try:
            if not self._server.opened and (head := self._server.head(data)) is not None:
                response = parse_response(head, header_count_max=LIMITS.header_count_max)
                self._subprotocol = response.headers.get("sec-websocket-protocol")
                if response.status != 101:
                    self._write(f"# The answer was {response.status} {response.reason}.")
                data = b""
        except HeadError as error:
            self._write(f"# An answer that is none: {error}")
        for event in self._server.events(data):
            if isinstance(event, str) and self.is_session:
                self._server_message(event)
            else:
                self._came(event)

    def _sent(self, event: ws.Event) -> None:
        match event:
            case str():
                self._typed("text", event)
            case bytes():
                self._write(f"tx binary {event.hex()}")
            case ws.Ping(data):
                self._write(f"tx ping {quoted(data.decode('latin-1'))}")
            case ws.Close(code, _) if not self._closed:
                self._write(f"tx close {code}" if code != ws.NO_STATUS else "tx close")
            case _:
                pass

    def _came(self, event: ws.Event) -> None:
        match event:
            case str():
                self._heard("text", event)
            case bytes():
                self._write(f"rx binary {event.hex()}")
            case ws.Close(code, _):
                self._closed = True  # the client answers by itself
                self._write(f'rx close -until "^{code}"')
            case _:
                pass

    def _client_message(self, text: str) -> None:
        fields = json_in(text)
        command = _client_command(fields) if isinstance(fields, dict) else None
        if command:
            self._write(command)

    def _server_message(self, text: str) -> None:
        fields = json_in(text)
        kind = fields.get("t") if isinstance(fields, dict) else None
        match kind:
            case "welcome" | "resumed" | "reset":
                self.sid = str(fields["sid"])
                self._write(f"rx {kind}")
            case "text" | "prompt" | "formatted" | "binary" | "offer" | "bye":
                self._heard(kind, str(fields.get("d", fields.get("reason", ""))))
            case "notice" if "n" in fields:
                self._heard(kind, str(fields["d"]))
            case "data":
                self._write("rx data")
                self._write(f"expect rx.json.p == {quoted(str(fields['p']))}")
            case "login" | "profiles" | "code" | "refused":
                self._write(f"rx {kind}")
            case _:
                pass  # acknowledgements and the like come when they come


def _client_command(fields: dict[str, Any]) -> str | None:
    """Return the script's command for a message of the client; `None` for an automatic one."""
    match fields.get("t"):
        case "cmd":
            return f"tx command {quoted(str(fields['d']))}"
        case "data":
            value = json.dumps(fields["d"], ensure_ascii=False)
            return f"tx data {quoted(str(fields['p']))} {quoted(value)}"
        case "login":
            # A password does not belong into a file: it is given with -D password=…
            return f'tx login {quoted(str(fields.get("username", "")))} "${{password}}"'
        case "profile" if fields.get("id"):
            return f"tx profile {quoted(str(fields['id']))}"
        case "profile":
            return f"tx new-profile {quoted(str(fields.get('name', '')))}"
        case "resize":
            return f"tx resize {fields['width']} {fields['height']}"
        case "interrupt" | "code" | "resume" | "quit":
            return f"tx {fields['t']}"
        case _:
            return None


class _Direction:
    """One direction: a head, then frames."""

    def __init__(self, *, masked: bool) -> None:
        self._head = b""
        self._decoder = Decoder(LIMITS, masked=masked)
        self.opened = False

    def head(self, data: bytes) -> bytes | None:
        """Return the head once it is complete. Frames follow it."""
        self._head += data
        head, end, rest = self._head.partition(END)
        if not end:
            return None
        self.opened = True
        self._decoder.push(rest)
        return head

    def events(self, data: bytes) -> list[ws.Event]:
        """The events in frames; nothing before the head is complete."""
        return self._decoder.receive_data(data) if self.opened else []
