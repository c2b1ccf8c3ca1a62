"""Writes the table of all limits into docs/limits.md: `python -m tests.docs.limits`."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Final

import msgspec

from holdfast.core import limits
from holdfast.core.limits import KIB, MIB, Limits

PAGE: Final = Path(__file__).parents[2] / "docs" / "limits.md"
BEGIN: Final = "<!-- all limits: written by `python -m tests.docs.limits` -->\n"
END: Final = "<!-- end -->\n"


def described() -> dict[tuple[str, str], str]:
    """What the source says of each field, by its class and name."""
    found: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(limits)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        name = ""
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                name = statement.target.id
            elif name and isinstance(statement, ast.Expr):
                assert isinstance(statement.value, ast.Constant)
                found[node.name, name] = " ".join(str(statement.value.value).split())
                name = ""
    return found


def written(name: str, value: float) -> str:
    """A default as people read it."""
    if "bytes" in name:
        for unit, size in (("MiB", MIB), ("KiB", KIB)):
            if value >= size and value % size == 0:
                return f"{value / size:,.0f} {unit}"
    number = f"{value:,.3f}".rstrip("0").rstrip(".")
    return f"{number} s" if name.endswith("seconds_max") and "per_" not in name else number


def tables() -> str:
    """All limits, a table for each group."""
    texts, parts = described(), []
    for group in msgspec.structs.fields(Limits):
        kind: type[msgspec.Struct] = group.type
        title = " ".join((kind.__doc__ or "").split())
        parts.append(
            f"**`limits.{group.name}`**: {title}\n\n| limit | default | what |\n|---|---|---|\n"
        )
        for info in msgspec.structs.fields(kind):
            what = texts.get((kind.__name__, info.name), "").replace("|", "\\|")
            default = written(info.name, info.default)
            parts.append(f"| `{info.name}` | {default} | {what} |\n")
        parts.append("\n")
    return "".join(parts)


def page(text: str) -> str:
    """The page with its table as the source has it now."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{tables()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
