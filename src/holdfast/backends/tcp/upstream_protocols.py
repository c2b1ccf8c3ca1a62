"""The protocols to an upstream as items: lines, Telnet, or bytes.

No I/O. Each connection has a `UpstreamProtocol`.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct, structs

import holdfast
from holdfast.core.errors import ProtocolError
from holdfast.core.items import (
    Binary,
    Command,
    Data,
    Interrupt,
    Output,
    Prompt,
    Resized,
    Text,
    lines_of,
    utf8_bytes,
)
from holdfast.core.limits import KIB, Limits
from holdfast.protocols import telnet
from holdfast.protocols.framing import LineDecoder
from holdfast.protocols.telnet.charsets import Charsets
from holdfast.protocols.telnet.mxp_lines import LineModes
from holdfast.protocols.telnet.options.gmcp import Introduction
from holdfast.protocols.telnet.options.mxp import SECURE_LINE
from holdfast.protocols.telnet.terminal import DEFAULT_MTTS
from holdfast.sessions.records import Capabilities


class InputMode(Struct, frozen=True):
    """The upstream wants typing to be taken in another way: `line` or `secret`."""

    mode: str


Said = Output | InputMode
"""Output of an upstream."""


class UpstreamProtocolError(ProtocolError):
    """Output of an upstream that cannot be forwarded."""


class UpstreamProtocol(Protocol):
    """The translation on one connection. `now` is the runtime's time."""

    def receive_data(self, data: bytes, now: float) -> list[Said]:
        """Decode `data`. Raises `UpstreamProtocolError`."""

    def prompt(self) -> Prompt | None:
        """Return the unfinished text after the last line, once: nothing has followed it for a
        while."""

    def receive_eof(self) -> list[Said]:
        """The upstream ends: return the unfinished line."""

    def say(self, item: Command) -> None:
        """Queue a command."""

    def resize(self, size: Resized) -> None:
        """Queue the size of the screen, if the protocol has it."""

    def describe(self, terminal: telnet.Terminal) -> None:
        """Queue what has changed of the client's terminal, if the protocol has it."""

    def data_to_send(self) -> bytes:
        """Return the queued bytes, once."""


class _Shown:
    """The part of an unfinished line that was shown as a prompt.

    After input, only the rest of the line is new. Before it, the prompt may have been half a
    line whose rest was slow: then the line is shown whole.
    """

    __slots__ = ("_answered", "_prompt")

    def __init__(self) -> None:
        self._prompt = ""
        self._answered = False

    def answered(self) -> None:
        """The user typed after the prompt."""
        self._answered = True

    def line(self, line: str) -> Text | None:
        """Return the new part of a whole line; `None` for the end of a prompt's line."""
        shown, answered = self._prompt, self._answered
        self._prompt, self._answered = "", False
        if not shown or not line.startswith(shown):
            return Text(line)
        rest = line[len(shown) :]
        if not rest:
            return None
        return Text(rest if answered else line)

    def prompt(self, unfinished: str) -> Prompt | None:
        """Behind the last line stands `unfinished`: a prompt, if it is another than before."""
        if not unfinished or unfinished == self._prompt:
            return None
        self._prompt = unfinished
        self._answered = False
        return Prompt(unfinished)


_CONTROLS: Final = dict.fromkeys([*range(0x09), *range(0x0A, 0x20), *range(0x7F, 0xA0)])
"""Control characters that are no text: ECMA-48's C0, except the tab, DEL and C1."""
_CONTROL_BYTES: Final = bytes(code for code in _CONTROLS if code < 0x80)


def _typed(text: str) -> str:
    """A client's text as a server of lines takes it: lines, and nothing that it could obey."""
    if text.isprintable():
        return text
    return "\n".join(line.translate(_CONTROLS) for line in lines_of(text))


class LineProtocol:
    """Lines of UTF-8 that end in LF; CR LF is understood. A long one is passed on in pieces."""

    __slots__ = ("_decoder", "_out", "_shown")

    def __init__(self, line_bytes_max: int) -> None:
        self._decoder = LineDecoder(line_bytes_max, cuts=True)
        self._shown = _Shown()
        self._out: list[bytes] = []

    def receive_data(self, data: bytes, now: float) -> list[Said]:
        said: list[Said] = []
        for line in self._decoder.receive_data(data):
            text = self._shown.line(line) if isinstance(line, str) else None
            if text is not None:
                said.append(text)
        return said

    def prompt(self) -> Prompt | None:
        return self._shown.prompt(self._decoder.unfinished)

    def receive_eof(self) -> list[Said]:
        text = self._shown.line(self._decoder.unfinished)
        return [text] if text is not None and text.text else []

    def say(self, item: Command) -> None:
        match item:
            case Text(text):
                self._shown.answered()
                self._out.append(f"{_typed(text)}\n".encode())
            case Binary(data):  # text in another encoding
                self._shown.answered()
                self._out.append(data.translate(None, _CONTROL_BYTES) + b"\n")
            case Data() | Interrupt():
                pass  # lines have no such thing

    def resize(self, size: Resized) -> None:
        pass

    def describe(self, terminal: telnet.Terminal) -> None:
        pass

    def data_to_send(self) -> bytes:
        out, self._out = self._out, []
        return b"".join(out)


_MXP_ANSWER: Final = f"{SECURE_LINE}<"
"""The beginning of what a client answers to elements by itself (VERSION, SUPPORT)."""
_MXP_CHARS: Final = len(SECURE_LINE.translate(_CONTROLS))
_NULL: Final = "null"
"""The JSON of a client's message that had nothing behind its package."""
_WAITING_MAX: Final = 32
"""Messages of a client that wait for its server to speak GMCP or MSDP."""
_WAITING_BYTES_MAX: Final = 16 * KIB
"""Of all of them."""


class TelnetProtocol:
    """Telnet, in the client's role: prompts, hidden input, window size, GMCP and, where it is
    configured, MSDP pass through.

    A long line is passed on in pieces. What the client says by GMCP before the server has
    offered it waits for that.
    """

    __slots__ = ("_core", "_introduction", "_modes", "_shown", "_waiting")

    def __init__(
        self,
        core: telnet.TelnetClient,
        introduction: Introduction,
        modes: LineModes | None = None,
    ) -> None:
        self._core = core
        self._introduction = introduction
        self._modes = modes
        """How the server's lines are read, where MXP is configured."""
        self._shown = _Shown()
        self._waiting: list[Data] = []

    def receive_data(self, data: bytes, now: float) -> list[Said]:
        said: list[Said] = []
        for event in self._core.receive_data(data, now):
            heard = self._line(event) if isinstance(event, str) else self._heard(event)
            if heard is not None:
                said.append(heard)
        return said

    def _line(self, line: str) -> Text | None:
        text, modes = self._shown.line(line), self._modes
        if modes is None:
            return text
        rest = text.text if text is not None else ""
        marked = modes.line(rest, before=line.removesuffix(rest))
        return Text(marked) if text is not None else None

    def _unfinished(self, text: str, *, ended: bool) -> Prompt | None:
        prompt, modes = self._shown.prompt(text), self._modes
        if prompt is None or modes is None:
            return prompt
        return Prompt(modes.prompt(prompt.text, ended=ended))

    def _heard(self, event: telnet.Event) -> Said | None:
        match event:
            case telnet.Prompt(text=prompt):
                shown = self._unfinished(prompt, ended=True)
                self._shown = _Shown()  # its mark has ended it: what follows is another line
                return shown
            case telnet.InputHidden(hidden):
                return InputMode("secret" if hidden else "line")
            case telnet.Gmcp(name, json) | telnet.Msdp(name, json):
                return Data(name, json)
            case telnet.CapabilitiesChanged(known):
                self._know(known)
            case telnet.Violation(fault):
                raise UpstreamProtocolError(fault.value)
            case _:
                pass
        return None

    def _know(self, known: telnet.Capabilities) -> None:
        if self._modes is not None and self._modes.on != known.mxp:
            self._modes.switch(known.mxp)
        if known.gmcp or known.msdp:
            waiting, self._waiting = self._waiting, []
            for item in waiting:
                self.say(item)

    def prompt(self) -> Prompt | None:
        return self._unfinished(self._core.unfinished_line, ended=False)

    def receive_eof(self) -> list[Said]:
        text = self._line(self._core.unfinished_line)
        return [text] if text is not None and text.text else []

    def say(self, item: Command) -> None:
        match item:
            case Text(text) if self._modes is not None and text.startswith(_MXP_ANSWER):
                if self._modes.on:
                    self._core.send_text(f"{SECURE_LINE}{_typed(text)[_MXP_CHARS:]}\n")
            case Text(text):
                self._shown.answered()
                self._core.send_text(f"{_typed(text)}\n")
            case Data(package, json):
                if json == _NULL:
                    json = ""
                introduces = self._introduction.note(package, json)
                sent = self._core.send_gmcp(package, json)
                if not (sent or introduces):
                    sent = self._core.send_msdp(package, json)
                if not (sent or introduces):
                    self._keep(item)
            case Interrupt():
                self._core.send_interrupt()
            case Binary():
                pass  # a Telnet upstream takes lines

    def _keep(self, item: Data) -> None:
        waiting = self._waiting
        size = sum(utf8_bytes(kept.json) for kept in waiting) + utf8_bytes(item.json)
        if len(waiting) < _WAITING_MAX and size <= _WAITING_BYTES_MAX:
            waiting.append(item)

    def resize(self, size: Resized) -> None:
        self._core.resize(size.width, size.height)

    def describe(self, terminal: telnet.Terminal) -> None:
        self._core.describe(terminal)

    def data_to_send(self) -> bytes:
        return self._core.data_to_send()


_PIECE_BYTES: Final = 16 * KIB
"""Of a stream, in one item: some of them fit into a session's window."""


class ByteProtocol:
    """Bytes in both directions; text is sent as UTF-8 without a line ending."""

    __slots__ = ("_out",)

    def __init__(self) -> None:
        self._out: list[bytes] = []

    def receive_data(self, data: bytes, now: float) -> list[Said]:
        return [
            Binary(data[start : start + _PIECE_BYTES])
            for start in range(0, len(data), _PIECE_BYTES)
        ]

    def prompt(self) -> Prompt | None:
        return None

    def receive_eof(self) -> list[Said]:
        return []

    def say(self, item: Command) -> None:
        match item:
            case Text(text):
                self._out.append(text.encode())
            case Binary(data):
                self._out.append(data)
            case Data() | Interrupt():
                pass

    def resize(self, size: Resized) -> None:
        pass

    def describe(self, terminal: telnet.Terminal) -> None:
        pass

    def data_to_send(self) -> bytes:
        out, self._out = self._out, []
        return b"".join(out)


_COLOR_BITS: Final = (
    (8, telnet.Mtts.ANSI),
    (256, telnet.Mtts.COLOURS_256),
    (1 << 24, telnet.Mtts.TRUECOLOUR),
)


def terminal_of(known: Capabilities, address: str = "") -> telnet.Terminal:
    """Return the client's capabilities for a server: its name and terminal, if it reported them,
    and its address, unless that is empty."""
    mtts = DEFAULT_MTTS
    if known.client or known.terminal or known.colors or known.screen_reader:
        mtts = telnet.Mtts.UTF_8 if known.utf8 else telnet.Mtts(0)
        for colors, bit in _COLOR_BITS:
            if known.colors >= colors:
                mtts |= bit
    if known.screen_reader:
        mtts |= telnet.Mtts.SCREEN_READER
    return telnet.Terminal(
        name=known.client or "Holdfast",
        version=holdfast.__version__,
        type=known.terminal or "xterm",
        width=known.width,
        height=known.height,
        address=address,
        mtts=mtts | telnet.Mtts.PROXY,
    )


def make_protocol(
    scheme: str,
    content: str,
    limits: Limits,
    terminal: telnet.Terminal,
    charsets: Charsets,
    introduction: Introduction,
    spoken_options: frozenset[int] = frozenset(),
    modes: LineModes | None = None,
) -> UpstreamProtocol:
    """The protocol to a server of this scheme, for a client with this terminal.

    `content` is `lines` or `bytes`; Telnet is always Telnet, and has the character sets, what
    the client says first by GMCP, the options that are spoken where they are configured, and
    where MXP is, how lines are read.
    """
    if scheme in ("telnet", "telnets"):
        # Users type no such long line, but a server may send one.
        bounds = structs.replace(limits.telnet, line_chars_max=limits.line.line_bytes_max)
        core = telnet.TelnetClient(
            bounds,
            terminal,
            charsets=charsets,
            introduction=introduction,
            also=spoken_options,
        )
        return TelnetProtocol(core, introduction, modes)
    return ByteProtocol() if content == "bytes" else LineProtocol(limits.line.line_bytes_max)
