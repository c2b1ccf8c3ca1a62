"""Files with messages of users are for their user alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import structlog

from holdfast.sessions.stores.private import make_private


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private(tmp_path / "s.db")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "s.db") == 0o600


@pytest.mark.parametrize(
    ("mode", "left"),
    [
        (0o644, 0o600), (0o640, 0o600), (0o620, 0o600), (0o610, 0o600), (0o604, 0o600),
        (0o602, 0o600), (0o601, 0o600), (0o777, 0o700), (0o600, 0o600), (0o700, 0o700),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
def test_the_rights_of_others_are_removed_and_it_is_told(
    tmp_path: Path, end: str, mode: int, left: int
) -> None:
    path = tmp_path / f"s.db{end}"
    path.write_bytes(b"kept")
    path.chmod(mode)
    with structlog.testing.capture_logs() as logs:
        make_private(tmp_path / "s.db")
    assert mode_of(path) == left
    assert path.read_bytes() == b"kept"
    told = [(log["path"], log["mode"]) for log in logs]
    assert told == ([(str(path), f"{mode:04o}")] if mode != left else [])


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "s.db-other"
    other.touch()
    other.chmod(0o644)
    make_private(tmp_path / "s.db")
    assert mode_of(other) == 0o644


def test_a_file_that_others_keep_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.db"
    path.touch()
    path.chmod(0o640)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(OSError, match=r"others may read it \(mode 0640\).*not permitted") as caught:
        make_private(path)
    assert caught.value.errno is None
