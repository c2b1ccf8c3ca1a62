"""Certificates made for one run of the tests; their keys are never kept."""

from __future__ import annotations

import datetime
import ssl
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import trustme

from holdfast.net.tls.options import Certificate

_CA: Final = trustme.CA()
_OTHER_CA: Final = trustme.CA()
_LOCALHOST: Final = _CA.issue_cert("localhost", "127.0.0.1", "::1")

AUTHORITY: Final = _CA.cert_pem.bytes().decode()
OTHER_AUTHORITY: Final = _OTHER_CA.cert_pem.bytes().decode()
CHAIN: Final = "".join(pem.bytes().decode() for pem in _LOCALHOST.cert_chain_pems)
KEY: Final = _LOCALHOST.private_key_pem.bytes().decode()
OTHER_KEY: Final = _CA.issue_cert("localhost").private_key_pem.bytes().decode()
PASSPHRASE: Final = "correct horse"


def locked(key: str) -> str:
    """A key as it is kept under `PASSPHRASE`."""
    done = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", f"pass:{PASSPHRASE}"],
        input=key,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """One for a server that is `localhost`, and one for its clients."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _LOCALHOST.configure_cert(server)
    client = ssl.create_default_context()
    _CA.configure_trust(client)
    return server, client


class Pems(NamedTuple):
    """The files that a server and its clients need."""

    certificate: Certificate
    authority: str


def write_pems(folder: Path) -> Pems:
    """Those of `localhost`, in `folder`."""
    authority = folder / "authority.pem"
    authority.write_text(AUTHORITY)
    return Pems(write_pair(folder, "localhost", CHAIN, KEY), str(authority))


def write_pair(folder: Path, name: str, chain: str, key: str) -> Certificate:
    """A certificate and its key as files in `folder`."""
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    for path, text in zip(paths, (chain, key), strict=True):
        path.write_text(text)
    return Certificate(cert=str(paths[0]), key=str(paths[1]))


def issue(
    folder: Path,
    *names: str,
    name: str | None = None,
    days: int = 30,
    other_authority: bool = False,
    common_name: str | None = None,
    organization: str = "Example",
) -> Certificate:
    """A certificate for `names`, as files. With negative `days` it has expired so long ago."""
    now = datetime.datetime.now(datetime.UTC)
    ends = now + datetime.timedelta(days=days)
    made = (_OTHER_CA if other_authority else _CA).issue_cert(
        *names,
        common_name=common_name,
        organization_name=organization if common_name else None,
        not_before=min(now, ends) - datetime.timedelta(days=1),
        not_after=ends,
    )
    chain = "".join(pem.bytes().decode() for pem in made.cert_chain_pems)
    return write_pair(folder, name or names[0], chain, made.private_key_pem.bytes().decode())
