"""The log of one test, in VTest2's format.

Entries are kept unformatted and rendered on demand, so a passing test pays for no formatting. A
line is a lead that shows the level, the id of the actor, and text:

    **** c1    txreq|GET / HTTP/1.1\r

Level 0 is a failure. When the clock has advanced by a millisecond, a `dT` line comes first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from holdfast.vtc.language.source import ENCODING

LEADS = ("----", "*   ", "**  ", "*** ", "****")
DUMP_BYTES_MAX = 8192
HEXDUMP_BYTES_MAX = 512
LOG_BYTES_MAX = 32 * 1024 * 1024
_ENTRY_BYTES = 150
_GZIP = b"\x1f\x8b"

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 256))}
_ESCAPES |= {ord("\r"): "\\r", ord("\t"): "\\t"}


class LogEntry(NamedTuple):
    """One thing that was logged."""

    seconds: float
    """Since the start of the test."""
    level: int
    actor: str
    prefix: str
    """The kind of dump (`txreq`, `debug`, …); empty for a line of text."""
    data: str | bytes
    """The text, or the first part of the dumped data."""
    size: int = 0
    """Of the whole dump, in bytes."""
    hexadecimal: bool = False

    def lines(self) -> Iterator[str]:
        """Render the entry, without the `dT` line."""
        lead = f"{LEADS[self.level]} {self.actor:<5} "
        if not self.prefix:
            yield lead + (self.data if isinstance(self.data, str) else self.data.decode(ENCODING))
        elif self.hexadecimal:
            yield from _hexdump(f"{lead}{self.prefix}| ", _as_bytes(self.data))
        else:
            yield from self.dumped(f"{lead}{self.prefix}|")

    def dumped(self, lead: str = "") -> Iterator[str]:
        """Yield the lines of the data with visible control characters, each after `lead`."""
        data = _as_bytes(self.data)
        if data.startswith(_GZIP):
            yield lead + "0x" + data.hex()
        elif data:
            for line in data.decode(ENCODING).removesuffix("\n").split("\n"):
                yield lead + line.translate(_ESCAPES)
        if self.size > len(data):
            yield f"{lead} [...] ({self.size - len(data)})"


def _as_bytes(data: str | bytes) -> bytes:
    return data.encode(ENCODING, "replace") if isinstance(data, str) else data


def _hexdump(lead: str, data: bytes) -> Iterator[str]:
    shown = data[: HEXDUMP_BYTES_MAX + 1]
    for start in range(0, len(shown), 16):
        row = "".join(f" {byte:02x}" for byte in shown[start : start + 16])
        more = len(data) > len(shown) and start + 16 >= len(shown)
        yield lead + row + ("..." if more else "")


class Log:
    """The log of one test. Time counts from its creation."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.entries: list[LogEntry] = []
        self._size = 0
        self._lost = 0

    def add(self, entry: LogEntry) -> None:
        """Append an entry. A log that becomes too large loses its older half."""
        self.entries.append(entry)
        self._size += len(entry.data) + _ENTRY_BYTES
        if self._size > LOG_BYTES_MAX:
            self._shorten()

    def _shorten(self) -> None:
        place = 0
        while self._size > LOG_BYTES_MAX // 2:
            self._size -= len(self.entries[place].data) + _ENTRY_BYTES
            place += 1
        self._lost += place - bool(self._lost)  # the note of the time before is not counted
        note = f"the log is too large: its first {self._lost} entries are left out"
        self.entries[:place] = [LogEntry(self.entries[place].seconds, 1, "top", "", note)]
        self._size += len(note) + _ENTRY_BYTES

    def seconds(self) -> float:
        """Since the start of the test."""
        return time.monotonic() - self._start

    def render(self) -> str:
        """The whole log, each line ended."""
        lines: list[str] = []
        last = -1
        for entry in self.entries:
            if entry.prefix and not entry.data:
                continue
            now = round(entry.seconds * 1000)
            if now != last:
                lines.append(f"**** dT    {now // 1000}.{now % 1000:03}\n")
                last = now
            lines += [line + "\n" for line in entry.lines()]
        return "".join(lines)


class Logger:
    """The log, as one actor writes it."""

    __slots__ = ("_log", "actor")

    def __init__(self, log: Log, actor: str) -> None:
        self._log = log
        self.actor = actor

    def named(self, actor: str) -> Logger:
        """The same log for another actor."""
        return Logger(self._log, actor)

    def line(self, level: int, text: str) -> None:
        """Write a line of text."""
        self._log.add(LogEntry(self._log.seconds(), level, self.actor, "", text))

    def dump(self, level: int, prefix: str, data: str | bytes) -> None:
        """Write data, each of its lines with `prefix`."""
        part = data[:DUMP_BYTES_MAX]
        self._log.add(LogEntry(self._log.seconds(), level, self.actor, prefix, part, len(data)))

    def hexdump(self, level: int, prefix: str, data: bytes) -> None:
        """Write data in hexadecimal."""
        part = data[: HEXDUMP_BYTES_MAX + 2]
        self._log.add(
            LogEntry(self._log.seconds(), level, self.actor, prefix, part, len(data), True)
        )


_DIAG_ESCAPES = {code: f"\\{code:03o}" for code in (*range(32), *range(127, 256))}
_DIAG_ESCAPES |= {ord("\r"): "\\r", ord("\t"): "\\t", ord('"'): '\\"', ord("\\"): "\\\\"}


def render_diag(text: str) -> str:
    """Render output that commands wrote past the log, to be shown after it."""
    lines = text.removesuffix("\n").split("\n") if text else []
    return "".join(f"*    diag  0.0 {line.translate(_DIAG_ESCAPES)}\n" for line in lines)
