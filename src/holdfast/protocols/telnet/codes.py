"""The bytes of Telnet by their names in the RFCs.

Commands: RFC 854, and RFC 885 (EOR) and RFC 1184 (EOF, SUSP, ABORT). Option
codes: the IANA registry "Telnet Options", but for those from MSDP on, which are
conventions of games.
"""

from __future__ import annotations

from typing import Final

# Commands, each preceded by IAC.
EOF: Final = 236
SUSP: Final = 237
ABORT: Final = 238
EOR: Final = 239
SE: Final = 240
NOP: Final = 241
DM: Final = 242
BRK: Final = 243
IP: Final = 244
AO: Final = 245
AYT: Final = 246
EC: Final = 247
EL: Final = 248
GA: Final = 249
SB: Final = 250
WILL: Final = 251
WONT: Final = 252
DO: Final = 253
DONT: Final = 254
IAC: Final = 255

# Options.
BINARY: Final = 0
ECHO: Final = 1
SGA: Final = 3
TIMING_MARK: Final = 6
TTYPE: Final = 24
END_OF_RECORD: Final = 25
NAWS: Final = 31
LINEMODE: Final = 34
NEW_ENVIRON: Final = 39
CHARSET: Final = 42
START_TLS: Final = 46
MSDP: Final = 69
MSSP: Final = 70
MCCP2: Final = 86
MCCP3: Final = 87
MXP: Final = 91
GMCP: Final = 201

NAMES: Final = {
    "binary": BINARY,
    "charset": CHARSET,
    "echo": ECHO,
    "eor": END_OF_RECORD,
    "gmcp": GMCP,
    "linemode": LINEMODE,
    "naws": NAWS,
    "new-environ": NEW_ENVIRON,
    "sga": SGA,
    "ttype": TTYPE,
}
"""The options that are named in configurations and scripts."""


def escape(data: bytes) -> bytes:
    """`data` with each IAC doubled, as data and subnegotiations must carry it (RFC 854, 855)."""
    return data.replace(b"\xff", b"\xff\xff")
