"""The table `auth` of a listener."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from holdfast.core.errors import ConfigurationError
from holdfast.protocols.cookies import is_cookie_name
from holdfast.protocols.uris import without_user

Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512", "EdDSA",
]  # fmt: skip
CertificateName = Literal["", "subject", "common_name", "dns", "email", "uri"]

SUBPROTOCOL_PREFIX: Final = "holdfast.auth."
"""How the sub-protocol begins that carries a token; the token follows."""


class AuthOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """How the clients of a listener prove who they are: with a JSON Web Token (RFC 7519), or with
    a TLS client certificate.

    A client may always give its token in a message of `holdfast.v1` (`hello`, `login`, `auth`).
    """

    algorithms: tuple[Algorithm, ...] = ()
    """The signatures that are accepted. Those with a shared secret (`HS256` ...) and those with a
    public key cannot stand together. Empty: no tokens."""
    keys_file: str = ""
    """A file of public keys or certificates in PEM, a JSON Web Key Set (RFC 7517), or, for `HS256`
    and the like, a secret of at least 32 bytes. Read again when it changes."""
    keys_url: str = ""
    """The `https` address of a JSON Web Key Set; `http` is accepted for a loopback address."""
    issuer: str = ""
    """The `iss` that a token must have. Empty: any."""
    audience: str = ""
    """The `aud` that a token must have. Empty: only tokens without one are accepted."""
    leeway_seconds: float = 30.0
    """How far the clocks of issuer and gateway may be apart."""
    user_claim: str = "sub"
    """The claim with the name of the user."""
    property_claims: tuple[str, ...] = ()
    """Claims that the application gets as properties of the session. A value that is no text is
    passed on as JSON."""
    header: bool = True
    """Whether a token is taken from `Authorization: Bearer`."""
    cookie: str = ""
    """The name of the cookie that a token is taken from. Only pages of the listener's `origins`
    can use it."""
    subprotocol: bool = False
    """Whether a token is taken from a sub-protocol that the client offers beside its own:
    `holdfast.auth.` and the token."""
    certificate: CertificateName = ""
    """What of a verified client certificate names the user: its whole `subject`, its
    `common_name`, or its first alternative name of a kind. Empty: nothing."""
    anonymous: bool = False
    """Whether clients without any credential are accepted. One with a wrong credential never
    is."""
    renew_seconds: float = 60.0
    """How long before its token expires a client is asked for a new one."""

    @property
    def takes_tokens(self) -> bool:
        return bool(self.algorithms)

    @property
    def symmetric(self) -> bool:
        """Whether tokens are signed with a shared secret."""
        return self.algorithms[:1] != () and self.algorithms[0].startswith("HS")


def check_auth(
    options: AuthOptions, *, verifies_clients: bool, web: bool, any_origin: bool
) -> None:
    """Raises `ConfigurationError` naming the key.

    `verifies_clients`: the listener asks for client certificates. `web`: it is for WebSockets.
    `any_origin`: pages of any host may connect.
    """
    if not (options.takes_tokens or options.certificate):
        raise ConfigurationError("algorithms: expected at least one, or `certificate`; found none")
    if options.certificate and not verifies_clients:
        raise ConfigurationError(
            "certificate: expected tls.client_certificates to be 'optional' or 'required',"
            " found 'none'"
        )
    if options.takes_tokens:
        _check_tokens(options, web=web, any_origin=any_origin)
    elif options.keys_file or options.keys_url:
        raise ConfigurationError("algorithms: expected at least one for these keys, found none")
    for name in ("leeway_seconds", "renew_seconds"):
        value = getattr(options, name)
        if not 0 <= value <= _SECONDS_MAX:
            raise ConfigurationError(f"{name}: expected 0 to {_SECONDS_MAX} seconds, found {value}")


def _check_tokens(options: AuthOptions, *, web: bool, any_origin: bool) -> None:
    if not web:
        raise ConfigurationError("algorithms: expected only for ws and wss")
    kinds = {name.startswith("HS") for name in options.algorithms}
    if len(kinds) > 1:
        raise ConfigurationError(
            "algorithms: expected signatures with a secret, or with a public key; found both:"
            f" {', '.join(options.algorithms)}"
        )
    if bool(options.keys_file) is bool(options.keys_url):
        found = "both" if options.keys_file else "neither"
        raise ConfigurationError(f"keys_file: expected it, or keys_url; found {found}")
    if options.keys_file and not Path(options.keys_file).is_file():
        raise ConfigurationError(f"keys_file: expected a file, found {options.keys_file!r}")
    if options.keys_url:
        _check_url(options)
    if options.cookie and not is_cookie_name(options.cookie):
        raise ConfigurationError(f"cookie: expected the name of a cookie, found {options.cookie!r}")
    if options.cookie and any_origin:
        raise ConfigurationError(
            "cookie: expected origins to name the pages that may use a user's cookie, found '*'"
        )
    if not options.user_claim:
        raise ConfigurationError("user_claim: expected the name of a claim, found none")


def _check_url(options: AuthOptions) -> None:
    if options.symmetric:
        raise ConfigurationError("keys_url: expected keys_file for a secret, found an address")
    try:
        url = urlsplit(options.keys_url)
        host = url.hostname or ""
        secure = url.scheme == "https" or (url.scheme == "http" and is_loopback(host))
        valid = secure and bool(host) and url.username is None and url.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(
            f"keys_url: expected an https address without a password, or http on a loopback"
            f" address; found {without_user(options.keys_url)!r}"
        )


def is_loopback(host: str) -> bool:
    """Whether this host is a loopback address, written as a number or as `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_SECONDS_MAX: Final = 86_400.0
