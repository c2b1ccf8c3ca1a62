"""The databases of the demo and of the MUD: what users have said, and their accounts."""

from __future__ import annotations

import stat
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest
from tests.examples.mud import MUD
from tests.programs import ROOT

CHAT = ROOT / "src" / "holdfast" / "demo" / "chat.py"


def loaded(path: Path) -> ModuleType:
    spec = util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
@pytest.mark.parametrize(
    ("program", "variable", "name"),
    [(CHAT, "HOLDFAST_CHAT_DATA", "chat.db"), (MUD, "HOLDFAST_MUD_DATA", "mud.db")],
    ids=["chat", "mud"],
)
def test_nobody_else_may_read_it(
    program: Path,
    variable: str,
    name: str,
    existing: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, str(tmp_path))
    path = tmp_path / name
    if existing:
        path.touch()
        path.chmod(0o644)
    module = loaded(program)
    with module.database() as database:
        database.execute("CREATE TABLE more (x)")
    found = {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    database.close()
    assert found == {0o600}
