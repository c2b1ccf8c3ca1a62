from __future__ import annotations

import pytest

from holdfast.client.core import may_return
from holdfast.core.errors import (
    DISCONNECTS,
    REASONS,
    RECONNECT_CODE_MIN,
    BusyError,
    ClosedError,
    ConfigurationError,
    HoldfastError,
    LimitExceededError,
    ProtocolError,
    Reason,
    Source,
    is_peers_fault,
    sentence,
)
from holdfast.protocols.websocket.frames import is_valid_code

OUR_CODES = range(4000, 5000)


@pytest.mark.parametrize(
    ("error", "source", "retryable"),
    [
        (HoldfastError, Source.LOCAL, False),
        (ProtocolError, Source.REMOTE, False),
        (ConfigurationError, Source.LOCAL, False),
        (BusyError, Source.LOCAL, True),
        (ClosedError, Source.LOCAL, False),
        (LimitExceededError, Source.REMOTE, True),
    ],
)
def test_an_error_says_whose_fault_it_is_and_whether_to_try_again(
    error: type[HoldfastError], source: Source, retryable: bool
) -> None:
    assert issubclass(error, HoldfastError)
    assert (error.source, error.retryable) == (source, retryable)


def test_every_reason_can_be_told() -> None:
    assert set(DISCONNECTS) == set(Reason)


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
def test_a_reason_is_told_with_a_code_that_may_be_sent(reason: Reason) -> None:
    """RFC 6455 section 7.4.1: 1005, 1006 and 1015 never stand in a Close frame."""
    code, text, _ = DISCONNECTS[reason]
    assert is_valid_code(code)
    assert 0 < len(text.encode()) <= 123


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
def test_a_code_alone_says_whether_to_come_back(reason: Reason) -> None:
    code, _, reconnect = DISCONNECTS[reason]
    assert may_return(code) is reconnect
    if code in OUR_CODES:
        assert (code >= RECONNECT_CODE_MIN) is reconnect


def test_our_codes_are_distinct() -> None:
    codes = [disconnect.code for disconnect in DISCONNECTS.values()]
    assert len(set(codes)) == len(codes)


# The reasons' names and codes stand in the documentation: clients in any language know them.
TOLD = {
    "client_left": (1000, False),
    "timeout": (4502, True),
    "network_error": (4503, True),
    "shutdown": (1012, True),
    "kicked": (4002, False),
    "superseded": (4001, False),
    "slow_consumer": (4501, True),
    "crowded": (4504, True),
    "flood": (1008, False),
    "protocol_error": (1002, False),
    "refused": (4003, False),
    "internal_error": (1011, True),
    "upstream_closed": (4004, False),
    "upstream_failed": (4005, False),
    "unauthenticated": (4006, False),
    "expired": (4505, True),
    "elsewhere": (4506, True),
}


def test_a_reason_keeps_its_name_and_its_code() -> None:
    assert tuple(TOLD) == REASONS
    told = {reason.value: (way.code, way.reconnect) for reason, way in DISCONNECTS.items()}
    assert told == TOLD
    assert RECONNECT_CODE_MIN == 4500


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("goodbye", "Goodbye."),
        ("the NETWORK failed", "The NETWORK failed."),
        ("It failed.", "It failed."),
        ("", "."),
    ],
)
def test_a_text_becomes_a_sentence(text: str, shown: str) -> None:
    assert sentence(text) == shown


@pytest.mark.parametrize(
    ("error", "theirs"),
    [
        (ProtocolError("x"), True),
        (LimitExceededError("x"), True),
        (ClosedError("x"), False),
        (ValueError("x"), False),
        (ExceptionGroup("x", [ProtocolError("x"), ProtocolError("y")]), True),
        (ExceptionGroup("x", [ProtocolError("x"), ValueError("y")]), False),
        (ExceptionGroup("x", [ExceptionGroup("y", [ProtocolError("z")])]), True),
    ],
    ids=repr,
)
def test_whose_fault_an_error_is(error: BaseException, theirs: bool) -> None:
    assert is_peers_fault(error) is theirs
