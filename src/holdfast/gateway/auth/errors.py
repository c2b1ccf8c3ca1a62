"""Why a credential does not prove who a client is."""

from __future__ import annotations

from typing import Final

from holdfast.core.errors import HoldfastError, Source

NOT_VALID: Final = "the token is not valid"


class CredentialError(HoldfastError):
    """A credential is not accepted. The message is for the security log.

    `told` is the text for the client. It does not say what would have been accepted.
    """

    source = Source.REMOTE

    def __init__(self, message: str, told: str = NOT_VALID) -> None:
        super().__init__(message)
        self.told = told


class KeysUnavailableError(HoldfastError):
    """The issuer's keys cannot be read now, so no token can be judged."""

    retryable = True
