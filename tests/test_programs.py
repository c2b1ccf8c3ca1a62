"""Missing peer programs: skipped at home, a failure where everything must be there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import programs
from tests.programs import need


def test_what_is_missing_is_skipped_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no-such-program is not .* \(./dev peers\)"):
        need("no-such-program")


def test_what_only_root_looks_for_is_found_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "no-such-program"
    program.touch(0o755)
    monkeypatch.setattr(programs, "_FOLDERS", (str(tmp_path),))
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("PATH", os.environ["PATH"])  # as it is now, it is given back
    programs.look_everywhere()
    assert need("no-such-program") == str(program)


def test_on_a_build_server_it_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed"):
        need("no-such-program")
