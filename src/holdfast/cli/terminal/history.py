"""The lines that were typed before, in a file of this user."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from holdfast.core.ids import read_resume_code

LINES_MAX: Final = 1000
"""The lines that are kept, the newest ones."""
_LINE_CHARS_MAX: Final = 2000
"""A longer line is not kept."""
_FILE_BYTES_MAX: Final = 8 * LINES_MAX * _LINE_CHARS_MAX
"""A larger file is not ours, and is not read."""
_MISTYPED: Final = re.compile(r"\S*[-\d]")
"""The beginning of a resume code with an error in it."""
_SPARE_LINES: Final = LINES_MAX // 2
"""Lines above the limit at which the file is written anew."""


def history_path() -> Path:
    """The file in the user's state directory (XDG Base Directory Specification)."""
    given = os.environ.get("XDG_STATE_HOME", "")
    state = Path(given) if Path(given).is_absolute() else Path.home() / ".local" / "state"
    return state / "holdfast" / "history"


class History:
    """Lines in the order they were typed; a file that cannot be used keeps none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lines: deque[str] = deque(maxlen=LINES_MAX)
        with contextlib.suppress(OSError):
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
            self._load()

    def add(self, line: str) -> None:
        """Keep a line, unless it is secret, begins with a space, or is the last one again."""
        if not _kept(line) or (self.lines and self.lines[-1] == line):
            return
        self.lines.append(line)
        with (
            contextlib.suppress(OSError),
            _opened(self._path, os.O_WRONLY | os.O_APPEND) as descriptor,
        ):
            _write(descriptor, _encoded(line))  # in one step: other terminals write there, too

    def _load(self) -> None:
        with _opened(self._path, os.O_RDONLY) as descriptor:
            if os.fstat(descriptor).st_size > _FILE_BYTES_MAX:
                return
            with open(descriptor, "rb", closefd=False) as file:
                lines = file.read().decode(errors="replace").split("\n")
        kept = [line for line in lines if _kept(line)]
        self.lines.extend(kept)
        if len(kept) > LINES_MAX + _SPARE_LINES:
            self._write_anew()

    def _write_anew(self) -> None:
        """Write the newest lines in place of all; a line that another terminal adds meanwhile is
        lost."""
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with _opened(beside, os.O_WRONLY | os.O_EXCL) as descriptor:
            _write(descriptor, b"".join(map(_encoded, self.lines)))
        beside.replace(self._path)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """A regular file that only this user may read. Raises `OSError` for any other."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise OSError(f"{path}: expected a regular file of this user")
        if stat.S_IMODE(status.st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _kept(line: str) -> bool:
    """Whether a line is one to keep: a resume code is a secret, as is what a space precedes."""
    return (
        line != ""
        and not line.startswith(" ")
        and len(line) <= _LINE_CHARS_MAX
        and not _resumes(line)
    )


def _resumes(line: str) -> bool:
    word, _, code = line.partition(" ")
    is_code = read_resume_code(code) is not None or _MISTYPED.match(code) is not None
    return word.lower() == "resume" and is_code


def _encoded(line: str) -> bytes:
    return line.replace("\n", " ").encode(errors="replace") + b"\n"
