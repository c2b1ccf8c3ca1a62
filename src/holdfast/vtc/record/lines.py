"""Conversations in lines, bare ones and those of Telnet, written down."""

from __future__ import annotations

from holdfast.core.limits import Limits
from holdfast.protocols.framing import LineDecoder, LineTooLong
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.parser import Command, Negotiation, Parser, Subnegotiation
from holdfast.vtc.commands.http.telnet import OPTIONS
from holdfast.vtc.record.quoting import quoted
from holdfast.vtc.record.recorder import Recorder

_LIMITS = Limits()


class LineRecorder(Recorder):
    """Bare lines."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(names)
        self._client = LineDecoder(_LIMITS.line.line_bytes_max)
        self._server = LineDecoder(_LIMITS.line.line_bytes_max)
        self._shown = ""
        """The unfinished line that is written down already, as a prompt."""

    @property
    def opening(self) -> str:
        return "lines"

    def client_says(self, data: bytes) -> None:
        for line in self._client.receive_data(data):
            self._prompted()
            if isinstance(line, LineTooLong):
                self._write(f"# A line of more than {line.bytes_max} bytes; the rest is missing.")
            else:
                self._typed("line", line)

    def server_says(self, data: bytes) -> None:
        for line in self._server.receive_data(data):
            shown, self._shown = self._shown, ""
            if isinstance(line, LineTooLong):
                self._write(f"# A line of more than {line.bytes_max} bytes; the rest is missing.")
            else:
                self._heard("line", line.removeprefix(shown))

    def ended(self) -> None:
        super().ended()
        self._prompted()

    def _prompted(self) -> None:
        """An unfinished line of the server is a prompt."""
        prompt = self._server.unfinished.removeprefix(self._shown)
        if prompt:
            self._heard("prompt", prompt)
            self._shown = self._server.unfinished


class TelnetRecorder(LineRecorder):
    """Lines with Telnet's commands between them. Negotiation is the replaying client's own."""

    def __init__(self, names: set[str]) -> None:
        super().__init__(names)
        carrying = frozenset({codes.GMCP})
        self._from_client = Parser(_LIMITS.telnet, carrying)
        self._from_server = Parser(_LIMITS.telnet, carrying)
        self._accepted: set[int] = set()
        self._type = ""
        self._size: tuple[int, int] | None = None

    @property
    def opening(self) -> str:
        refused = [name for name, code in OPTIONS.items() if code not in self._accepted]
        words = ["telnet"]
        if self._type:
            words.append(f"-type {quoted(self._type)}")
        if self._size:
            words.append(f"-size {self._size[0]}x{self._size[1]}")
        if refused:
            words.append(f"-refuse {','.join(refused)}")
        return " ".join(words)

    def client_says(self, data: bytes) -> None:
        for token in self._from_client.parse(data, 0.0):
            match token:
                case bytes():
                    super().client_says(token.replace(b"\r\0", b"\r\n"))
                case Negotiation(codes.WILL | codes.DO, option):
                    self._accepted.add(option)
                case Command(codes.IP):
                    self._write("tx interrupt")
                case Subnegotiation(option, payload):
                    self._client_tells(option, payload)
                case _:
                    pass

    def _client_tells(self, option: int, payload: bytes) -> None:
        if option == codes.TTYPE and not self._type:
            self._type = payload[1:].decode("latin-1")
        elif option == codes.NAWS and len(payload) == 4:
            size = int.from_bytes(payload[:2]), int.from_bytes(payload[2:])
            if self._size is not None:
                self._write(f"tx resize {size[0]} {size[1]}")
            self._size = self._size or size
        elif option == codes.GMCP:
            package, _, json = payload.decode(errors="replace").partition(" ")
            self._write(f"tx gmcp {package} {quoted(json)}".removesuffix(' ""'))

    def server_says(self, data: bytes) -> None:
        for token in self._from_server.parse(data, 0.0):
            match token:
                case bytes():
                    super().server_says(token)
                case Command(codes.EOR | codes.GA):
                    self._prompted()
                    super().server_says(b"\n")
                    self.commands.pop()  # the line that only ends the prompt
                case Subnegotiation(codes.GMCP, payload):
                    package = payload.decode(errors="replace").partition(" ")[0]
                    self._write(f"rx gmcp {package}")
                case _:
                    pass
