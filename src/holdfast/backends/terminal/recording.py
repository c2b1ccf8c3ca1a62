"""Recordings of terminals as asciicast v3: output and sizes, and input only where it is asked for.

A file is a JSON object in the first line, and an array `[seconds since the event before, code,
text]` in each line behind it. Lines are written some at a time.
"""

from __future__ import annotations

import os
from codecs import getincrementaldecoder
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from holdfast.backends.terminal.kind import Plan
from holdfast.core.limits import KIB
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.terminal")
_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = getincrementaldecoder("utf-8")
_WRITE_BYTES: Final = 64 * KIB
_MODE: Final = 0o600


class NoRecording:
    """Nothing is recorded."""

    path = ""

    def output(self, data: bytes) -> None:
        """Nothing."""

    def input(self, data: bytes) -> None:
        """Nothing."""

    def resize(self, columns: int, rows: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Recorder(Struct, frozen=True):
    """How the terminals of a backend are recorded; not at all without a folder."""

    folder: str
    with_input: bool
    bytes_max: int
    now: Callable[[], float]
    wall: Callable[[], float]

    def begin(self, sid: str, plan: Plan, size: tuple[int, int]) -> Recording | NoRecording:
        """The recording of one terminal. One that cannot be written is logged, and is none."""
        if not self.folder:
            return NoRecording()
        try:
            return Recording(self, sid, plan, size)
        except OSError as error:
            _log.error("a terminal is not recorded", sid=sid, folder=self.folder, error=str(error))
            return NoRecording()


class Recording:
    """One file. Raises `OSError` if it cannot be made."""

    def __init__(self, recorder: Recorder, sid: str, plan: Plan, size: tuple[int, int]) -> None:
        self._recorder = recorder
        self.path = str(Path(recorder.folder) / f"{sid}.cast")
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._last = recorder.now()
        self._decoders = {"o": _decoder("replace"), "i": _decoder("replace")}
        self._lines: list[bytes] = []
        self._pending = self._written = 0
        self._full = False
        header = {
            "version": 3,
            "term": {"cols": size[0], "rows": size[1]},
            "timestamp": int(recorder.wall()),
            "title": f"{plan.user}@{plan.target}",
        }
        self._line(header)

    def output(self, data: bytes) -> None:
        """What was shown. Hot path."""
        self._event("o", self._decoders["o"].decode(data))

    def input(self, data: bytes) -> None:
        """What was typed: kept only where that is asked for."""
        if self._recorder.with_input:
            self._event("i", self._decoders["i"].decode(data))

    def resize(self, columns: int, rows: int) -> None:
        """The screen has another size."""
        self._event("r", f"{columns}x{rows}")

    def close(self) -> None:
        """Write the rest."""
        self._write()
        try:
            self._file.close()
        except OSError as error:  # which a network file system tells here
            _log.error("a recording cannot be written", path=self.path, error=str(error))

    def _event(self, code: str, text: str) -> None:
        if self._full or not text:
            return
        now = self._recorder.now()
        self._line([round(max(0.0, now - self._last), 6), code, text])
        self._last = now

    def _line(self, value: object) -> None:
        line = _encode(value) + b"\n"
        if self._written + self._pending + len(line) > self._recorder.bytes_max:
            self._full = True
            _log.warning("a recording is full", path=self.path)
            return
        self._lines.append(line)
        self._pending += len(line)
        if self._pending >= _WRITE_BYTES:
            self._write()

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        self._written += self._pending
        self._pending = 0
        try:
            self._file.write(b"".join(lines))
        except OSError as error:
            self._full = True
            _log.error("a recording cannot be written", path=self.path, error=str(error))
