"""A backend changes sessions by its port alone: nothing in `backends/` reaches past it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import holdfast.backends
from holdfast.sessions.session import Session

FOLDER: Final = Path(holdfast.backends.__file__).parent
READ: Final = frozenset(
    {"sid", "row", "generation", "inbox", "attached", "state", "backend", "route", "facts"}
    | {"viewers"}
)
"""What a backend may look at of a session; `route` is its own."""
QUEUE: Final = frozenset(
    {"applied", "top", "entries", "oldest", "waiting", "forwarded_bytes", "size"}
)
"""What it may look at of the queue of commands."""
FILES: Final = sorted(FOLDER.rglob("*.py"))


def touched(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What of a session, or of its queue, the code uses without being allowed to."""
    names = {name for name in dir(Session) if not name.startswith("__")}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        value = node.value
        of_session = (isinstance(value, ast.Name) and value.id == "session") or (
            isinstance(value, ast.Attribute) and value.attr == "_session"
        )
        of_queue = isinstance(value, ast.Attribute) and value.attr == "inbox"
        if of_session and node.attr in names - READ:
            yield node.lineno, f"session.{node.attr}"
        if of_queue and node.attr not in QUEUE:
            yield node.lineno, f"inbox.{node.attr}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_backend_changes_sessions_by_its_port(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert list(touched(tree)) == []
    imported = {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }
    assert "holdfast.sessions.manager" not in imported


def test_what_reaches_past_the_port_is_found() -> None:
    code = "session.emit(x)\nself._session.out.take()\nsession.inbox.take()\nsession.row.user"
    assert [what for _, what in touched(ast.parse(code))] == [
        "session.emit",
        "inbox.take",
        "session.out",
    ]
