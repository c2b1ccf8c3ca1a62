"""The hashes of the secrets of clients that a configuration names, as tokens and keys."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from holdfast.core.errors import ConfigurationError

HASHED: Final = "sha256:"
"""What stands before a hash, where a secret itself could stand too."""
_CHARS_MIN: Final = 16


def read_hash(where: str, name: str, path: str) -> bytes:
    """The hash of the secret in a file, as `hash_of`. `name` is what it is called in errors."""
    try:
        text = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{where}: expected a file with a {name}: {error}") from error
    return hash_of(where, name, text)


def hash_of(where: str, name: str, text: str) -> bytes:
    """The SHA-256 hash of a secret, or the one that is given instead, in hexadecimal.

    Raises `ConfigurationError` for a secret that is too short or not printable ASCII.
    """
    if text.startswith(HASHED):
        try:
            digest = bytes.fromhex(text.removeprefix(HASHED))
        except ValueError:
            digest = b""
        if len(digest) != hashlib.sha256().digest_size:
            raise ConfigurationError(f"{where}: expected 64 hexadecimal digits after {HASHED!r}")
        return digest
    if len(text) < _CHARS_MIN or not text.isascii() or not text.isprintable():
        raise ConfigurationError(
            f"{where}: expected a {name} of at least {_CHARS_MIN} ASCII characters"
        )
    return hashlib.sha256(text.encode()).digest()
