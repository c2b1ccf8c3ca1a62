"""The keys `certificate` and `tls` of a listener."""

from __future__ import annotations

from typing import Protocol

from holdfast.core.errors import ConfigurationError, inside
from holdfast.net.addresses import Address
from holdfast.net.tls.options import Certificate, TlsOptions
from holdfast.net.tls.options import check as check_tls


class TlsConfig(Protocol):
    """A configuration with these two keys, of which at most one is set."""

    @property
    def certificate(self) -> Certificate | None:
        """One certificate, without other options."""

    @property
    def tls(self) -> TlsOptions | None:
        """The TLS options."""


def tls_options(config: TlsConfig) -> TlsOptions | None:
    """The TLS options, from either key."""
    if config.certificate is not None:
        return TlsOptions(certificates=(config.certificate,))
    return config.tls


def check_tls_keys(key: str, config: TlsConfig, address: Address, *, wanted: bool = False) -> None:
    """Check that the keys fit the address. `wanted`: TLS starts later, by START_TLS.

    Raises `ConfigurationError`, which names the key.
    """
    if (address.secure or wanted) and tls_options(config) is None:
        what = "starttls" if wanted else address.scheme
        raise ConfigurationError(
            f"{key}.certificate: expected a certificate for {what}, found none"
        )
    if config.certificate is not None and config.tls is not None:
        raise ConfigurationError(f"{key}: expected certificate or tls, found both")
    for name in ("certificate", "tls"):
        if not (address.secure or wanted) and getattr(config, name) is not None:
            raise ConfigurationError(f"{key}.{name}: expected none for {address.scheme}, found one")
    if config.tls is not None:
        with inside(f"{key}.tls"):
            check_tls(config.tls)
