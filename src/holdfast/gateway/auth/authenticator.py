"""Judges the credentials of one listener's clients."""

from __future__ import annotations

from pathlib import Path

from holdfast.core.clock import Clock, monotonic
from holdfast.core.identity import ClientFacts, Identity
from holdfast.core.limits import Limits
from holdfast.gateway.auth import jwks, tokens
from holdfast.gateway.auth.certificates import identity_of
from holdfast.gateway.auth.claims import judge_claims
from holdfast.gateway.auth.errors import CredentialError
from holdfast.gateway.auth.key_sources import Fetch, FileKeys, JwksKeys, KeySource
from holdfast.gateway.auth.options import AuthOptions


class Authenticator:
    """What the table `auth` of a listener says, ready for use.

    `wall` is the wall clock, by which tokens are judged. Raises `ConfigurationError`.
    """

    def __init__(
        self, options: AuthOptions, limits: Limits, wall: Clock, fetch: Fetch = jwks.fetch
    ) -> None:
        self.options = options
        self.wall = wall
        self._limits = limits
        self._keys = _key_source(options, limits, fetch)

    async def judge_token(self, token: str) -> Identity:
        """The user of a token. Raises `CredentialError`, `KeysUnavailableError`."""
        options, limits = self.options, self._limits
        if self._keys is None:
            raise CredentialError("a token, where only certificates are accepted")
        header = tokens.read_header(token, limits.auth.token_bytes_max, options.algorithms)
        keys = await self._keys.find(header.kid, header.alg)
        if not keys:
            raise CredentialError(f"kid: no key for {header.alg} is called {header.kid!r}")
        return judge_claims(
            tokens.verify(token, header.alg, keys),
            options,
            self.wall(),
            name_bytes_max=limits.session.name_bytes_max,
            properties_bytes_max=limits.session.application_data_bytes_max,
        )

    def judge_certificate(self, facts: ClientFacts) -> Identity | None:
        """The user of a client certificate; `None` without one. Raises `CredentialError`."""
        name, certificate = self.options.certificate, facts.certificate
        if not name or certificate is None:
            return None
        limit = self._limits.session.name_bytes_max
        return identity_of(certificate, name, name_bytes_max=limit)


def _key_source(options: AuthOptions, limits: Limits, fetch: Fetch) -> KeySource | None:
    if options.keys_url:
        return JwksKeys(options.keys_url, limits.auth, fetch, monotonic)
    if options.keys_file:
        return FileKeys(Path(options.keys_file), options.algorithms, limits.auth, monotonic)
    return None
