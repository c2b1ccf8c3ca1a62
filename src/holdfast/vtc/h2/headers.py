"""Header blocks (HPACK, RFC 7541) with the library `hpack`.

The library's encoder chooses representations by itself; a test specifies them. Blocks are
therefore assembled here, with the library's integers, Huffman code and table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.source import ENCODING

try:
    from hpack import Decoder, Encoder, HPACKError
    from hpack.hpack import encode_integer
    from hpack.table import HeaderTable, table_entry_size
except ImportError:  # it is of an extra; the manual and other commands need none of it
    INSTALLED = False
else:
    INSTALLED = True

FIELDS_MAX = 64
LIST_BYTES_MAX = 2048 * 1024
_TABLE_BYTES_MAX = 1 << 32

INDEXING = {"inc": 0x40, "not": 0x00, "never": 0x10}
"""How a literal is marked (RFC 7541 section 6.2)."""
_INDEX_BITS = {"inc": 6, "not": 4, "never": 4}


class BlockError(ValueError):
    """A malformed header block. The message says why."""


class FieldString(NamedTuple):
    """A name or a value, and whether it is to be Huffman coded."""

    text: bytes
    huffman: bool = False


class EncodingTable:
    """The sender's side of a connection's header compression. Raises `Failure` without `hpack`."""

    def __init__(self) -> None:
        if not INSTALLED:
            raise Failure("HTTP/2: expected hpack to be installed (holdfast[vtc]); found none")
        self._encoder = Encoder()
        self.table = self._encoder.header_table

    def resize(self, size: int) -> None:
        """The peer's setting. Nothing is sent about it."""
        self.table.maxsize = size

    def indexed(self, index: int) -> bytes:
        """A field of the table, whether it exists or not."""
        field = encode_integer(index, 7)
        field[0] |= 0x80
        return bytes(field)

    def literal(self, indexing: str, name: FieldString | int, value: FieldString) -> bytes:
        """A field with its value written out; its name too, or an index for it."""
        first = encode_integer(name if isinstance(name, int) else 0, _INDEX_BITS[indexing])
        first[0] |= INDEXING[indexing]
        block = bytes(first)
        if isinstance(name, FieldString):
            block += self._word(name)
        if indexing == "inc":
            self.table.add(self._name(name), value.text)
        return block + self._word(value)

    def _name(self, name: FieldString | int) -> bytes:
        if isinstance(name, FieldString):
            return name.text
        try:
            return bytes(self.table.get_by_index(name)[0])
        except HPACKError as error:
            raise BlockError(str(error)) from None

    def _word(self, word: FieldString) -> bytes:
        text = self._encoder.huffman_coder.encode(word.text) if word.huffman else word.text
        length = encode_integer(len(text), 7)
        length[0] |= 0x80 if word.huffman else 0
        return bytes(length) + text


class DecodingTable:
    """The receiver's side of a connection's header compression."""

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=LIST_BYTES_MAX)
        # The test decides about limits, not the library.
        self._decoder.max_allowed_table_size = _TABLE_BYTES_MAX
        self.table = self._decoder.header_table

    def resize(self, size: int) -> None:
        """Our own setting."""
        self.table.maxsize = size

    def decode(self, block: bytes) -> list[tuple[str, str]]:
        """The fields of a block. Raises `BlockError`."""
        try:
            fields = list(self._decoder.decode(block, raw=True))
        except HPACKError as error:
            raise BlockError(str(error)) from None
        return [(name.decode(ENCODING), value.decode(ENCODING)) for name, value in fields]


def table_value(table: HeaderTable, what: str) -> str | None:
    """Return a property of a table, or of a dynamic entry, `[1].key`; `None` if there is none."""
    entries = table.dynamic_entries
    match what:
        case ".size":
            return str(sum(table_entry_size(name, value) for name, value in entries))
        case ".maxsize":
            return str(table.maxsize)
        case ".length":
            return str(len(entries))
        case _:
            return _entry_value(entries, what)


def _entry_value(entries: Sequence[tuple[bytes, bytes]], what: str) -> str | None:
    number, _, part = what.removeprefix("[").partition("].")
    if not number.isdigit() or part not in ("key", "value"):
        return what
    index = int(number) - 1
    if not 0 <= index < len(entries):
        return None
    return bytes(entries[index][part == "value"]).decode(ENCODING)
