"""The keys of the configuration, from its types: names, types, defaults and descriptions.

The description of a key is the docstring after its field. It is read from the source, because
Python does not keep docstrings of fields.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Struct, structs
from msgspec import inspect as types

from holdfast.backends import registry
from holdfast.gateway.config import Config, ListenerConfig


class Choice(Struct, frozen=True):
    """One of a few values."""

    values: tuple[Any, ...]


class Scalar(Struct, frozen=True):
    """`string`, `integer`, `number` or `boolean`."""

    name: str


class Array(Struct, frozen=True):
    """An array, whose items have one of these types."""

    items: tuple[Type, ...]


class Mapping(Struct, frozen=True):
    """A table whose keys the user chooses."""

    values: tuple[Type, ...]


class Table(Struct, frozen=True):
    """A table with known keys."""

    name: str
    """The name of its type."""
    description: str
    keys: tuple[Key, ...]


Type = Choice | Scalar | Array | Mapping | Table


class Key(Struct, frozen=True):
    """One key of a table."""

    name: str
    types: tuple[Type, ...]
    """The types that a value may have."""
    required: bool
    default: Any
    """`None`: required, or absent by default."""
    description: str
    backends: tuple[str, ...] = ()
    """The kinds of backends that have the key; empty: it does not depend on the backend."""

    @property
    def table(self) -> Table | None:
        """The table, or the table of each item, that the value is or may be."""
        for kind in self.types:
            for one in kind.items if isinstance(kind, Array) else (kind,):
                if isinstance(one, Table):
                    return one
        return None

    @property
    def is_array(self) -> bool:
        return any(isinstance(kind, Array) for kind in self.types)


def root() -> Table:
    """The configuration as a whole."""
    return _table(Config)


_SCALARS: Final[dict[type[types.Type], str]] = {
    types.StrType: "string",
    types.IntType: "integer",
    types.FloatType: "number",
    types.BoolType: "boolean",
}


@cache
def _table(struct: type[Struct]) -> Table:
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    described = _descriptions(struct)
    keys: list[Key] = []
    for field in info.fields:
        if struct is ListenerConfig and field.name == registry.SELECTOR:
            keys += _backend_keys(described[field.name])
        else:
            keys.append(_key(field, described[field.name]))
    return Table(struct.__name__, inspect.cleandoc(struct.__doc__ or ""), tuple(keys))


def _backend_keys(description: str) -> Iterator[Key]:
    """The key that selects the kind of backend, and the keys of the kinds."""
    selector = (Choice(tuple(registry.KINDS)),)
    yield Key(registry.SELECTOR, selector, False, registry.DEFAULT.kind, description)
    found: dict[str, tuple[Key, list[str]]] = {}
    for kind in registry.KINDS.values():
        for key in _table(kind.Config).keys:
            found.setdefault(key.name, (key, []))[1].append(kind.Config.kind)
    for key, kinds in found.values():
        yield structs.replace(key, backends=tuple(kinds))


def _key(field: types.Field, description: str) -> Key:
    default = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    if isinstance(default, Struct) or default is msgspec.NODEFAULT:
        default = None
    elif isinstance(default, tuple):
        default = list(msgspec.to_builtins(default))
    return Key(field.encode_name, tuple(_types(field.type)), field.required, default, description)


def _types(found: types.Type) -> Iterator[Type]:
    match found:
        case types.UnionType():
            for one in found.types:
                yield from _types(one)
        case types.NoneType():
            pass  # absent: TOML has no null
        case types.LiteralType():
            yield Choice(tuple(found.values))
        case types.VarTupleType() | types.ListType():
            yield Array(tuple(_types(found.item_type)))
        case types.DictType():
            yield Mapping(tuple(_types(found.value_type)))
        case types.StructType():
            yield _table(found.cls)
        case _:
            yield Scalar(_SCALARS[type(found)])


@cache
def _descriptions(struct: type[Struct]) -> dict[str, str]:
    """The docstring of each field, also of base classes; empty for a field without one."""
    found = dict.fromkeys(struct.__struct_fields__, "")
    for owner in reversed(struct.__mro__):
        if issubclass(owner, Struct) and owner is not Struct:
            found |= dict(_own_descriptions(owner))
    return found


def _own_descriptions(struct: type[Struct]) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(struct))).body
    assert isinstance(definition, ast.ClassDef)
    for field, after in zip(definition.body, definition.body[1:], strict=False):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                yield name, " ".join(inspect.cleandoc(text).split())
            case _:
                pass  # a field without a docstring, or no field
