"""The answers of HTTP listeners to clients for whom there is no room, before a request is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from holdfast.net.server.admission import AdmissionRefusal
from holdfast.protocols.websocket.handshake import write_refusal

_RETRY_AFTER: Final = (("Retry-After", "5"),)
"""Seconds (RFC 9110 section 10.2.3)."""

HTTP_REFUSALS: Final[Mapping[AdmissionRefusal, bytes]] = {
    AdmissionRefusal.TOO_MANY: write_refusal(503, "too many connections", _RETRY_AFTER),
    AdmissionRefusal.TOO_MANY_FROM_ADDRESS: write_refusal(
        429, "too many connections from your address", _RETRY_AFTER
    ),
}
"""By why a client is refused. One that comes too fast is reset: an answer would cost more."""
