"""A pseudo-terminal: the side that we hold, and the side that a process gets."""

from __future__ import annotations

import fcntl
import os
import struct
import termios

_ECHO = termios.ECHO | termios.ECHOE | termios.ECHOKE | termios.ECHOCTL
_CONTROL_CHARACTERS = {
    termios.VEOF: b"\x04",
    termios.VERASE: b"\x08",
    termios.VKILL: b"\x15",
    termios.VINTR: b"\x03",
    termios.VQUIT: b"\x1c",
    termios.VMIN: b"\x01",  # with 0 a program that leaves line mode reads "end of file"
}


def open_pty(rows: int, columns: int) -> tuple[int, int]:
    """Our side and the process's: cooked, with echo."""
    ours, theirs = os.openpty()
    set_size(ours, rows, columns)
    _cook(theirs)
    return ours, theirs


def set_size(fd: int, rows: int, columns: int) -> None:
    """Tell the process how large its screen is."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _cook(fd: int) -> None:
    characters: list[bytes | int] = [b"\0"] * len(termios.tcgetattr(fd)[6])
    for place, character in _CONTROL_CHARACTERS.items():
        characters[place] = character
    attributes: list[int | list[bytes | int]] = [
        termios.BRKINT | termios.ICRNL | termios.IMAXBEL | termios.IXON | termios.IXANY,
        termios.OPOST | termios.ONLCR,
        termios.CREAD | termios.CS8 | termios.HUPCL,
        termios.ICANON | termios.ISIG | termios.IEXTEN | _ECHO,
        termios.B9600,
        termios.B9600,
        characters,
    ]
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
