"""The security log: refused attempts and the actions of operators, a line each, of fixed kinds.

The lines are part of the log (stderr), with `"log": "security"`. They have their
own limits, by kind and by network: a client that floods the log does not suppress
the lines of others. Every event is counted, logged or not.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Any, Final

from holdfast.core.clock import Clock, monotonic
from holdfast.core.rate import Rate, RateByKey
from holdfast.net.addresses import network_of
from holdfast.net.log import bounded
from holdfast.net.loggers import LazyLogger

LINES_PER_MINUTE_MAX: Final = 600.0
"""Of one kind, sustained."""
LINES_BURST_MAX: Final = 1_000
NETWORK_LINES_PER_MINUTE_MAX: Final = 10.0
"""Of one kind and one IP address (IPv6: of one /64 network), sustained."""
NETWORK_LINES_BURST_MAX: Final = 20


class SecurityEvent(Enum):
    """Everything that the security log can tell. The value is the line's `event`."""

    TOKEN_REFUSED = "token_refused"
    """A token that is not known: guessed, or of a session that has ended."""
    TOKEN_REPLACED = "token_replaced"
    """A browser's cookie that was replaced by a newer one: restored, copied or stolen."""
    TOKEN_REVOKED = "token_revoked"
    """A token that was replaced by a newer one; its session was closed."""
    CODE_REFUSED = "code_refused"
    """A resume code that is not known."""
    CODE_LIMITED = "code_limited"
    """A resume code that was not looked at: too many wrong ones came."""
    INVITATION_REFUSED = "invitation_refused"
    """An invitation that is not known: guessed, revoked, expired, or of a session that has
    ended."""
    INVITED = "invited"
    """The client of a session has invited viewers, or revoked an invitation."""
    WATCHED = "watched"
    """A viewer has begun to watch a session."""
    TAKEN_OVER = "taken_over"
    """A session was taken up by a code, or by its user's offer."""
    LOGIN_FAILED = "login_failed"
    LOGIN_LIMITED = "login_limited"
    """A login that was not passed on: too many wrong ones came."""
    CREDENTIAL_REFUSED = "credential_refused"
    """A token or a certificate that does not prove who the client is."""
    USER_REFUSED = "user_refused"
    """A client that has the token of another user's session."""
    USER_CHANGED = "user_changed"
    """A session became a user's, by a login or by its application (`identify`)."""
    ORIGIN_REFUSED = "origin_refused"
    """A page of another host wanted to connect."""
    HOST_REFUSED = "host_refused"
    """A request for a host name that is not served."""
    TARGET_FAILED = "target_failed"
    """A server that a user wanted to reach has no address, does not answer or breaks its
    protocol."""
    TARGET_REFUSED = "target_refused"
    """A user wanted to reach a server that is not for users."""
    HOST_KEY_REFUSED = "host_key_refused"
    """A server showed a key that is another one than is known, or that nobody accepted."""
    EVICTED = "evicted"
    """A session was closed before its time, to make room."""
    MALFORMED = "malformed"
    """A client sent what its protocol does not allow, and was cut off for it."""
    LIMITED = "limited"
    """A client went beyond what it may have, and was refused or cut off for it."""
    LINK_REFUSED = "link_refused"
    """An application did not know the link's secret, or came too often."""
    ADMIN_REFUSED = "admin_refused"
    """A request to the admin listener without the right token."""
    API_REFUSED = "api_refused"
    """A request to the API without the right key, or beyond what its key may do."""
    OPERATOR_ACTED = "operator_acted"
    """An operator closed a session or a connection, dropped waiting commands, sent a notice, or
    began a backup, a reload or a drain."""


_WARNINGS: Final = frozenset(
    {
        SecurityEvent.TOKEN_REPLACED,
        SecurityEvent.TOKEN_REVOKED,
        SecurityEvent.CODE_LIMITED,
        SecurityEvent.LOGIN_LIMITED,
        SecurityEvent.LINK_REFUSED,
        SecurityEvent.EVICTED,
        SecurityEvent.HOST_KEY_REFUSED,
    }
)


class SecurityLog:
    """The security log of one gateway."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self.counts: Counter[SecurityEvent] = Counter()
        self._log = LazyLogger("holdfast.security")
        self._clock = clock
        self._by_kind = RateByKey(Rate(LINES_PER_MINUTE_MAX / 60, LINES_BURST_MAX))
        self._by_network = RateByKey(
            Rate(NETWORK_LINES_PER_MINUTE_MAX / 60, NETWORK_LINES_BURST_MAX)
        )
        self._left_out: Counter[SecurityEvent] = Counter()

    def tell(
        self,
        event: SecurityEvent,
        *,
        peer: str = "",
        sid: str = "",
        listener: object = "",
        **fields: Any,
    ) -> None:
        """Count an event, and log it as long as there are not too many of its kind.

        `peer` is as connections name theirs, `listener` where it came in. Never pass a secret.
        """
        self.counts[event] += 1
        now, kind = self._clock(), event.value
        spent = self._by_network.spend(f"{kind} {network_of(peer)}", now)
        if not spent or not self._by_kind.spend(kind, now):
            self._left_out[event] += 1
            return
        if left_out := self._left_out.pop(event, 0):
            fields["left_out"] = left_out
        where = {"address": peer, "sid": sid, "listener": str(listener)}
        told = bounded({name: value for name, value in where.items() if value} | fields)
        log = self._log.warning if event in _WARNINGS else self._log.info
        log(kind, log="security", **told)
