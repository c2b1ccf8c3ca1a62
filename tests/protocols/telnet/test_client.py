"""The client's end: the keys of its terminal, and which options it takes."""

from __future__ import annotations

from holdfast.protocols.telnet import codes
from holdfast.protocols.telnet.client import _KEYS
from holdfast.protocols.telnet.options.special_characters import SLC, Level


def test_a_terminal_has_keys_for_what_interrupts_ends_and_erases() -> None:
    """Ctrl-C, Ctrl-D, DEL and Ctrl-U."""
    assert {slc: tuple(setting[:2]) for slc, setting in _KEYS.items()} == {
        SLC.IP: (Level.VALUE, 3),
        SLC.EOF: (Level.VALUE, 4),
        SLC.EC: (Level.VALUE, 127),
        SLC.EL: (Level.VALUE, 21),
    }


def test_the_codes_are_those_of_the_rfcs() -> None:
    """RFC 854, 885 and 1184; the registry "Telnet Options"; the conventions of games."""
    commands = (codes.EOF, codes.SUSP, codes.ABORT, codes.EOR, codes.SE, codes.NOP, codes.DM)
    assert commands == tuple(range(236, 243))
    others = (codes.BRK, codes.IP, codes.AO, codes.AYT, codes.EC, codes.EL, codes.GA, codes.SB)
    assert others == tuple(range(243, 251))
    assert (codes.WILL, codes.WONT, codes.DO, codes.DONT, codes.IAC) == (251, 252, 253, 254, 255)
    assert (codes.BINARY, codes.ECHO, codes.SGA, codes.TIMING_MARK, codes.TTYPE) == (0, 1, 3, 6, 24)
    assert (codes.END_OF_RECORD, codes.NAWS, codes.LINEMODE, codes.NEW_ENVIRON) == (25, 31, 34, 39)
    assert (codes.CHARSET, codes.START_TLS, codes.MSDP, codes.MSSP) == (42, 46, 69, 70)
    assert (codes.MCCP2, codes.MCCP3, codes.MXP, codes.GMCP) == (86, 87, 91, 201)
    assert codes.escape(b"a\xffb") == b"a\xff\xffb"
