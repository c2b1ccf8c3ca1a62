"""Programs in namespaces of their own, on a copy of this machine's files."""

from __future__ import annotations

import subprocess

import pytest
from tests.programs import need

_MOUNTS = """
set -eu
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
"""


def need_unshare(*namespaces: str, mounts: str = "") -> list[str]:
    """The command that runs another in such namespaces, with an overlay of this machine's files.

    `mounts` are further commands that must be possible there; the overlay is at `/mnt/root`. Where
    this process may not do that, as in a container without CAP_SYS_ADMIN, the test is skipped: no
    package can change it.
    """
    command = [need("unshare"), *namespaces, "--fork", "--kill-child"]
    tried = subprocess.run(
        [*command, "sh", "-c", _MOUNTS + mounts],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if tried.returncode:
        pytest.skip(f"this process may not make namespaces with mounts: {tried.stderr.strip()}")
    return command
