"""What a configuration's conversion to types finds, in the words of its file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct, inspect

Step = str | int
"""A key, or a place in an array."""


def explain(message: str, data: Any, kind: type[Struct]) -> str:
    """A validation error of data for a `kind`, as `key: expected …, found …`, in TOML's terms."""
    words, _, where = message.partition(" - at `$")
    words = words.replace("`", "")
    key = where.rstrip("`").lstrip(".")
    inside = f"{key}." if key else ""
    steps = steps_in(key)
    if match := re.fullmatch(r"Expected (\w+).*, got (\w+)", words):
        wanted, got = (_TOML_WORDS.get(word, word) for word in match.groups())
        wanted = "number" if wanted == "float" else wanted  # TOML writes 3.0 as 3, too
        return f"{key}: expected {_with_article(wanted)}, found {_show(got, steps, data)}"
    if match := re.fullmatch(r"Object missing required field (.*)", words):
        return f"{inside}{match[1]}: expected a value, found none"
    if match := re.fullmatch(r"Object contains unknown field (.*)", words):
        return f"{inside}{match[1]}: not a known key"
    if match := re.fullmatch(r"Invalid enum value (.*)", words):
        return f"{key}: expected {_choices(steps, kind)}, found {match[1]}"
    return inside + words.removeprefix("limits: ")


def steps_in(key: str) -> list[Step]:
    """The steps of a key: `listener[0].url` is `listener`, 0 and `url`."""
    return [int(index) if index else name for name, index in re.findall(_STEP, key)]


def type_at(steps: Sequence[Step], kind: type[Struct]) -> inspect.Type:
    """The type of what stands at a place in a `kind`; of a table that may be absent, the table's.

    Raises `StopIteration` for a key that there is not.
    """
    found: inspect.Type = _table_of(inspect.type_info(kind))
    for step in steps:
        if isinstance(found, inspect.StructType):
            found = next(field.type for field in found.fields if field.encode_name == step)
        elif isinstance(found, inspect.VarTupleType):
            found = found.item_type
        found = _table_of(found)
    return found


def _table_of(found: inspect.Type) -> inspect.Type:
    tables = found.types if isinstance(found, inspect.UnionType) else ()
    return next((one for one in tables if isinstance(one, inspect.StructType)), found)


_STEP: Final = r"([^.\[\]]+)|\[(\d+)\]"
_TOML_WORDS: Final = {
    "int": "integer",
    "str": "string",
    "bool": "boolean",
    "object": "table",
}


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _show(kind: str, steps: Sequence[Step], data: Any) -> str:
    """A wrong value; only its type if it is long or may be a secret."""
    for step in steps:
        data = data[step]
    if kind in ("table", "array") or steps[-1:] == ["secret"]:
        return _with_article(kind)
    return f"the {kind} {data!r}"


def _choices(steps: Sequence[Step], kind: type[Struct]) -> str:
    """The possible values of a key."""
    found = type_at(steps, kind)
    assert isinstance(found, inspect.LiteralType)
    *most, last = map(repr, found.values)
    return f"{', '.join(most)} or {last}"


def in_words(problem: str) -> str:
    """A problem with its tables counted as they stand in the file: `listener[0]` is the first
    `[[listener]]`."""
    return re.sub(r"^([a-z.]+)\[(\d+)\]\.?", _in_words, problem)


def key_in_words(key: str) -> str:
    """A key within a problem, its tables counted likewise: `url of [[listener]] 1`."""
    return re.sub(r"^([a-z.]+)\[(\d+)\]\.(.+)", _key_in_words, key)


def _key_in_words(found: re.Match[str]) -> str:
    return f"{found[3]} of [[{found[1]}]] {int(found[2]) + 1}"


def _in_words(found: re.Match[str]) -> str:
    return f"[[{found[1]}]] {int(found[2]) + 1}: "
