"""`./dev build`: the source distribution and the wheel in dist/, each installed and tried.

The wheel is tried with the Python of the environment, the source distribution with every other
one of the machine that the project supports.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import typer
from tests.package.build import build_sdist, build_wheel, install
from tests.package.contents import check_sdist, check_wheel
from tests.package.smoke import smoke
from tests.programs import ROOT

VERSIONS: Final = ("3.11", "3.12", "3.13", "3.14")
"""As the classifiers of pyproject.toml say."""


def main() -> None:
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    sdist = build_sdist(dist)
    check_sdist(sdist)
    wheel = build_wheel(sdist, dist, compile_anew=True)
    check_wheel(wheel)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in VERSIONS:
        python = sys.executable if version == own else find(version)
        if python is None:
            typer.echo(f"Python {version}: not on this machine, not tried")
            continue
        package = wheel if version == own else sdist
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            smoke(install(package, folder / "environment", python), folder)
        typer.echo(f"Python {version}: {package.name} is installed, and the demo runs")
    for package in (sdist, wheel):
        typer.echo(f"{package.relative_to(ROOT)}: {package.stat().st_size // 1024} KiB")


def find(version: str) -> str | None:
    """A Python of this version that runs, or `None`."""
    python = shutil.which(f"python{version}")
    if python is None:
        return None
    done = subprocess.run([python, "-c", "import venv"], capture_output=True, check=False)
    return python if done.returncode == 0 else None


main()
