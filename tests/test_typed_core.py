"""The typed core: what its `.pxd` files declare is what its `.py` files have."""

from __future__ import annotations

import ast
import hashlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.typed_core import COMPILED, IN_USE, ROOT, is_current

SOURCE = ROOT / "src"
TYPED = sorted(SOURCE.rglob("*.pxd"))
_CLASS = re.compile(r"^cdef class (\w+)")
_FIELD = re.compile(r"^    cdef (?:public |readonly )?[\w ]+ (\w+)$")
_METHOD = re.compile(r"^    cpdef [\w ]+ (\w+)\(")


def declared(text: str) -> dict[str, tuple[list[str], list[str]]]:
    """The fields and the methods that a `.pxd` declares, by class."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    fields: list[str] = []
    methods: list[str] = []
    for line in text.splitlines():
        if match := _CLASS.match(line):
            fields, methods = [], []
            found[match[1]] = fields, methods
        elif match := _METHOD.match(line):
            methods.append(match[1])
        elif match := _FIELD.match(line):
            fields.append(match[1])
    return found


def slots(node: ast.ClassDef) -> list[str]:
    """The names in the `__slots__` of a class."""
    for statement in node.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__slots__":
            return list(ast.literal_eval(statement.value))
    return []


@pytest.mark.parametrize("path", TYPED, ids=[path.stem for path in TYPED])
def test_declarations_and_classes_have_the_same_fields(path: Path) -> None:
    """A field that is not declared cannot be set in the compiled class."""
    tree = ast.parse(path.with_suffix(".py").read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for name, (fields, methods) in declared(path.read_text()).items():
        assert sorted(fields) == sorted(slots(classes[name])), name
        defined = {one.name for one in classes[name].body if isinstance(one, ast.FunctionDef)}
        assert set(methods) <= defined, name


def test_what_has_types_is_compiled() -> None:
    compiled = IN_USE == COMPILED
    for path in TYPED:
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        file = importlib.import_module(name).__file__
        assert file is not None
        assert file.endswith(".py") is not compiled, name


def test_the_environment_asks_for_the_python_files() -> None:
    program = "import holdfast.sessions.session as it; print(it.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"HOLDFAST_PURE": "core", "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(SOURCE / "holdfast" / "sessions" / "session.py")


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    lines = []
    for name in ("one.pxd", "one.py"):
        (folder / name).write_text(name)
        lines.append(f"{hashlib.sha256(name.encode()).hexdigest()}  src/{name}\n")
    sums = tmp_path / "sums"
    assert not is_current(tmp_path, sums)
    sums.write_text("".join(lines))
    assert is_current(tmp_path, sums)
    (folder / "two.pxd").write_text("")
    assert not is_current(tmp_path, sums)
    (folder / "two.pxd").unlink()
    (folder / "one.py").write_text("changed")
    assert not is_current(tmp_path, sums)
    (folder / "one.py").unlink()
    assert not is_current(tmp_path, sums)
