"""Header blocks against the examples of RFC 7541, appendix C."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.vtc.h2 import headers
from holdfast.vtc.h2.headers import (
    BlockError,
    DecodingTable,
    EncodingTable,
    FieldString,
    table_value,
)
from holdfast.vtc.language.errors import Failure


def test_a_literal_with_indexing() -> None:
    """C.2.1"""
    table = EncodingTable()
    block = table.literal("inc", FieldString(b"custom-key"), FieldString(b"custom-header"))
    assert block == bytes.fromhex(
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572"
    )
    assert table_value(table.table, ".size") == "55"
    assert table_value(table.table, "[1].key") == "custom-key"


def test_a_literal_without_indexing() -> None:
    """C.2.2"""
    table = EncodingTable()
    block = table.literal("not", 4, FieldString(b"/sample/path"))
    assert block == bytes.fromhex("040c 2f73 616d 706c 652f 7061 7468")
    assert table_value(table.table, ".length") == "0"


def test_a_literal_that_is_never_indexed() -> None:
    """C.2.3"""
    block = EncodingTable().literal("never", FieldString(b"password"), FieldString(b"secret"))
    assert block == bytes.fromhex("1008 7061 7373 776f 7264 0673 6563 7265 74")


def test_an_indexed_field() -> None:
    """C.2.4"""
    assert EncodingTable().indexed(2) == b"\x82"


def test_requests_with_huffman_coding() -> None:
    """C.4"""
    table = EncodingTable()
    first = b"".join(
        (
            *(table.indexed(index) for index in (2, 6, 4)),
            table.literal("inc", 1, FieldString(b"www.example.com", huffman=True)),
        )
    )
    assert first == bytes.fromhex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")
    decoding = DecodingTable()
    assert decoding.decode(first) == [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ]
    assert table_value(decoding.table, ".size") == "57"
    second = table.indexed(62) + table.literal("inc", 24, FieldString(b"no-cache", huffman=True))
    assert second == bytes.fromhex("be58 86a8 eb10 649c bf")
    assert decoding.decode(second)[1] == ("cache-control", "no-cache")
    assert table_value(decoding.table, "[1].value") == "no-cache"
    assert table_value(decoding.table, "[2].key") == ":authority"


def test_a_table_shrinks() -> None:
    table = EncodingTable()
    table.literal("inc", FieldString(b"a"), FieldString(b"b"))
    table.resize(0)
    assert table_value(table.table, ".size") == "0"
    assert table_value(table.table, ".maxsize") == "0"


@pytest.mark.parametrize(
    ("what", "value"), [("[1].key", None), ("[0].key", None), (".nonsense", ".nonsense")]
)
def test_what_a_table_has_not(what: str, value: str | None) -> None:
    assert table_value(EncodingTable().table, what) == value


@pytest.mark.parametrize("block", ["ff9c01", "be", "80", "4001", "3fe1ff"])
def test_a_bad_block_is_refused(block: str) -> None:
    with pytest.raises(BlockError):
        DecodingTable().decode(bytes.fromhex(block))


def test_the_name_of_an_index_that_is_not_there_is_refused() -> None:
    with pytest.raises(BlockError):
        EncodingTable().literal("inc", 100, FieldString(b"x"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["inc", "not", "never"]),
            st.binary(min_size=1, max_size=20),
            st.booleans(),
            st.binary(max_size=20),
            st.booleans(),
        ),
        max_size=20,
    )
)
def test_fields_that_are_written_are_read_again(
    fields: list[tuple[str, bytes, bool, bytes, bool]],
) -> None:
    encoding, decoding = EncodingTable(), DecodingTable()
    block = b"".join(
        encoding.literal(indexing, FieldString(name, huffman), FieldString(value, squeezed))
        for indexing, name, huffman, value, squeezed in fields
    )
    expected = [
        (name.decode("latin-1"), value.decode("latin-1")) for _, name, _, value, _ in fields
    ]
    assert decoding.decode(block) == expected
    assert list(decoding.table.dynamic_entries) == list(encoding.table.dynamic_entries)


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_refused(block: bytes) -> None:
    with contextlib.suppress(BlockError):
        DecodingTable().decode(block)


def test_without_the_library_a_connection_fails_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(headers, "INSTALLED", False)
    with pytest.raises(Failure, match=r"expected hpack to be installed \(holdfast\[vtc\]\)"):
        EncodingTable()
