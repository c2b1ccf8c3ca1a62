"""The keys of the configuration, as they are read off its types."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import Struct

from holdfast.backends import registry
from holdfast.gateway import config_keys
from holdfast.gateway.config_keys import Array, Choice, Key, Mapping, Scalar, Table, root


def tables(table: Table, seen: set[str]) -> Iterator[Table]:
    """The table and those within it, each kind once."""
    seen.add(table.name)
    yield table
    for key in table.keys:
        if key.table is not None and key.table.name not in seen:
            yield from tables(key.table, seen)


ALL = list(tables(root(), set()))
STRING, INTEGER = Scalar("string"), Scalar("integer")


def key(path: str) -> Key:
    """The key at a path, as in `listener.tls.minimum`."""
    table, found = root(), None
    for name in path.split("."):
        (found,) = [one for one in table.keys if one.name == name]
        table = found.table or table
    assert found is not None
    return found


def test_every_key_and_every_table_is_described() -> None:
    assert len(ALL) > 20
    assert [table.name for table in ALL if not table.description] == []
    silent = [
        f"{table.name}.{key.name}"
        for table in ALL
        for key in table.keys
        if not key.description and key.table is None
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("path", "types", "required", "default"),
    [
        ("node", (STRING,), False, "gateway"),
        ("listener.url", (STRING,), True, None),
        ("listener.msdp", (Scalar("boolean"),), False, False),
        ("listener.origins", (Array((STRING,)),), False, []),
        ("listener.mccp", (Array((Choice((2, 3)),)),), False, []),
        ("listener.mssp", (Mapping((STRING, INTEGER, Array((STRING,)))),), False, {}),
        ("listener.tls.minimum", (Choice(("1.2", "1.3")),), False, "1.2"),
        ("listener.proxy.trust", (Array((STRING,)),), True, None),
        ("limits.drain.drain_seconds_max", (Scalar("number"),), False, 10.0),
    ],
)
def test_a_key(path: str, types: tuple[object, ...], required: bool, default: object) -> None:
    found = key(path)
    assert (found.types, found.required, found.default) == (types, required, default)


def test_tables_in_arrays_and_tables_that_may_be_absent_are_found() -> None:
    assert key("listener").is_array
    certificate = key("listener.certificate")
    assert not certificate.is_array
    assert certificate.table is not None
    assert certificate.table.name == "Certificate"
    servers = key("upstream.servers")
    assert servers.is_array
    assert servers.table is not None
    assert [one.name for one in servers.table.keys] == ["url", "weight"]


def test_a_listener_has_the_keys_of_every_kind_of_backend() -> None:
    backend = key("listener.backend")
    assert backend.types == (Choice(tuple(registry.KINDS)),)
    assert backend.default == registry.DEFAULT.kind
    assert key("listener.upstream").backends == ("tcp", "stream")
    assert key("listener.app").backends == ("http", "link")
    assert key("listener.url").backends == ()


class _Base(Struct):
    """A base."""

    first: int = 1
    """Said by the base."""


class _Derived(_Base):
    """Derived from it."""

    second: int = 2
    third: int = 3
    """Said in
    two lines."""


def test_descriptions_come_from_the_fields_docstrings_and_from_base_classes() -> None:
    assert config_keys._descriptions(_Derived) == {
        "first": "Said by the base.",
        "second": "",
        "third": "Said in two lines.",
    }
