"""What judges the credentials of a listener's clients, as the conversation sees it.

Apart from `authenticator`, so that a gateway without `auth` loads no cryptography.
"""

from __future__ import annotations

from typing import Protocol

from holdfast.core.clock import Clock
from holdfast.core.identity import ClientFacts, Identity
from holdfast.gateway.auth.options import AuthOptions


class CredentialJudge(Protocol):
    """Judges credentials."""

    options: AuthOptions
    wall: Clock
    """The wall clock, by which credentials expire."""

    async def judge_token(self, token: str) -> Identity:
        """The user of a token. Raises `CredentialError`, `KeysUnavailableError`."""

    def judge_certificate(self, facts: ClientFacts) -> Identity | None:
        """The user of a client certificate; `None` without one. Raises `CredentialError`."""
