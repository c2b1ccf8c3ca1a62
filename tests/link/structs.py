"""Any value of a `msgspec` type, for Hypothesis."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

_INTS = st.integers(-(2**63), 2**64 - 1)
_TEXT = st.text(max_size=12)
_PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=4,
)


def values(kind: Any, *, json: bool = False) -> st.SearchStrategy[Any]:
    """Any value of the type `kind`. A `Raw` holds JSON or else MessagePack."""
    return _strategy(inspect.type_info(kind), json)


def _strategy(info: inspect.Type, json: bool) -> st.SearchStrategy[Any]:  # noqa: C901 - a case a type
    match info:
        case inspect.IntType(ge=int(least), le=int(most)):
            return st.integers(least, most)
        case inspect.IntType():
            return _INTS if not json else st.integers(-(2**53), 2**53)
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.StrType():
            return _TEXT
        case inspect.BoolType():
            return st.booleans()
        case inspect.BytesType():
            return st.binary(max_size=12)
        case inspect.NoneType():
            return st.none()
        case inspect.AnyType():
            return _PLAIN
        case inspect.RawType():
            encode = msgspec.json.encode if json else msgspec.msgpack.encode
            return _PLAIN.map(lambda value: msgspec.Raw(encode(value)))
        case inspect.UnionType(types):
            kinds = [kind for kind in types if not isinstance(kind, inspect.CustomType)]
            return st.one_of([_strategy(kind, json) for kind in kinds])
        case inspect.ListType(item_type):
            return st.lists(_strategy(item_type, json), max_size=3)
        case inspect.VarTupleType(item_type):
            return st.lists(_strategy(item_type, json), max_size=3).map(tuple)
        case inspect.DictType(key_type, value_type):
            return st.dictionaries(
                _strategy(key_type, json), _strategy(value_type, json), max_size=3
            )
        case inspect.StructType():
            return st.builds(
                info.cls, **{field.name: _strategy(field.type, json) for field in info.fields}
            )
        case _:
            raise AssertionError(f"no strategy for {info!r}")
