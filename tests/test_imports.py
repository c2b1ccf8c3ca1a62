"""No cycle between modules: imports of functions and under `TYPE_CHECKING` count, too."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).parent.parent / "src"


def modules() -> dict[str, Path]:
    """Every module of ours by its name; a package goes by its own."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(tree: ast.Module, names: Mapping[str, object]) -> Iterator[str]:
    """The modules among `names` that the code of one imports, wherever in it that stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            assert node.module is not None
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (member for member in members if member in names)
            if node.module in names and not all(member in names for member in members):
                yield node.module


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of modules that reach each other (strongly connected, by Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1 or name in graph[name]:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return sorted(found)


def test_no_module_imports_itself_by_way_of_others() -> None:
    paths = modules()
    graph = {
        name: set(imported(ast.parse(path.read_text()), paths)) - {name}
        for name, path in paths.items()
    }
    assert len(graph) > 300
    assert cycles(graph) == []


def test_cycles_are_found() -> None:
    names = dict.fromkeys(("a", "a.b", "a.c", "d"))
    body = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from a import b
def late():
    import d
    from a.c import thing
"""
    assert set(imported(ast.parse(body), names)) == {"a.b", "d", "a.c"}
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == [["a", "b", "c"]]
    assert cycles({"a": {"b"}, "b": set(), "c": {"b"}}) == []
