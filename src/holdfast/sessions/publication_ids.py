"""The ids of publications: a publication that comes again is known by its id.

The newest ids of each publisher are remembered, in a ring whose places are settings of the store:
an id is stored in the commit that stores the outputs, so both survive a crash, or neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from holdfast.core.errors import HoldfastError, Source
from holdfast.net.log import RateLimitedLogger

_log: Final = RateLimitedLogger("holdfast.publishing")

_PREFIX: Final = "published"


class IdReusedError(HoldfastError):
    """A publication has the id of another one with other content."""

    source = Source.REMOTE


class RememberedId(Struct, frozen=True, array_like=True, gc=False):
    """A publication that was carried out."""

    number: int
    """Among its publisher's publications with an id."""
    id: str
    digest: bytes
    """Of its content."""
    reached: int
    attached: int


class PublicationIds:
    """The ids of the publisher `name`. `keep` stores a setting in the next commit."""

    def __init__(self, name: str, keep: Callable[[str, bytes], None], ids_max: int) -> None:
        self._prefix = f"{_PREFIX}:{name}:"
        self._keep = keep
        self._ids_max = ids_max
        self._number = 0
        self._by_id: dict[str, RememberedId] = {}
        """The oldest first."""

    def __len__(self) -> int:
        return len(self._by_id)

    def restore(self, settings: Mapping[str, bytes]) -> None:
        """Take the ids that the store has, from its settings."""
        found = []
        for key, value in settings.items():
            if key.startswith(self._prefix):
                try:
                    found.append(msgspec.msgpack.decode(value, type=RememberedId))
                except msgspec.MsgspecError as error:
                    _log.error("malformed id of a publication", key=key, fault=str(error))
        found.sort(key=lambda one: one.number)
        for one in found[-self._ids_max :]:
            self._by_id[one.id] = one
            self._number = one.number

    def find(self, id_: str, digest: bytes) -> RememberedId | None:
        """The publication of this id, if it was carried out. Raises `IdReusedError`."""
        found = self._by_id.get(id_)
        if found is not None and found.digest != digest:
            raise IdReusedError(f"id: {id_!r} was used before, with other content")
        return found

    def add(self, id_: str, digest: bytes, reached: int, attached: int) -> None:
        """A publication is carried out."""
        self._number += 1
        one = RememberedId(self._number, id_, digest, reached, attached)
        self._by_id[id_] = one
        if len(self._by_id) > self._ids_max:
            del self._by_id[next(iter(self._by_id))]
        place = self._number % self._ids_max
        self._keep(f"{self._prefix}{place}", msgspec.msgpack.encode(one))


def digest_of(*content: object) -> bytes:
    """A digest of a publication's content."""
    return hashlib.blake2b(msgspec.msgpack.encode(content), digest_size=12).digest()
