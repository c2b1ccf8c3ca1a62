"""A certificate for `localhost`, made for the tests and good for nothing else.

Its authority's key was thrown away. They are valid from 2020 to 2120.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from holdfast.net.tls import Certificate

AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBdjCCAR2gAwIBAgIBATAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBdIb2xkZmFz
dCB0ZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAw
MFowIjEgMB4GA1UEAwwXSG9sZGZhc3QgdGVzdCBhdXRob3JpdHkwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAAR8r9mJik+Y9UoyHUABETzje1Kj/E8jqKEfv2RgYyj7
l5SzMlnJf7AzgsUWwFyUeUVIiEBItRHwL0QvIY5vxzZzo0IwQDAPBgNVHRMBAf8E
BTADAQH/MA4GA1UdDwEB/wQEAwIBBjAdBgNVHQ4EFgQUWEFR/gz3/f3Bk8Mqw1j1
/s9l0lIwCgYIKoZIzj0EAwIDRwAwRAIgfmuMcuI7cr8DdxWGEjay842AIdJtkkq6
4IIVNGXuqhoCIDrz0kP3UnIjAGt/bVTF8h+es5UhREg3OWhIUNaxNop6
-----END CERTIFICATE-----
"""
CHAIN = """\
-----BEGIN CERTIFICATE-----
MIIBujCCAV+gAwIBAgIBAjAKBggqhkjOPQQDAjAiMSAwHgYDVQQDDBdIb2xkZmFz
dCB0ZXN0IGF1dGhvcml0eTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAw
MFowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEuG9JN9MHQL62GFqDD87xJ9zOE7EP+uFLa/TidYFypBCBfi0sXp4urww3cTJK
jHh8OpCoLmdJs/F5NvnJumg3EKOBkTCBjjAsBgNVHREEJTAjgglsb2NhbGhvc3SH
BH8AAAGHEAAAAAAAAAAAAAAAAAAAAAEwCQYDVR0TBAIwADATBgNVHSUEDDAKBggr
BgEFBQcDATAdBgNVHQ4EFgQUknMr8kKYzgpW35sHboa0vjjviNMwHwYDVR0jBBgw
FoAUWEFR/gz3/f3Bk8Mqw1j1/s9l0lIwCgYIKoZIzj0EAwIDSQAwRgIhALNOxIT8
6cVVLPa1hQc+eXRMm9duboo4k2+DMv32ZUX/AiEA7yZKLDoGYxqNlbmlLb5N3ZuP
8TruRDA2xzPkcMxYgsI=
-----END CERTIFICATE-----
"""
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgV3uWfZWOEfyrZbTQ
E6Z6XQjuCJgVcFW1z9On6qBoPYahRANCAAS4b0k30wdAvrYYWoMPzvEn3M4TsQ/6
4Utr9OJ1gXKkEIF+LSxeni6vDDdxMkqMeHw6kKguZ0mz8Xk2+cm6aDcQ
-----END PRIVATE KEY-----
"""
OTHER_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgpt+NyO9m8RxiJCeX
quglLoec0vlfBJvoQs4MXUprbrChRANCAAS7LNX8zjopSW3CdP2eyE1LBRP1ayPy
wmzy9DX+/bTocDV8ybugreN/SGxj+ulWfdBcYQlBHdFLRXoMAi/f/3Xp
-----END PRIVATE KEY-----
"""
LOCKED_KEY = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhe1yvOvRlG/gICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEO46idHyfVc8sZb04FmQbV0EgZDa
a7tdQqh2yq1oV5UbOU5loJHJ8zvV/fwkrNvdW4oNgRNYJONByzGUHcTjXAZgz7a5
of4vSmOWTxkinhHJbR0bbjleZUznYLivoVeOAFdjqcd9rqVE8P2drDVFqB19grU9
SYXT1WHq0eU+7gaUmQUDIl+dqYyXf08Sgx5HEf46j4Q9EPfUhltKbVWeChX7JdE=
-----END ENCRYPTED PRIVATE KEY-----
"""


class Pems(NamedTuple):
    """The files that a server and its clients need."""

    certificate: Certificate
    authority: str


def write_pems(folder: Path) -> Pems:
    """Write them into `folder`."""
    paths = {}
    for name, text in (("chain", CHAIN), ("key", KEY), ("authority", AUTHORITY)):
        paths[name] = folder / f"{name}.pem"
        paths[name].write_text(text)
    certificate = Certificate(cert=str(paths["chain"]), key=str(paths["key"]))
    return Pems(certificate, str(paths["authority"]))
