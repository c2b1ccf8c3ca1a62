"""The client's role: our own interactive client, and the other end in tests."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import ClassVar, Final

from holdfast.core.limits import TelnetLimits
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.charsets import AUTOMATIC, Charsets
from holdfast.protocols.telnet.connection import TelnetCore
from holdfast.protocols.telnet.events import Prompt
from holdfast.protocols.telnet.options.base import Option, Options, Policy, Row
from holdfast.protocols.telnet.options.charset import CharsetAnswered
from holdfast.protocols.telnet.options.echo import EchoObeyed
from holdfast.protocols.telnet.options.eor import EndOfRecord
from holdfast.protocols.telnet.options.gmcp import GmcpIntroduced, Introduction
from holdfast.protocols.telnet.options.linemode import LinemodePerformed
from holdfast.protocols.telnet.options.mccp import InputCompressed, OutputCompressedAtOnce
from holdfast.protocols.telnet.options.msdp import MsdpSupported
from holdfast.protocols.telnet.options.mssp import ServerStatusAsked
from holdfast.protocols.telnet.options.mxp import MxpSupported
from holdfast.protocols.telnet.options.naws import WindowSizeTold
from holdfast.protocols.telnet.options.new_environ import EnvironmentTold
from holdfast.protocols.telnet.options.special_characters import SLC, Level, Setting
from holdfast.protocols.telnet.options.ttype import TerminalTypeTold
from holdfast.protocols.telnet.phases import PeerPhase
from holdfast.protocols.telnet.terminal import Terminal

_REFUSE, _ACCEPT = Policy.REFUSE, Policy.ACCEPT

_KEYS: Final[dict[int, Setting]] = {
    SLC.IP: Setting(Level.VALUE, 3),
    SLC.EOF: Setting(Level.VALUE, 4),
    SLC.EC: Setting(Level.VALUE, 127),
    SLC.EL: Setting(Level.VALUE, 21),
}
"""The keys that a terminal has for these functions, as a rule."""


def _options(terminal: Terminal, refused: Collection[int], introduction: Introduction) -> Options:
    introduced = partial(GmcpIntroduced, terminal, introduction)
    rows = (
        #                         we       the peer
        Row(codes.TTYPE,          _ACCEPT, _REFUSE, partial(TerminalTypeTold, terminal)),
        Row(codes.NAWS,           _ACCEPT, _REFUSE, partial(WindowSizeTold, terminal)),
        Row(codes.NEW_ENVIRON,    _ACCEPT, _REFUSE, partial(EnvironmentTold, terminal)),
        Row(codes.CHARSET,        _ACCEPT, _ACCEPT, CharsetAnswered),
        Row(codes.END_OF_RECORD,  _REFUSE, _ACCEPT, EndOfRecord),
        Row(codes.GMCP,           _REFUSE, _ACCEPT, introduced, carries_data=True),
        Row(codes.ECHO,           _REFUSE, _ACCEPT, EchoObeyed),
        Row(codes.SGA,            _ACCEPT, _ACCEPT, Option),
        Row(codes.BINARY,         _ACCEPT, _ACCEPT, Option),
        Row(codes.LINEMODE,       _ACCEPT, _REFUSE, partial(LinemodePerformed, _KEYS)),
        Row(codes.MXP,            _ACCEPT, _ACCEPT, MxpSupported),
        Row(codes.MSDP,           _REFUSE, _ACCEPT, MsdpSupported, carries_data=True),
        Row(codes.MSSP,           _REFUSE, _ACCEPT, ServerStatusAsked, carries_data=True),
        Row(codes.MCCP2,          _REFUSE, _ACCEPT, InputCompressed),
        Row(codes.MCCP3,          _REFUSE, _ACCEPT, OutputCompressedAtOnce),
    )  # fmt: skip
    return Options(
        *(row._replace(us=_REFUSE, him=_REFUSE) if row.code in refused else row for row in rows)
    )


_ON_REQUEST: Final = frozenset(
    {codes.LINEMODE, codes.MCCP2, codes.MCCP3, codes.MSDP, codes.MSSP, codes.MXP}
)


class TelnetClient(TelnetCore):
    """The client's role. It offers no option: it answers the server.

    It refuses the options in `refused`, and LINEMODE, MCCP2, MCCP3, MSDP, MSSP and MXP unless they
    are in `also`.
    """

    __slots__ = ()

    _cuts_lines: ClassVar[bool] = True
    _compressing: ClassVar[int] = codes.MCCP3

    def __init__(
        self,
        limits: TelnetLimits,
        terminal: Terminal,
        refused: Collection[int] = (),
        charsets: Charsets = AUTOMATIC,
        *,
        introduction: Introduction | None = None,
        also: Collection[int] = (),
    ) -> None:
        refused = (*refused, *_ON_REQUEST.difference(also))
        super().__init__(
            limits, _options(terminal, refused, introduction or Introduction()), charsets
        )
        self._phase = PeerPhase.PLAIN

    @property
    def unfinished_line(self) -> str:
        """The text after the last line: a prompt, if the server does not mark its prompts."""
        return self._lines.unfinished(self._charset_received)

    def resize(self, width: int, height: int) -> None:
        """The window has a new size."""
        self._options.find(WindowSizeTold).resize(self, width, height)

    def describe(self, terminal: Terminal) -> None:
        """The client has another terminal: tell the server what it can be told."""
        self._options.find(TerminalTypeTold).describe(terminal)
        self._options.find(EnvironmentTold).describe(self, terminal)
        if terminal.width and terminal.height:
            self.resize(terminal.width, terminal.height)

    def send_interrupt(self) -> None:
        """Ask the server to stop the running command."""
        self._out.append(bytes((codes.IAC, codes.IP)))

    def _prompt_ended(self) -> None:
        text = self.unfinished_line
        self._lines.erase_line()
        if text:
            self._events.append(Prompt(text))
