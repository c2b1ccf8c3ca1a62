"""The shipped units in a real systemd, installed as docs/systemd.md says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from tests.docs.pages import ROOT, blocks
from tests.net.certificates import CHAIN, KEY
from tests.package.build import Environment
from tests.peers.namespaces import need_unshare
from tests.programs import missing

_PAGE: Final = ROOT / "docs" / "systemd.md"
_UNITS: Final = ROOT / "examples" / "systemd"
_SECONDS: Final = 120
_NAMESPACES: Final = ("--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup")
_MOUNTS: Final = """
mount -t proc proc /mnt/root/proc
mount -t sysfs sysfs /mnt/root/sys
mount -t cgroup2 cgroup2 /mnt/root/sys/fs/cgroup
"""
_SYSTEM_PYTHON: Final = "/usr/bin/python3"
"""Of the system: services cannot see one in somebody's home."""
_CHECK_UNIT: Final = f"""
[Unit]
After=holdfast.service holdfast-application.service
Wants=holdfast.service holdfast-application.service
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
ExecStart={_SYSTEM_PYTHON} /srv/files/check.py
StandardOutput=file:/srv/out/said
StandardError=file:/srv/out/errors
[Install]
WantedBy=multi-user.target
"""


def steps(page: Path) -> str:
    """The commands of the page; the package comes from /srv/site instead of an index."""
    (shown,) = blocks(page, "sh")
    text, count = re.subn(
        r"^python3 -m venv (\S+)\n\S+/pip install holdfast$",
        f"{_SYSTEM_PYTHON} -m venv --without-pip \\1\n"
        "mount --bind /srv/site \\1/lib/python3.*/site-packages\n"
        "printf '#!%s\\\\nfrom holdfast.cli.main import main\\\\nmain()\\\\n' \\1/bin/python"
        " >\\1/bin/holdfast\nchmod +x \\1/bin/holdfast",
        shown,
        flags=re.MULTILINE,
    )
    assert count == 1
    # Nothing runs yet: what is enabled is started by the boot.
    return text.replace("systemctl daemon-reload\n", "").replace("enable --now", "enable") + (
        "cp check.service /etc/systemd/system/; systemctl enable check.service\n"
    )


def prepare(folder: Path, installed: Environment) -> None:
    """Lay out what the page asks for, and what checks the result."""
    files = folder / "files"
    shutil.copytree(_UNITS, files)
    for unit in files.glob("*.service"):
        # What the service itself says is read when it fails.
        text = unit.read_text()
        log = f"append:/srv/out/{unit.stem}.log"
        unit.write_text(f"{text}\n[Service]\nStandardOutput={log}\nStandardError={log}\n")
    shutil.copy(ROOT / "examples" / "parrot.py", files / "application.py")
    shutil.copy(Path(__file__).with_name("systemd_check.py"), files / "check.py")
    (files / "check.service").write_text(_CHECK_UNIT)
    (files / "cert.pem").write_text(CHAIN)
    (files / "key.pem").write_text(KEY)
    (folder / "out").mkdir()
    (site,) = installed.folder.glob("lib/python3.*/site-packages")
    (folder / "site").symlink_to(site)


def test_the_units_run_an_application_behind_the_gateway(
    installed: Environment, tmp_path: Path
) -> None:
    if not Path("/lib/systemd/systemd").exists():
        missing("systemd is not installed (./dev peers)")
    unshare = need_unshare(*_NAMESPACES, mounts=_MOUNTS)
    version = subprocess.run(
        [_SYSTEM_PYTHON, "-c", "import sys; print(*sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    )
    if version.stdout.split() != [str(part) for part in sys.version_info[:2]]:
        pytest.skip(f"{_SYSTEM_PYTHON} has another version than {sys.executable}")
    prepare(tmp_path, installed)
    boot = [str(Path(__file__).with_name("systemd.sh")), str(tmp_path), steps(_PAGE)]
    done = subprocess.run(
        [*unshare, "sh", *boot],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    logs = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert logs.get("said") == (
        "greeted\n"
        "greeted after a restart of holdfast-application\n"
        "greeted after a restart of holdfast\n"
        "others are refused: True\n"
        "mode 660\n"
    ), (done, logs)
