"""No file and no class comes to own everything."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parent.parent / "src" / "holdfast"
LINES_MAX: Final = 500
METHODS_MAX: Final = 25

ASYNCIO: Final = frozenset(dir(asyncio.Transport)) | frozenset(dir(asyncio.Protocol))
"""What an event loop calls is not ours to split."""

LONG_FILES: Final[Mapping[str, str]] = {
    "net/transport/_sockets.pyx": "its classes call each other in C, which takes one module",
}
"""Files that may be longer, each with the reason."""

LARGE_CLASSES: Final[Mapping[str, str]] = {}
"""Classes that may have more methods, each with the reason."""


def files() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*.py*")):
        if path.suffix in (".py", ".pyx"):
            yield str(path.relative_to(SOURCE)), path.read_text()


def methods(node: ast.ClassDef) -> list[str]:
    """The methods of a class. Properties are attributes to whoever uses it, and count as such."""
    return [
        each.name
        for each in node.body
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        and each.name not in ASYNCIO - {"__init__"}
        and not any(
            ast.unparse(mark).endswith(("property", "setter")) for mark in each.decorator_list
        )
    ]


def test_no_file_is_too_long() -> None:
    found = {name: len(text.splitlines()) for name, text in files()}
    long = {name: lines for name, lines in found.items() if lines > LINES_MAX}
    assert {name: lines for name, lines in long.items() if name not in LONG_FILES} == {}
    assert LONG_FILES.keys() <= long.keys(), "a file that is short again needs no exception"


def test_no_class_has_too_many_methods() -> None:
    large = {
        f"{name}: {node.name}": len(methods(node))
        for name, text in files()
        if name.endswith(".py")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef) and len(methods(node)) > METHODS_MAX
    }
    assert {name: count for name, count in large.items() if name not in LARGE_CLASSES} == {}
    assert LARGE_CLASSES.keys() <= large.keys(), "a class that is small again needs no exception"
