"""The lines that were typed before, and what is not kept of them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from holdfast.cli.terminal.history import LINES_MAX, History, history_path
from holdfast.core.ids import new_resume_code


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_lines_are_kept_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "holdfast" / "history"
    first = History(path)
    for line in ("look", "say ☃", "say ☃", "a\nb", "\udc80"):
        first.add(line)
    assert [*History(path).lines] == ["look", "say ☃", "a b", "?"]
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    second = History(path)  # another terminal, at the same time
    second.add("there")
    first.add("here")
    assert [*History(path).lines][-2:] == ["there", "here"]


@pytest.mark.parametrize(
    "line",
    ["", " connect ann secret", f"Resume {new_resume_code()}", "resume ABC-D", "x" * 2001],
    ids=range(5),
)
def test_what_is_secret_or_too_long_is_not_kept(tmp_path: Path, line: str) -> None:
    history = History(tmp_path / "history")
    history.add("resume the story")
    history.add(line)
    assert [*history.lines] == ["resume the story"]
    assert (tmp_path / "history").read_text() == "resume the story\n"


def test_the_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("".join(f"{number}\n" for number in range(5000)))
    path.chmod(0o644)
    history = History(path)
    newest = [str(number) for number in range(5000 - LINES_MAX, 5000)]
    assert [*history.lines] == path.read_text().split() == newest
    assert mode(path) == 0o600
    assert [*tmp_path.iterdir()] == [path]
    history.add("x")
    assert len(history.lines) == LINES_MAX


def test_a_file_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("keep\n")
    link = tmp_path / "link"
    link.symlink_to(target)
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (link, folder, target / "history", Path("/dev/null/history")):
        history = History(path)
        history.add("look")
        assert [*history.lines] == ["look"], path
    assert target.read_text() == "keep\n"


def test_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    for given, found in (
        ("/state", "/state/holdfast/history"),
        ("", "/home/ann/.local/state/holdfast/history"),
        ("relative", "/home/ann/.local/state/holdfast/history"),
    ):
        monkeypatch.setenv("XDG_STATE_HOME", given)
        assert str(history_path()) == found
