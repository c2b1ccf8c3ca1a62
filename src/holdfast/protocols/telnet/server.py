"""The server's role: it queries the client's capabilities, and sends text and prompts."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from msgspec import Struct

from holdfast.core.limits import TelnetLimits
from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.charsets import AUTOMATIC, Charsets
from holdfast.protocols.telnet.connection import TelnetCore
from holdfast.protocols.telnet.events import Event
from holdfast.protocols.telnet.negotiation import Given, Q, Side
from holdfast.protocols.telnet.options import mssp
from holdfast.protocols.telnet.options.base import Option, Options, Policy, Row, shared
from holdfast.protocols.telnet.options.charset import CharsetRequested
from holdfast.protocols.telnet.options.echo import EchoForHiding
from holdfast.protocols.telnet.options.eor import EndOfRecord
from holdfast.protocols.telnet.options.gmcp import GmcpSupported
from holdfast.protocols.telnet.options.linemode import LinemodeAsked, Mode
from holdfast.protocols.telnet.options.mccp import InputCompressed, OutputCompressed
from holdfast.protocols.telnet.options.msdp import MsdpSupported
from holdfast.protocols.telnet.options.mxp import MxpLocked
from holdfast.protocols.telnet.options.naws import WindowSizeAsked
from holdfast.protocols.telnet.options.new_environ import EnvironmentAsked
from holdfast.protocols.telnet.options.ttype import TerminalTypeAsked
from holdfast.protocols.telnet.phases import PeerPhase

_END_OF_RECORD: Final = bytes((codes.IAC, codes.EOR))
_GO_AHEAD: Final = bytes((codes.IAC, codes.GA))

_REFUSE, _ACCEPT, _OFFER = Policy.REFUSE, Policy.ACCEPT, Policy.OFFER

# SGA is not offered: WILL SGA puts inetutils into character mode. Every option
# that is not here is refused.
_ROWS: Final = (
    #                         we       the peer
    Row(codes.TTYPE,          _REFUSE, _OFFER,  TerminalTypeAsked),
    Row(codes.NAWS,           _REFUSE, _OFFER,  WindowSizeAsked),
    Row(codes.NEW_ENVIRON,    _REFUSE, _OFFER,  shared(EnvironmentAsked())),
    Row(codes.CHARSET,        _OFFER,  _ACCEPT, CharsetRequested),
    Row(codes.END_OF_RECORD,  _OFFER,  _REFUSE, shared(EndOfRecord())),
    Row(codes.GMCP,           _OFFER,  _REFUSE, shared(GmcpSupported()), carries_data=True),
    Row(codes.ECHO,           _ACCEPT, _REFUSE, EchoForHiding),
    Row(codes.SGA,            _ACCEPT, _ACCEPT, shared(Option())),
    Row(codes.BINARY,         _ACCEPT, _ACCEPT, shared(Option())),
    Row(codes.LINEMODE,       _REFUSE, _ACCEPT, LinemodeAsked),
)  # fmt: skip
_MSDP: Final = Row(codes.MSDP, _OFFER, _REFUSE, shared(MsdpSupported()), carries_data=True)
_MXP: Final = Row(codes.MXP, _OFFER, _ACCEPT, shared(MxpLocked()))
_MCCP2: Final = Row(codes.MCCP2, _OFFER, _REFUSE, shared(OutputCompressed()))
_MCCP3: Final = Row(codes.MCCP3, _OFFER, _REFUSE, shared(InputCompressed()))


class Offers(Struct, frozen=True):
    """The options that a server offers in addition to the common ones."""

    msdp: bool = False
    """Variables with values, for clients without GMCP."""
    mssp: Callable[[], mssp.Values] | None = None
    """The status that crawlers ask for, of the moment."""
    mxp: bool = False
    """Elements in text, for clients that show them."""
    mccp2: bool = False
    """To compress output."""
    mccp3: bool = False
    """To take compressed input."""
    refused: frozenset[int] = frozenset()
    """Common options that are neither offered nor accepted. Hiding input needs ECHO all the
    same."""
    offered: frozenset[int] = frozenset()
    """Options that are otherwise only accepted."""


def server_options(offers: Offers) -> Options:
    """Return the table of a server with these options. Compression is last: later negotiation
    may be compressed."""
    rows = [_configured(row, offers) for row in _ROWS]
    if offers.msdp:
        rows.append(_MSDP)
    if offers.mssp is not None:
        status = shared(mssp.ServerStatus(offers.mssp))
        # tt++ does not answer the offer.
        rows.append(Row(codes.MSSP, _OFFER, _REFUSE, status, awaited=False))
    if offers.mxp:
        rows.append(_MXP)
    if offers.mccp2:
        rows.append(_MCCP2)
    if offers.mccp3:
        rows.append(_MCCP3)
    return Options(*rows)


def _configured(row: Row, offers: Offers) -> Row:
    """A common row, refused or offered by configuration. The rows that are neither stay."""
    if row.code in offers.refused:
        return row._replace(us=_REFUSE, him=_REFUSE)
    if row.code in offers.offered:
        us, him = (_OFFER if policy is _ACCEPT else policy for policy in (row.us, row.him))
        return row._replace(us=us, him=him)
    return row


OPTIONS: Final = server_options(Offers())


class TelnetServer(TelnetCore):
    """The server's end. Its opening offers are queued when it is made."""

    __slots__ = ()

    _is_client_limited: ClassVar[bool] = True
    _compressing: ClassVar[int] = codes.MCCP2

    def __init__(
        self,
        limits: TelnetLimits,
        now: float,
        charsets: Charsets = AUTOMATIC,
        options: Options = OPTIONS,
    ) -> None:
        super().__init__(limits, options, charsets)
        self._settle_at = now + limits.negotiation_seconds_max
        self._options.offer(self)

    def send_prompt(self, text: str) -> None:
        """Queue the text before the cursor, and the mark that ends it, if there is one.

        A peer that has sent no command may be no Telnet client and gets no mark.
        """
        self.send_text(text)
        if self.capabilities.eor:
            self._out.append(_END_OF_RECORD)
        elif self._phase is PeerPhase.TELNET and not self._options.is_on_at(codes.SGA, Side.US):
            self._out.append(_GO_AHEAD)

    def hide_input(self, hidden: bool) -> None:
        """Make the client hide the typed input, as for a password, or show it again."""
        options = self._options
        options.find(EchoForHiding).hidden = hidden
        if hidden and options.state(codes.ECHO, Side.US) is Q.WANTNO_EMPTY:
            # Deviates from RFC 1143, which would wait for the answer to our WONT: tt++ never
            # gives one, and a password must not wait. If one comes, it is taken for a
            # refusal of our WILL, and the DO after it corrects that.
            options.apply(self, codes.ECHO, Side.US, Given.OFF)
        options.want(self, codes.ECHO, Side.US, hidden)

    def set_linemode(self, *, edit: bool = True, trapsig: bool = True) -> None:
        """Have a client with LINEMODE edit lines, and send signals instead of keys, or not.

        `LinemodeChanged` follows where it agrees. It does both unless this says otherwise.
        """
        mode = (Mode.EDIT if edit else Mode(0)) | (Mode.TRAPSIG if trapsig else Mode(0))
        self._options.find(LinemodeAsked).want(self, mode)

    def forward_on(self, characters: bytes) -> None:
        """Have a client with LINEMODE send what is typed also at each of these (FORWARDMASK)."""
        self._options.find(LinemodeAsked).forward_on(self, characters)

    def probe(self, now: float) -> bool:
        """Ask for a proof (`ProbeAnswered`) that the client has got all that was sent before.

        `False`, and nothing is sent, if it cannot answer or owes an answer already.
        """
        return self._options.find(TerminalTypeAsked).probe(self, now)

    def _is_served(self, line: Event) -> bool:
        if line != mssp.REQUEST or codes.MSSP not in self._options.table.index:
            return False
        self.send_text(mssp.as_text(self._options.find(mssp.ServerStatus).values()))
        return True

    def _are_you_there(self) -> None:
        self._out.append(b"[Yes]\r\n")
