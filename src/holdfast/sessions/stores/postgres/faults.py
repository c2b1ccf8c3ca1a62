"""What goes wrong with a PostgreSQL database, as errors of a store."""

from __future__ import annotations

import ssl
from typing import Final

import asyncpg

from holdfast.sessions.stores.base import (
    StoreAccessError,
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)

# SQLSTATE, appendix A of PostgreSQL's manual. The first that fits: codes before their classes.
_KINDS: Final[tuple[tuple[str, type[StoreError], str], ...]] = (
    ("28P01", StoreAccessError, "it does not accept the password"),
    ("28", StoreAccessError, "it does not accept the login"),
    ("3D000", StoreAccessError, "expected a database of this name, found none"),
    ("42501", StoreAccessError, "the user lacks a right"),
    ("25006", StoreReadOnlyError, "read-only: expected the primary server, found a replica"),
    ("53100", StoreFullError, "the server's disk is full"),
    ("53300", StoreBusyError, "it has no connection free"),
    ("53", StoreFullError, "the server lacks resources"),
    ("57P", StoreBusyError, "the server starts or stops"),
    ("XX001", StoreBrokenError, "damaged"),
    ("XX002", StoreBrokenError, "damaged"),
    ("3F000", StoreBrokenError, "expected the tables of Holdfast"),
    ("42P01", StoreBrokenError, "expected the tables of Holdfast"),
    ("42883", StoreBrokenError, "expected the functions of Holdfast"),
)

_FILES: Final = "its Unix socket, and the files of sslrootcert, sslcert and sslkey, if it names any"

FAULTS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # and TimeoutError, and ssl.SSLError
    ValueError,  # of an unusual address, or a value that cannot be sent
)
"""What asyncpg raises."""

LOST: Final = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # where the server has said goodbye while nothing was asked
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    OSError,  # also TimeoutError
)
"""The connection is of no use any more: another one may do."""


def explain(name: str, error: BaseException) -> StoreError:
    """The error of a store for one of asyncpg's. `name` is the store's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return StoreAccessError(
            f"{name}: its certificate is not accepted: {error.verify_message or error}"
        )
    if isinstance(error, ssl.SSLError):
        return StoreAccessError(f"{name}: no TLS with it: {error.reason or error}")
    if isinstance(error, asyncpg.PostgresError):
        code = getattr(error, "sqlstate", None) or ""
        for start, kind, words in _KINDS:
            if code.startswith(start):
                return kind(f"{name}: {words}: {_words(error)}")
        return StoreError(f"{name}: {_words(error)}")
    if type(error) is ConnectionError and "SSL" in str(error):  # asyncpg's own
        return StoreAccessError(f"{name}: it offers no TLS: {error}")
    if isinstance(error, OSError):
        return StoreBusyError(f"{name}: {_unreachable(error)}")
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError):
        return StoreBusyError(f"{name}: {_words(error)}")
    return StoreError(f"{name}: {_words(error)}")


def _unreachable(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, FileNotFoundError):
        return f"expected {_FILES}: {error.strerror or error}"
    return f"cannot be reached: {error.strerror or error}"


def _words(error: BaseException) -> str:
    """The first line of an error."""
    return str(error).partition("\n")[0] or type(error).__name__
