"""A certificate for this machine, made for one run of the tests. It does not age."""

from __future__ import annotations

from pathlib import Path

from tests.net.certificates import AUTHORITY, CHAIN, KEY, write_pair

from holdfast.net.tls.options import Certificate


def certificate(folder: Path) -> Certificate:
    """The certificate and its key, as files in `folder`; its authority is in the chain."""
    return write_pair(folder, "cert", CHAIN + AUTHORITY, KEY)
