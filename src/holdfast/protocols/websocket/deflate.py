"""permessage-deflate (RFC 7692): compressed messages, and their negotiation.

A `Deflate` belongs to a server or a client. It negotiates (section 7.1) and makes a
`PerMessageDeflate` for each connection that agreed.

Memory is the cost of this extension. A compressor is therefore made for the first message that
is large enough, and can be released at any time (`rest`): a sender need not refer back, so the
receiver does not notice. Without context takeover, all connections of a `Deflate` share one
compressor: a full flush resets it. Decompressors are never shared: a hostile message could
refer to the data of another connection.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from holdfast.core.errors import ConfigurationError
from holdfast.protocols.websocket.frames import CloseCode, ViolationError
from holdfast.protocols.websocket.head import Headers
from holdfast.protocols.websocket.snapshot import DeflateSnapshot
from holdfast.protocols.websocket.window import window_of

NAME: Final = "permessage-deflate"
EXTENSIONS: Final = "Sec-WebSocket-Extensions"

_TAIL: Final = b"\x00\x00\xff\xff"
"""The end of a flush, which is not sent (section 7.2.1)."""
_FINAL_BLOCKS_MAX: Final = 16
"""In one message. They are allowed (section 7.2.3.4) and unusual, and each costs a decompressor."""
_BITS_MIN: Final = 9
"""zlib cannot compress with the smallest window of the RFC, 8."""
_BITS_MAX: Final = 15

_SERVER_FRESH: Final = "server_no_context_takeover"
_CLIENT_FRESH: Final = "client_no_context_takeover"
_SERVER_BITS: Final = "server_max_window_bits"
_CLIENT_BITS: Final = "client_max_window_bits"

Parameters = dict[str, str | None]


class DeflateSettingsError(ConfigurationError, ValueError):
    """A setting is out of range. It is a `ValueError`, so that msgspec adds the path of the
    field."""


_RANGES: Final = (
    (_SERVER_BITS, _BITS_MIN, _BITS_MAX),
    (_CLIENT_BITS, _BITS_MIN, _BITS_MAX),
    ("level", 1, 9),
    ("memory_level", 1, 9),
    ("threshold_bytes", 1, 1 << 31),
)


class DeflateSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters of permessage-deflate (RFC 7692; the first four), and of the compressor."""

    server_no_context_takeover: bool = False
    """Whether the server compresses each message separately: less memory, larger messages."""
    client_no_context_takeover: bool = False
    """Whether the client compresses each message separately."""
    server_max_window_bits: int = 12
    """The size of the server's window as a power of two, 9 to 15."""
    client_max_window_bits: int = 12
    """The size of the client's window as a power of two, 9 to 15."""
    level: int = 1
    """The compression level of zlib, from 1 (fast) to 9 (small)."""
    memory_level: int = 5
    """The memory level of zlib, from 1 to 9. A compressor takes 2^(bits + 2) + 2^(memory_level + 9)
    bytes."""
    threshold_bytes: int = 64
    """Shorter messages are sent uncompressed."""

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                raise DeflateSettingsError(
                    f"{name}: expected a number from {low} to {high}, found {value!r}"
                )


CLIENT_DEFAULTS: Final = DeflateSettings(server_max_window_bits=_BITS_MAX)
"""A client asks nothing of the server that some servers cannot grant."""


class NegotiationError(Exception):
    """The server's answer does not match the offer. The message names the value found."""


class Agreement(Struct, frozen=True):
    """The agreement of both sides (section 7.1)."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = _BITS_MAX
    client_max_window_bits: int = _BITS_MAX


class Deflate:
    """The extension for all connections of one server or client, in one event loop."""

    __slots__ = ("_shared", "settings")

    def __init__(self, settings: DeflateSettings | None = None) -> None:
        self.settings = settings or DeflateSettings()
        self._shared: dict[int, Compressor] = {}

    # --- the server's half

    def accept(self, request: Headers) -> tuple[Agreement, str] | None:
        """The first acceptable offer of a request, and the header value that answers it."""
        for name, parameters in parse_extensions(request.get_all("sec-websocket-extensions")):
            if name == NAME and parameters is not None:
                agreement = self._judge_offer(parameters)
                if agreement is not None:
                    return agreement, _write_answer(agreement, parameters)
        return None

    def _judge_offer(self, offer: Parameters) -> Agreement | None:
        """Section 7.1: `None` declines an offer that is invalid or cannot be met."""
        if not offer.keys() <= _KNOWN:
            return None
        if any(offer.get(name) is not None for name in (_SERVER_FRESH, _CLIENT_FRESH)):
            return None  # these have no value
        asked = _bits(offer[_SERVER_BITS]) if _SERVER_BITS in offer else _BITS_MAX
        told = _BITS_MAX
        if offer.get(_CLIENT_BITS) is not None:
            told = _bits(offer[_CLIENT_BITS])
        if asked < _BITS_MIN or not told:
            return None
        settings = self.settings
        return Agreement(
            _SERVER_FRESH in offer or settings.server_no_context_takeover,
            _CLIENT_FRESH in offer or settings.client_no_context_takeover,
            min(asked, settings.server_max_window_bits),
            # "a server MUST NOT include [it] ... if the offer doesn't" (section 7.1.2.2).
            min(told, settings.client_max_window_bits) if _CLIENT_BITS in offer else _BITS_MAX,
        )

    # --- the client's half

    def offer(self) -> str:
        """The value of a client's Sec-WebSocket-Extensions."""
        settings = self.settings
        words = [NAME]
        if settings.server_no_context_takeover:
            words.append(_SERVER_FRESH)
        if settings.client_no_context_takeover:
            words.append(_CLIENT_FRESH)
        if settings.server_max_window_bits < _BITS_MAX:
            words.append(f"{_SERVER_BITS}={settings.server_max_window_bits}")
        # Without a value: one is merely a hint, for which some servers refuse the offer. The
        # client may use a smaller window than was agreed (section 7.1.2.2).
        words.append(_CLIENT_BITS)
        return "; ".join(words)

    def check_answer(self, parameters: Parameters) -> Agreement:
        """Check the server's choice (section 7.1). Raises `NegotiationError`."""
        settings = self.settings
        if not parameters.keys() <= _KNOWN:
            unknown = ", ".join(sorted(parameters.keys() - _KNOWN))
            raise NegotiationError(f"unknown parameters: {unknown}")
        for name in (_SERVER_FRESH, _CLIENT_FRESH):
            if parameters.get(name) is not None:
                raise NegotiationError(f"{name} has no value")
        if settings.server_no_context_takeover and _SERVER_FRESH not in parameters:
            raise NegotiationError(f"{_SERVER_FRESH} was asked for and is not granted")
        return Agreement(
            _SERVER_FRESH in parameters,
            _CLIENT_FRESH in parameters or settings.client_no_context_takeover,
            _granted(parameters, _SERVER_BITS, settings.server_max_window_bits, required=True),
            min(
                _granted(parameters, _CLIENT_BITS, _BITS_MAX, required=False),
                settings.client_max_window_bits,
            ),
        )

    # --- connections

    def for_server(self, agreement: Agreement) -> PerMessageDeflate:
        """The server's side of a connection."""
        return PerMessageDeflate(
            self,
            self._compressor(
                agreement.server_max_window_bits, agreement.server_no_context_takeover
            ),
            agreement.client_max_window_bits,
            agreement.client_no_context_takeover,
        )

    def for_client(self, agreement: Agreement) -> PerMessageDeflate:
        """The client's side of a connection."""
        return PerMessageDeflate(
            self,
            self._compressor(
                agreement.client_max_window_bits, agreement.client_no_context_takeover
            ),
            agreement.server_max_window_bits,
            agreement.server_no_context_takeover,
        )

    def restore(self, snapshot: DeflateSnapshot) -> PerMessageDeflate:
        """A side of a connection as `snapshot` was taken of it; its compressor begins afresh."""
        fresh = not snapshot.compressor_keeps_context
        restored = PerMessageDeflate(
            self, self._compressor(snapshot.compressor_bits, fresh), snapshot.bits, snapshot.fresh
        )
        if snapshot.window is not None:
            restored.remember(snapshot.window)
        return restored

    def shared(self, bits: int) -> Compressor:
        """The compressor without memory for a window of `bits`."""
        compressor = self._shared.get(bits)
        if compressor is None:
            settings = self.settings
            compressor = self._shared[bits] = Compressor(
                settings.level, bits, settings.memory_level, keeps_context=False
            )
        return compressor

    def _compressor(self, bits: int, fresh: bool) -> Compressor:
        if fresh:
            return self.shared(bits)
        settings = self.settings
        return Compressor(settings.level, bits, settings.memory_level, keeps_context=True)


class Compressor:
    """Messages in, compressed messages out (section 7.2.1)."""

    __slots__ = ("_deflate", "_flush", "_level", "_memory_level", "bits", "keeps_context")

    def __init__(self, level: int, bits: int, memory_level: int, *, keeps_context: bool) -> None:
        self._level = level
        self._memory_level = memory_level
        self.bits = bits
        self.keeps_context = keeps_context
        self._flush = zlib.Z_SYNC_FLUSH if keeps_context else zlib.Z_FULL_FLUSH
        self._deflate: zlib._Compress | None = None

    def compress(self, data: bytes) -> bytes:
        """`data`, which is not empty, compressed; empty if that would not make it shorter."""
        deflate = self._deflate
        if deflate is None:
            deflate = self._deflate = zlib.compressobj(
                self._level, zlib.DEFLATED, -self.bits, self._memory_level
            )
        out = (deflate.compress(data) + deflate.flush(self._flush))[: -len(_TAIL)]
        if len(out) < len(data):
            return out
        if self.keeps_context:
            self._deflate = None  # uncompressed output is not in the receiver's window
        return b""

    def rest(self) -> None:
        """Release the compressor. Later output refers to nothing before."""
        self._deflate = None


class PerMessageDeflate:
    """One side of a connection that agreed. Hot path: `compress` and `inflate`."""

    __slots__ = ("_bits", "_final_blocks", "_fresh", "_inflate", "compressor", "owner", "threshold")

    def __init__(self, owner: Deflate, compressor: Compressor, bits: int, fresh: bool) -> None:
        self.owner = owner
        self.compressor = compressor
        self.threshold = owner.settings.threshold_bytes
        self._bits = -max(bits, _BITS_MIN)
        self._fresh = fresh
        self._inflate: zlib._Decompress | None = None
        self._final_blocks = 0

    def snapshot(self) -> DeflateSnapshot:
        """What was agreed on, and what the peer's next message may refer to.

        Taken between two messages.
        """
        inflate = self._inflate
        return DeflateSnapshot(
            self.compressor.bits,
            self.compressor.keeps_context,
            -self._bits,
            self._fresh,
            window_of(inflate) if inflate is not None else None,
        )

    def remember(self, window: bytes) -> None:
        """Begin with what came before, which the next message may refer to."""
        self._inflate = zlib.decompressobj(self._bits, window)

    def rest(self) -> None:
        """Release the compressor of an idle connection.

        The decompressor's window is kept if the peer may refer to it.
        """
        if self.compressor.keeps_context:
            self.compressor.rest()

    def inflate(self, data: bytes, *, final: bool, bytes_max: int) -> bytes:
        """The next part of a message; `final` ends it.

        Raises `ViolationError` beyond `bytes_max`, having made one byte more, or
        for bytes that are no DEFLATE.
        """
        if final:
            data += _TAIL
        inflate = self._inflate
        try:
            if inflate is None:
                inflate = self._inflate = zlib.decompressobj(self._bits)
            out = inflate.decompress(data, bytes_max + 1)
            if inflate.eof:
                out += self._go_on(bytes_max + 1 - len(out))
        except zlib.error:
            raise ViolationError(
                CloseCode.INVALID_DATA, "a compressed message cannot be decompressed"
            ) from None
        if len(out) > bytes_max:
            raise ViolationError(
                CloseCode.MESSAGE_TOO_BIG, "a compressed message is too big when decompressed"
            )
        if final:
            self._final_blocks = 0
            if self._fresh:
                self._inflate = None
        return out

    def _go_on(self, bytes_max: int) -> bytes:
        """Decompress the input after a block with BFINAL: another stream (section 7.2.3.4)."""
        parts = []
        while self._inflate is not None and self._inflate.eof and bytes_max > 0:
            self._final_blocks += 1
            if self._final_blocks > _FINAL_BLOCKS_MAX:
                raise ViolationError(
                    CloseCode.MESSAGE_TOO_BIG,
                    f"a compressed message of more than {_FINAL_BLOCKS_MAX} final blocks",
                )
            rest = self._inflate.unused_data
            self._inflate = zlib.decompressobj(self._bits)
            part = self._inflate.decompress(rest, bytes_max)
            parts.append(part)
            bytes_max -= len(part)
        return b"".join(parts)


_KNOWN: Final = frozenset({_SERVER_FRESH, _CLIENT_FRESH, _SERVER_BITS, _CLIENT_BITS})


def parse_extensions(values: Iterable[str]) -> list[tuple[str, Parameters | None]]:
    """The elements of Sec-WebSocket-Extensions (RFC 6455 section 9.1), in order.

    The parameters are `None` where one stands twice. A quoted value must be a
    token, so no comma and no semicolon stands in one.
    """
    found: list[tuple[str, Parameters | None]] = []
    for element in ",".join(values).split(","):
        name, *words = (word.strip() for word in element.split(";"))
        if not name:
            continue
        pairs = [_pair(word) for word in words]
        parameters = dict(pairs)
        found.append((name, parameters if len(parameters) == len(pairs) else None))
    return found


def _pair(word: str) -> tuple[str, str | None]:
    name, equals, value = (part.strip() for part in word.partition("="))
    if not equals:
        return name, None
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return name, value


def _bits(text: str | None) -> int:
    """A window size: 8 to 15 without leading zeros (section 7.1.2), or 0 for anything else."""
    return _SIZES.get(text or "", 0)


_SIZES: Final = {str(bits): bits for bits in range(8, _BITS_MAX + 1)}


def _granted(parameters: Parameters, name: str, limit: int, *, required: bool) -> int:
    """A window size that the server chose, where `limit` was offered."""
    if name not in parameters:
        if required and limit < _BITS_MAX:
            raise NegotiationError(f"{name}={limit} was asked for and is not granted")
        return limit
    bits = _bits(parameters[name])
    least = 8 if required else _BITS_MIN  # the one is for inflating, the other for compressing
    if not least <= bits <= limit:
        raise NegotiationError(
            f"{name}={parameters[name]}: expected a number from {least} to {limit}"
        )
    return bits


def _write_answer(agreement: Agreement, offer: Parameters) -> str:
    words = [NAME]
    if agreement.server_no_context_takeover:
        words.append(_SERVER_FRESH)
    if agreement.client_no_context_takeover:
        words.append(_CLIENT_FRESH)
    if agreement.server_max_window_bits < _BITS_MAX or _SERVER_BITS in offer:
        words.append(f"{_SERVER_BITS}={agreement.server_max_window_bits}")
    if _CLIENT_BITS in offer and (
        agreement.client_max_window_bits < _BITS_MAX or offer[_CLIENT_BITS] is not None
    ):
        words.append(f"{_CLIENT_BITS}={agreement.client_max_window_bits}")
    return "; ".join(words)
