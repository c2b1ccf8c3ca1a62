"""Gets the suites: from Debian's source packages, with entries derived from this machine's apt.

No server is named here: whatever the machine's own entries say for binary
packages is asked for source packages.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from pathlib import Path

_STANZA = re.compile(r"\n(?:[ \t]*\n)+")
_FIELD = re.compile(r"^Types:.*$", re.MULTILINE)


class SourceError(Exception):
    """A source package cannot be had. The text says why."""


def cache_directory() -> Path:
    """Where downloads are kept: outside of any repository."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "holdfast" / "conformance"


def source_tree(package: str) -> Path:
    """The unpacked upstream source of a Debian package. Raises `SourceError`."""
    cache = cache_directory()
    unpacked = cache / package
    done = unpacked / ".complete"
    if not done.exists():
        archive = _download(package, cache)
        unpacked.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            tar.extractall(unpacked, filter="data")
        done.touch()
    (tree,) = [entry for entry in unpacked.iterdir() if entry.is_dir()]
    return tree


def version_of(tree: Path) -> str:
    """The version of an unpacked source: what its folder's name says."""
    return tree.name.rpartition("-")[2]


def _download(package: str, cache: Path) -> Path:
    downloads = cache / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    tried = []
    # All archives together; then each alone: one may name a file that only another serves.
    for number, entries in enumerate([_entries(), *([one] for one in _entries())]):
        options = _apt_options(cache / "apt" / str(number), entries)
        _run(["apt-get", *options, "-qq", "update"], downloads)
        for version in _versions(package, options):
            command = ["apt-get", *options, "-qq", "source", "--download-only", "--tar-only"]
            result = _run([*command, f"{package}={version}"], downloads)
            found = sorted(downloads.glob(f"{package}_*.orig.tar.*"))
            archives = [path for path in found if path.suffix != ".asc"]
            if archives:
                return archives[-1]
            errors = [line for line in result.stderr.splitlines() if line.startswith("E: ")]
            tried.append(f"{version}: {errors[0] if errors else 'nothing came'}")
    why = "; ".join(dict.fromkeys(tried)) or "no such source"
    raise SourceError(
        f"apt-get source {package} failed: {why} (--{package} gives an unpacked source)"
    )


def _versions(package: str, options: list[str]) -> list[str]:
    """The versions that there are. The newest may be missing on a mirror, an older one not."""
    said = _run(["apt-cache", *options, "showsrc", "--only-source", package]).stdout
    return list(dict.fromkeys(re.findall(r"^Version: (\S+)$", said, re.MULTILINE)))


def _run(command: list[str], directory: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, cwd=directory, env=env, capture_output=True, text=True, check=False
    )


def _entries() -> list[tuple[str, str]]:
    """apt's entries for source packages: the ending of the file that each was in, and its text."""
    found = []
    for path in _entry_files():
        text = as_source_entries(path.name, path.read_text(encoding="utf-8"))
        parts = _STANZA.split(text) if path.suffix == ".sources" else text.splitlines()
        found += [(path.suffix, f"{part.strip()}\n") for part in parts if part.strip()]
    return found


def _apt_options(folder: Path, entries: list[tuple[str, str]]) -> list[str]:
    """Options that make apt ask for source packages with these entries, with lists of its own."""
    parts, lists = folder / "parts", folder / "lists"
    for directory in (parts, lists / "partial"):
        directory.mkdir(parents=True, exist_ok=True)
    for number, (suffix, text) in enumerate(entries):
        (parts / f"{number}{suffix}").write_text(text, encoding="utf-8")
    return [
        f"-oDir::Etc::sourceparts={parts}",
        "-oDir::Etc::sourcelist=/dev/null",
        f"-oDir::State::lists={lists}",
        "-oAPT::Sandbox::User=",
    ]


def _entry_files() -> list[Path]:
    said = _run(
        ["apt-config", "shell", "L", "Dir::Etc::sourcelist/f", "P", "Dir::Etc::sourceparts/d"]
    )
    places = dict(re.findall(r"^([LP])='(.*)'$", said.stdout, re.MULTILINE))
    found = sorted(Path(places["P"]).glob("*.list")) + sorted(Path(places["P"]).glob("*.sources"))
    single = Path(places["L"])
    return [*([single] if single.is_file() else []), *found]


def as_source_entries(name: str, text: str) -> str:
    """apt's entries for binary packages, turned into entries for source packages."""
    if name.endswith(".sources"):
        return _FIELD.sub("Types: deb-src", text)
    lines = [line.strip() for line in text.splitlines()]
    entries = [line for line in lines if line.startswith("deb ")]
    return "".join(f"deb-src {line.removeprefix('deb ')}\n" for line in entries)
