"""The reference of the configuration: a page, a JSON Schema for editors, an example file."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

from holdfast.core.limits import KIB, MIB
from holdfast.gateway.config_keys import Array, Choice, Key, Mapping, Scalar, Table, Type, root

_TOP: Final = "Top level"
_START: Final = """\
[[listener]]
url = "telnet://127.0.0.1:4000"
backend = "echo"
durability = "memory"
"""
"""The part of the example that is not a comment."""
_COLUMNS: Final = 100


# --- a page


def markdown() -> str:
    """The reference as Markdown, with a section for each table, in the order of the types."""
    lines = [
        "# Configuration reference",
        "",
        "`holdfast config --reference` writes this page from the types of the program. `holdfast"
        " config --schema` writes a JSON Schema for editors, `holdfast config --example` an example"
        " file. `holdfast check` checks a file.",
    ]
    for heading, table in _sections():
        lines += ["", f"## {heading}", ""]
        if table.description and heading != _TOP:
            lines += [table.description.partition("\n\n")[0].replace("\n", " "), ""]
        lines += ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
        lines += [_row(key) for key in table.keys]
    return "\n".join(lines) + "\n"


def _sections() -> Iterator[tuple[str, Table]]:
    """The heading and the table of each type of table, once, where it occurs first."""
    seen: set[str] = set()

    def walk(table: Table, path: str) -> Iterator[tuple[str, Table]]:
        for key in table.keys:
            inner = key.table
            if inner is None or inner.name in seen:
                continue
            seen.add(inner.name)
            name = f"{path}{key.name}"
            yield f"[[{name}]]" if key.is_array else f"[{name}]", inner
            yield from walk(inner, f"{name}.")

    whole = root()
    yield _TOP, whole
    yield from walk(whole, "")


def _row(key: Key) -> str:
    kinds = _listed([_words(one) for one in key.types])
    cells = (f"`{key.name}`", kinds, _default(key), _meaning(key))
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _default(key: Key) -> str:
    if key.required:
        return "required"
    if not _has_default(key.default):
        return ""
    if "bytes" in key.name:
        for unit, size in (("MiB", MIB), ("KiB", KIB)):
            if key.default >= size and key.default % size == 0:
                return f"{_code(key.default)} ({key.default / size:,.0f} {unit})"
    return _code(key.default)


def _meaning(key: Key) -> str:
    text = key.description
    if key.table is not None:
        text = f"{text or _first_line(key.table)} See {_heading_of(key.table)}."
    if key.backends:
        text += f" Only with `backend` {_listed([_code(one) for one in key.backends])}."
    return text.strip()


def _first_line(table: Table) -> str:
    return table.description.partition("\n")[0]


def _heading_of(table: Table) -> str:
    return next(f"`{heading}`" for heading, one in _sections() if one.name == table.name)


def _words(kind: Type) -> str:
    match kind:
        case Choice():
            return _listed([_code(value) for value in kind.values])
        case Scalar():
            return kind.name
        case Array():
            return f"array of {_listed([_plural(one) for one in kind.items])}"
        case Mapping():
            return f"table of {_listed([_plural(one) for one in kind.values])}"
        case Table():
            return "table"


def _plural(kind: Type) -> str:
    words = _words(kind)
    return f"{words}s" if isinstance(kind, Scalar | Table) else words


def _has_default(default: Any) -> bool:
    """Whether a default is more than the absence of the key."""
    return default is not None and default not in ("", [], {})


def _code(value: Any) -> str:
    return f"`{_toml(value)}`"


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


# --- a schema


def json_schema() -> str:
    """A JSON Schema (draft 2020-12) that editors use for TOML, too."""
    tables = {table.name: _schema_of_table(table) for _, table in _sections()}
    whole = tables.pop(root().name)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Holdfast"}
    return json.dumps({**head, **whole, "$defs": tables}, indent=2) + "\n"


def _schema_of_table(table: Table) -> dict[str, Any]:
    properties = {}
    for key in table.keys:
        properties[key.name] = {**_one_of(key.types), "description": _meaning(key)}
        if _has_default(key.default):
            properties[key.name]["default"] = key.default
    required = [key.name for key in table.keys if key.required]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _one_of(kinds: Sequence[Type]) -> dict[str, Any]:
    found = [_schema(one) for one in kinds]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _schema(kind: Type) -> dict[str, Any]:
    match kind:
        case Choice():
            return {"enum": list(kind.values)}
        case Scalar():
            return {"type": kind.name}
        case Array():
            return {"type": "array", "items": _one_of(kind.items)}
        case Mapping():
            return {"type": "object", "additionalProperties": _one_of(kind.values)}
        case Table():
            return {"$ref": f"#/$defs/{kind.name}"}


# --- a file


def example() -> str:
    """A file to begin with: one listener, and every other key as a comment with its default."""
    lines = ["# A gateway's configuration. What is commented out is the default.", "", _START[:-1]]
    for heading, table in _sections():
        if heading == _TOP:
            continue
        lines += ["", f"# {_first_line(table)}", f"# {heading}"]
        for key in table.keys:
            if key.table is None:
                lines += textwrap.wrap(
                    _meaning(key),
                    _COLUMNS,
                    initial_indent="#   ",
                    subsequent_indent="#   ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
                lines.append(f"# {key.name} = {_sample(key)}")
    return "\n".join(lines) + "\n"


def _sample(key: Key) -> str:
    """The default of a key, or a value of its type."""
    if key.default is not None:
        return _toml(key.default)
    match key.types[0]:
        case Array():
            return "[]"
        case Mapping():
            return "{}"
        case Choice(values=values):
            return _toml(values[0])
        case _:
            return '""'


def _toml(value: Any) -> str:
    """A default as TOML."""
    if isinstance(value, float) and value.is_integer():
        return f"{value:.1f}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{name} = {_toml(one)}" for name, one in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return json.dumps(value)
