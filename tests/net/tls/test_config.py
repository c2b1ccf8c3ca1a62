"""The keys `certificate` and `tls` beside the address that they are for."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from holdfast.core.errors import ConfigurationError
from holdfast.net.addresses import parse_address
from holdfast.net.tls.config import check_tls_keys, tls_options
from holdfast.net.tls.options import Certificate, TlsOptions

CERTIFICATE = Certificate("a.pem", "a.key")
OPTIONS = TlsOptions(certificates=(CERTIFICATE,))


class Keys(NamedTuple):
    certificate: Certificate | None = None
    tls: TlsOptions | None = None


@pytest.mark.parametrize("keys", [Keys(CERTIFICATE), Keys(tls=OPTIONS)], ids=["short", "long"])
def test_either_key_gives_the_options(keys: Keys) -> None:
    check_tls_keys("listener", keys, parse_address("tls://127.0.0.1:1"))
    assert tls_options(keys) == OPTIONS


def test_an_address_without_tls_needs_no_key_and_takes_none() -> None:
    address = parse_address("tcp://127.0.0.1:1")
    check_tls_keys("listener", Keys(), address)
    assert tls_options(Keys()) is None
    for name, keys in (("certificate", Keys(CERTIFICATE)), ("tls", Keys(tls=OPTIONS))):
        fault = f"listener.{name}: expected none for tcp, found one"
        with pytest.raises(ConfigurationError, match=fault):
            check_tls_keys("listener", keys, address)
        check_tls_keys("listener", keys, address, wanted=True)


@pytest.mark.parametrize(
    ("url", "wanted", "what"),
    [("tls://127.0.0.1:1", False, "tls"), ("tcp://127.0.0.1:1", True, "starttls")],
)
def test_tls_needs_a_certificate(url: str, wanted: bool, what: str) -> None:
    fault = f"listener.certificate: expected a certificate for {what}, found none"
    with pytest.raises(ConfigurationError, match=fault):
        check_tls_keys("listener", Keys(), parse_address(url), wanted=wanted)


def test_one_key_alone_is_taken() -> None:
    address = parse_address("tls://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match="expected certificate or tls, found both"):
        check_tls_keys("listener", Keys(CERTIFICATE, OPTIONS), address)
