"""The files that a store has open, by their names: what has another name, a restart would not
find."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from holdfast.sessions.stores.base import StoreMissingError

_NOWHERE: Final = (0, 0)


class OpenFiles:
    """Whether each name still leads to the file that was opened by it."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, int]] = {}
        """The device and the inode of each."""

    def add(self, path: Path) -> None:
        """The file of this name, if there is one, is open."""
        if path.exists():
            self._known[path] = _identity(path)

    def check(self) -> None:
        """Raise `StoreMissingError` if a name leads to another file, or to none."""
        for path, known in self._known.items():
            found = _identity(path)
            if found != known:
                what = "is not there any more" if found == _NOWHERE else "is another file now"
                raise StoreMissingError(f"{path}: the file {what}; expected the one that is open")


def _identity(path: Path) -> tuple[int, int]:
    """The device and the inode of a file."""
    try:
        found = os.stat(path)
    except OSError:
        return _NOWHERE
    return found.st_dev, found.st_ino
