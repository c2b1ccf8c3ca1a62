"""What a login asks and answers, and whose fault its failure is."""

from __future__ import annotations

import msgspec
import pytest

from holdfast.core.errors import HoldfastError, Source
from holdfast.core.login import (
    Authenticate,
    AuthResult,
    LoginError,
    LoginFaultError,
    LoginRefusedError,
    LoginUnavailableError,
    Policy,
    ProfileSummary,
)


def test_nothing_is_required_by_default() -> None:
    assert Policy() == Policy(login=False, profiles=False)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Authenticate("s"), {"sid": "s"}),
        (Authenticate("s", "ann", "secret"), {"sid": "s", "username": "ann", "password": "secret"}),
        (Authenticate("s", token="t"), {"sid": "s", "token": "t"}),
        (Authenticate("s", certificate="c"), {"sid": "s", "certificate": "c"}),
        (AuthResult("ann"), {"user": "ann"}),
        (AuthResult("ann", {"a": "b"}), {"user": "ann", "properties": {"a": "b"}}),
        (ProfileSummary("1", "Ann"), {"id": "1", "name": "Ann"}),
        (ProfileSummary("1", "Ann", "old"), {"id": "1", "name": "Ann", "summary": "old"}),
    ],
    ids=str,
)
def test_what_is_not_given_is_not_written(
    value: msgspec.Struct, written: dict[str, object]
) -> None:
    assert msgspec.to_builtins(value) == written
    assert msgspec.convert(written, type=type(value)) == value


@pytest.mark.parametrize(
    ("error", "source", "retryable"),
    [
        (LoginError("no"), Source.REMOTE, False),
        (LoginRefusedError("no"), Source.REMOTE, False),
        (LoginUnavailableError("no"), Source.REMOTE, True),
        (LoginFaultError("no", code="bug"), Source.INTERNAL, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_says_whose_fault_it_is(
    error: LoginError, source: Source, retryable: bool
) -> None:
    assert isinstance(error, LoginError)
    assert isinstance(error, HoldfastError)
    assert (error.source, error.retryable) == (source, retryable)
    assert (str(error), error.retry_s) == ("no", 0.0)


def test_a_failure_says_when_to_try_again() -> None:
    fault = LoginFaultError("no", 2.5, code="bug")
    assert (str(fault), fault.retry_s, fault.code) == ("no", 2.5, "bug")
    assert LoginRefusedError("no", 1.5).retry_s == 1.5
