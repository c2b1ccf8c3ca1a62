"""Builds the project's packages, and installs them into environments that have nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.programs import ROOT

_BUILD: Final = "import sys; from setuptools.build_meta import {0}; {0}(sys.argv[1])"
_SECONDS_MAX: Final = 600.0


class Environment(NamedTuple):
    """A virtual environment with the package, and what the package asks for."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"

    def output(self, *command: str, folder: Path | None = None) -> str:
        """Run a program of the environment, or one of the system; return what it writes."""
        return output(command, folder or self.folder, {"PATH": f"{self.bin}:{os.environ['PATH']}"})


def output(
    command: Sequence[str | Path], folder: Path, environment: dict[str, str] | None = None
) -> str:
    """Run `command` in `folder`; return what it writes. A failure fails with all of that."""
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def build_sdist(folder: Path) -> Path:
    """Build the source distribution into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    output([sys.executable, "-c", _BUILD.format("build_sdist"), folder], ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


def build_wheel(sdist: Path, folder: Path, *, compile_anew: bool) -> Path:
    """Build the wheel from a source distribution into `folder`, with this Python.

    Unless `compile_anew`, it takes the compiled parts of this environment: they come of the same
    sources (`./dev` sees to it), and to compile takes most of the time.
    """
    source = unpack(sdist, folder / "source")
    if not compile_anew:
        _take_compiled(source)
    output([sys.executable, "-c", _BUILD.format("build_wheel"), folder], source)
    shutil.rmtree(folder / "source")
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack a source distribution; returns the folder that it makes in `folder`."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source


def _take_compiled(source: Path) -> None:
    """Lay translated and compiled parts where setuptools looks whether they are up to date."""
    platform = f"lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    source_folder = ROOT / "src"
    for part in (*source_folder.rglob("*.pyx"), *source_folder.rglob("*.pxd")):
        translated = part.with_suffix(".c")
        compiled = part.with_name(f"{part.stem}{sysconfig.get_config_var('EXT_SUFFIX')}")
        if not (translated.exists() and compiled.exists()):
            continue
        shutil.copyfile(translated, source / translated.relative_to(ROOT))
        target = source / "build" / platform / compiled.relative_to(source_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(compiled, target)
        later = time.time() + 60.0  # than what was translated
        os.utime(target, (later, later))


def install(package: Path, folder: Path, python: str = sys.executable) -> Environment:
    """Make an environment in `folder`, and install a wheel or source distribution into it."""
    output([python, "-m", "venv", "--without-pip", folder], folder.parent)
    environment = Environment(folder)
    uv = Path(sys.executable).with_name("uv")
    pinned = ROOT / "constraints.txt"
    where = ["--python", str(environment.python), "--constraint", str(pinned)]
    output([uv, "pip", "install", "-q", *where, "--build-constraint", pinned, package], folder)
    return environment


class Packages(NamedTuple):
    """What is published."""

    sdist: Path
    wheel: Path


def packages_in(folder: Path) -> Packages:
    """Build the packages into `folder`, once: whoever comes later gets the same."""
    sdists, wheels = [*folder.glob("*.tar.gz")], [*folder.glob("*.whl")]
    if not wheels:
        sdists = [build_sdist(folder)]
        wheels = [build_wheel(sdists[0], folder, compile_anew=False)]
    return Packages(sdists[0], wheels[0])
