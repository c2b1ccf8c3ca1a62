"""The configuration of the character sets of Telnet listeners and upstreams."""

from __future__ import annotations

from typing import Protocol

from holdfast.core.errors import ConfigurationError
from holdfast.protocols.telnet.charsets import AUTO, UTF_8, Charsets, supported_charset


class CharsetConfig(Protocol):
    """A configuration with these two keys."""

    @property
    def charset(self) -> str:
        """The character set; `auto`: the negotiated or detected one."""

    @property
    def charset_fallback(self) -> str:
        """With `auto`, the character set while the peer's is unknown."""


def charsets_of(config: CharsetConfig) -> Charsets:
    """Return the character sets of a configuration that `check_charset` has accepted."""
    fallback = supported_charset(config.charset_fallback) or UTF_8
    fixed = "" if config.charset == AUTO else supported_charset(config.charset) or UTF_8
    return Charsets(fixed, fallback)


def check_charset(key: str, config: CharsetConfig, kind: str, *, telnet: bool) -> None:
    """Check that the names are known and that the keys have an effect. `kind` is the scheme.

    Raises `ConfigurationError`, which names the key.
    """
    for name, default in (("charset", AUTO), ("charset_fallback", UTF_8)):
        value = getattr(config, name)
        if value == default:
            continue
        if not telnet:
            raise ConfigurationError(
                f"{key}.{name}: expected only for telnet and telnets, found for {kind}"
            )
        if supported_charset(value) is None:
            auto = f"{AUTO!r} or " if default == AUTO else ""
            raise ConfigurationError(
                f"{key}.{name}: expected {auto}a character set that Python knows and that"
                f" contains ASCII, as in 'KOI8-R', found {value!r}"
            )
    if config.charset != AUTO and config.charset_fallback != UTF_8:
        raise ConfigurationError(
            f"{key}.charset_fallback: expected only with charset = {AUTO!r}, found with"
            f" {config.charset!r}"
        )
