"""What real clients sent to this server, chunk by chunk, as it was recorded.

tt++ 2.02.20, tf 5.0b8 and inetutils telnet 2.4 in a tmux of 100x30. Each
transcript is one connection; between the chunks the server's answers arrived.
"""

from __future__ import annotations

from typing import Final

_SLC: Final = bytes.fromhex(
    "fffa22 03 010000 036203 04020f 050000 07621c 080204 09421a 0a027f 0b0215 0c0217"
    "0d0212 0e0216 0f0211 100213 110000 120000 fff0"
)

TINTIN: Final = (
    b"\xff\xfb\x18\xff\xfb\x1f\xff\xfa\x1f\x00d\x00\x1e\xff\xf0\xff\xfb'\xff\xfd*\xff\xfd\x19\xff\xfe\xc9",
    b"\xff\xfa\x18\x00TINTIN++\xff\xf0",
    b"\xff\xfa'\x00\x00CLIENT_NAME\x01TinTin++\xff\xf0"
    b"\xff\xfa'\x00\x00CLIENT_VERSION\x012.02.20 \xff\xf0"
    b"\xff\xfa'\x00\x00TERMINAL_TYPE\x01tmux-256color\xff\xf0"
    b"\xff\xfa'\x00\x00MTTS\x01783\xff\xf0"
    b"\xff\xfa'\x00\x00CHARSET\x01UTF-8\xff\xf0"
    b"\xff\xfa*\x02UTF-8\xff\xf0",
    b"\xff\xfa\x18\x00tmux-256color\xff\xf0",
    b"\xff\xfa\x18\x00MTTS 271\xff\xf0",
    b"\xff\xfa\x18\x00MTTS 271\xff\xf0",
)

TF: Final = (
    # It volunteers NAWS at the first IAC of any kind.
    b"\xff\xfb\x1f\xff\xfb\x18\xff\xfa\x1f\x00c\x00\x1a\xff\xf0\xff\xfc'\xff\xfe*\xff\xfd\x19\xff\xfe\xc9",
    b"\xff\xfa\x18\x00TINYFUGUE\xff\xf0",
    b"\xff\xfa\x18\x00ANSI-ATTR\xff\xf0",
    b"\xff\xfa\x18\x00ANSI\xff\xf0",
    b"\xff\xfa\x18\x00UNKNOWN\xff\xf0",
)

INETUTILS: Final = (
    b"\xff\xfb\x18\xff\xfb\x1f\xff\xfa\x1f\x00d\x00\x1e\xff\xf0\xff\xfb'\xff\xfe*\xff\xfe\x19\xff\xfe\xc9",
    b"\xff\xfa\x18\x00TMUX-256COLOR\xff\xf0"
    b"\xff\xfa'\x00\x03CLIENT_NAME\x03CLIENT_VERSION\x03TERMINAL_TYPE\x03MTTS\x03CHARSET\xff\xf0",
    b"\xff\xfa\x18\x00TMUX-256COLOR\xff\xf0",
)

INETUTILS_FORWARD: Final = (
    # `telnet -- HOST -PORT`, and to port 23: it begins to negotiate by itself, with AUTHENTICATION,
    # ENCRYPT, TERMINAL-SPEED, REMOTE-FLOW-CONTROL, LINEMODE and STATUS besides.
    b"\xff\xfd&\xff\xfb&\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1f"
    b"\xff\xfb \xff\xfb!\xff\xfb\"\xff\xfb'\xff\xfd\x05"
    b"\xff\xfa\x1f\x00d\x00\x1e\xff\xf0\xff\xfe*\xff\xfe\x19\xff\xfe\xc9",
    b"\xff\xfa\x18\x00TMUX-256COLOR\xff\xf0"
    + _SLC
    + b'\xff\xfd\x03\xff\xfa"\x01\x07\xff\xf0'
    + b"\xff\xfa'\x00\x03CLIENT_NAME\x03CLIENT_VERSION\x03TERMINAL_TYPE\x03MTTS\x03CHARSET\xff\xf0",
    b"\xff\xfa\x18\x00TMUX-256COLOR\xff\xf0",
)

RECORDED: Final = {
    "tt++": TINTIN,
    "tf": TF,
    "inetutils": INETUTILS,
    "inetutils-forward": INETUTILS_FORWARD,
}

INETUTILS_SLC: Final = _SLC
