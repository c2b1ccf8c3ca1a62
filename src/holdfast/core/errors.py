"""Errors that cross the borders of packages, and the reasons for closing a client's connection.

Every error says whose fault it is (`source`) and whether a retry can help (`retryable`).
Protocol packages have their own errors below `ProtocolError`, with the codes of their protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import ClassVar, Final, NamedTuple


class Source(Enum):
    """Whose fault an error is."""

    LOCAL = "local"
    """The operator or the calling program: configuration, arguments, certificates."""
    REMOTE = "remote"
    """The peer at the other end of a connection."""
    INTERNAL = "internal"
    """A defect of this program."""


class HoldfastError(Exception):
    """The root of every error that this project raises on purpose."""

    source: ClassVar[Source] = Source.LOCAL
    retryable: ClassVar[bool] = False


class ProtocolError(HoldfastError):
    """A peer broke the rules of its protocol."""

    source = Source.REMOTE


class ConfigurationError(HoldfastError):
    """An invalid configuration. The message names the place, the value found and the value
    expected."""


@contextmanager
def inside(key: str) -> Iterator[None]:
    """Put `key` before the key that a `ConfigurationError` of the block names."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{key}.{error}") from error


class BusyError(HoldfastError):
    """The resource is in use by another; later it may not be."""

    retryable = True


class SnapshotError(HoldfastError):
    """The state of a connection cannot be written down, or not be restored here."""


class ClosedError(HoldfastError):
    """The resource was closed in an orderly way before this call."""


class LimitExceededError(HoldfastError):
    """A limit of `core.limits` was reached. Names the limit and its value."""

    source = Source.REMOTE
    retryable = True


def is_peers_fault(error: BaseException) -> bool:
    """Whether `error` says that the peer is at fault, or is a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_peers_fault(each) for each in error.exceptions)
    return isinstance(error, HoldfastError) and error.source is Source.REMOTE


def sentence(text: str) -> str:
    """Return `text` as a terminal shows it to a user."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


class Disconnect(NamedTuple):
    """One way to close a client's connection, in the terms of each protocol."""

    code: int
    """The WebSocket close code (RFC 6455 section 7.4; 4000-4999 are private)."""
    text: str
    """One line for the user."""
    reconnect: bool
    """Whether the client should reconnect by itself."""


class Reason(Enum):
    """Why a connection ended or a session was closed. The value is its name on every wire."""

    CLIENT_LEFT = "client_left"
    TIMEOUT = "timeout"
    NETWORK_ERROR = "network_error"
    SHUTDOWN = "shutdown"
    KICKED = "kicked"
    SUPERSEDED = "superseded"
    SLOW_CONSUMER = "slow_consumer"
    CROWDED = "crowded"
    FLOOD = "flood"
    PROTOCOL_ERROR = "protocol_error"
    REFUSED = "refused"
    INTERNAL_ERROR = "internal_error"
    UPSTREAM_CLOSED = "upstream_closed"
    UPSTREAM_FAILED = "upstream_failed"
    UNAUTHENTICATED = "unauthenticated"
    EXPIRED = "expired"
    ELSEWHERE = "elsewhere"


REASONS: Final = tuple(reason.value for reason in Reason)
"""The names of all reasons."""

# Private codes: a client reconnects after 4500 and above, and not after lower ones.
RECONNECT_CODE_MIN = 4500

DISCONNECTS: dict[Reason, Disconnect] = {
    Reason.CLIENT_LEFT: Disconnect(1000, "goodbye", False),
    Reason.TIMEOUT: Disconnect(4502, "nothing was heard from you for too long", True),
    Reason.NETWORK_ERROR: Disconnect(4503, "the network failed", True),
    Reason.SHUTDOWN: Disconnect(1012, "the gateway is restarting; your session is kept", True),
    Reason.KICKED: Disconnect(4002, "your session was closed", False),
    Reason.SUPERSEDED: Disconnect(4001, "your session was taken over by a newer connection", False),
    Reason.SLOW_CONSUMER: Disconnect(4501, "you read too slowly; your session is kept", True),
    Reason.CROWDED: Disconnect(4504, "there is no room for another session now", True),
    Reason.FLOOD: Disconnect(1008, "too much, too fast", False),
    Reason.PROTOCOL_ERROR: Disconnect(1002, "protocol error", False),
    Reason.REFUSED: Disconnect(4003, "refused: this cannot be resumed", False),
    Reason.INTERNAL_ERROR: Disconnect(1011, "internal error", True),
    Reason.UPSTREAM_CLOSED: Disconnect(4004, "the server has ended the connection", False),
    Reason.UPSTREAM_FAILED: Disconnect(4005, "the server cannot be reached now", False),
    Reason.UNAUTHENTICATED: Disconnect(4006, "a valid token is needed here", False),
    Reason.EXPIRED: Disconnect(4505, "your token has expired; your session is kept", True),
    Reason.ELSEWHERE: Disconnect(4506, "your session is at another node; connect again", True),
}
