"""Files that scripts read and write, seen from the test's directory."""

from __future__ import annotations

from typing import Any

from holdfast.vtc.language.source import Token
from holdfast.vtc.run.scope import Scope


def read_file(scope: Scope[Any], name: Token) -> bytes:
    """Return the content of a file. Raises `Failure`."""
    try:
        with open(scope.case.path(name), "rb") as file:
            return file.read()
    except OSError as error:
        raise scope.failure(f"cannot read {name}: {error.strerror}", name) from None


def write_file(scope: Scope[Any], name: Token, data: bytes, mode: str = "wb") -> None:
    """Write a file, or append to it with mode `ab`. Raises `Failure`."""
    try:
        with open(scope.case.path(name), mode) as file:
            file.write(data)
    except OSError as error:
        raise scope.failure(f"cannot write {name}: {error.strerror}", name) from None
