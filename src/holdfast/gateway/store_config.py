"""The table `[store]`: where sessions are stored."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from holdfast.core.errors import ConfigurationError
from holdfast.protocols.uris import without_user

_SCHEMES: Final = ("postgresql", "postgres")


class StoreConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where sessions are stored."""

    path: str = ""
    """The SQLite file. Without it and without `url`, nothing is stored, and the durability of each
    listener must be `memory`."""
    url: str = ""
    """A PostgreSQL database instead of a file, as `postgresql://user@host:5432/name`, with the
    options of libpq (`?sslmode=verify-full&sslrootcert=…`)."""
    password_file: str = ""
    """A file with the password for `url`. Otherwise the password is that of `url`, of `PGPASSWORD`
    or of libpq's password file."""
    on_failure: Literal["refuse", "memory"] = "refuse"
    """What happens while a write to the store fails: new sessions are refused (`refuse`), or
    accepted without durability (`memory`)."""

    @property
    def kept(self) -> bool:
        """Whether anything is stored."""
        return bool(self.path or self.url)


def check_store(store: StoreConfig) -> None:
    """Check the table. Raises `ConfigurationError`, which names the key."""
    if store.path and store.url:
        raise ConfigurationError("store.url: expected none beside store.path, found both")
    if store.password_file and not store.url:
        raise ConfigurationError("store.password_file: expected only with store.url")
    if not store.url:
        return
    _check_url(store.url)
    if find_spec("asyncpg") is None:
        raise ConfigurationError(
            "store.url: expected asyncpg to be installed (holdfast[postgresql]); found none"
        )
    store_password(store)


def _check_url(url: str) -> None:
    found = without_user(url)
    try:
        parts = urlsplit(url)
        database, _ = parts.path.strip("/"), parts.port
    except ValueError:
        # What `urlsplit` says may have a part of the password.
        raise ConfigurationError(
            f"store.url: expected postgresql://user@host:port/database, with / ? # @ in a password"
            f" as %2F %3F %23 %40; found {found!r}"
        ) from None
    if parts.scheme not in _SCHEMES or not database or "/" in database:
        raise ConfigurationError(
            f"store.url: expected postgresql://user@host:port/database, found {found!r}"
        )


def store_password(store: StoreConfig) -> str | None:
    """The password in the file. Raises `ConfigurationError`."""
    if not store.password_file:
        return None
    try:
        password = Path(store.password_file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"store.password_file: expected a password: {error}") from error
    if not password:
        raise ConfigurationError(
            f"store.password_file: expected a password, found {store.password_file} empty"
        )
    return password
