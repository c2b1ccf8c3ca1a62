"""Which algorithms are offered to an SSH server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import asyncssh

from holdfast.backends.ssh.config import TargetConfig
from holdfast.backends.ssh.gcm import AesGcm

for _name in ("aes128-gcm", "aes256-gcm"):
    asyncssh.encryption.register_encryption_alg(
        f"{_name}@openssh.com".encode(), AesGcm, _name, default=True
    )

_ALGORITHMS: Final[dict[str, Sequence[str]]] = {
    "kex_algs": (
        "mlkem768x25519-sha256",
        "sntrup761x25519-sha512@openssh.com",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
    ),
    "encryption_algs": (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes256-ctr",
        "aes128-ctr",
    ),
    "mac_algs": (
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    ),
    "server_host_key_algs": (
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "rsa-sha2-512",
        "rsa-sha2-256",
    ),
}
"""Without what is broken or old: no SHA-1, no CBC, no group of 1,024 or 2,048 bits."""
_LEGACY: Final[dict[str, Sequence[str]]] = {
    "kex_algs": ("diffie-hellman-group14-sha256", "diffie-hellman-group14-sha1"),
    "encryption_algs": ("aes256-cbc", "aes128-cbc"),
    "mac_algs": ("hmac-sha1",),
    "server_host_key_algs": ("ssh-rsa",),
}
"""What is added for a target with `legacy`."""
_CERTIFIED: Final = "-cert-v01@openssh.com"
"""The end of the name of an algorithm with a certificate."""


def algorithms(
    target: TargetConfig, keys: Sequence[asyncssh.SSHKey], authorities: Sequence[asyncssh.SSHKey]
) -> dict[str, Any]:
    """What is offered to a server whose known keys are `keys`, or are certified by `authorities`.

    Some algorithms are there only with libraries that may be missing.
    """
    supported = {
        "kex_algs": asyncssh.kex.get_kex_algs(),
        "encryption_algs": asyncssh.encryption.get_encryption_algs(),
        "mac_algs": asyncssh.mac.get_mac_algs(),
    }
    chosen = {
        name: [*values, *(_LEGACY[name] if target.legacy else ())]
        for name, values in _ALGORITHMS.items()
    }
    for name, known in supported.items():
        chosen[name] = [one for one in chosen[name] if one.encode() in known]
    offered = chosen["server_host_key_algs"]
    # First those of the keys that are known: a server has keys of several kinds, and shows one.
    offered.sort(key=lambda one: not any(_signs(key, one) for key in keys))
    if authorities:
        offered[:0] = [one + _CERTIFIED for one in offered]
    return chosen


def _signs(key: asyncssh.SSHKey, algorithm: str) -> bool:
    """Whether `algorithm` is one of keys like `key`."""
    kind = key.get_algorithm()
    return algorithm == kind or (kind == "ssh-rsa" and algorithm.startswith("rsa-"))
