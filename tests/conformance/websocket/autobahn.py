"""Autobahn's test suite: where it is, how it is run, what it says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.conformance.vtc.sources import cache_directory
from tests.ports import free_port

REQUIREMENT = "autobahntestsuite==0.8.2"
AGENT = "holdfast"
_START_SECONDS_MAX = 60.0
_RUN_SECONDS_MAX = 3 * 3600.0


class Missing(Exception):
    """The suite cannot be had. The text says what is missing."""


class Verdict(NamedTuple):
    """What the suite says of one case."""

    case: str
    behavior: str
    close: str


def find_python() -> str | None:
    """A Python 2.7, or nothing. `PYTHON2` in the environment names one explicitly."""
    installed = sorted((Path.home() / ".pyenv" / "versions").glob("2.7*/bin/python2.7"))
    for candidate in (os.environ.get("PYTHON2", ""), "python2.7", "python2", *map(str, installed)):
        if not candidate or shutil.which(candidate) is None:
            continue
        found = subprocess.run(
            [candidate, "-c", "import sys, ssl; sys.exit(sys.version_info[:2] != (2, 7))"],
            check=False,
            capture_output=True,
        )
        if found.returncode == 0:
            return candidate
    return None


def find_autobahn() -> Autobahn:
    """The suite, installed in the user's cache. Raises `Missing`."""
    python = find_python()
    if python is None:
        raise Missing(
            "Autobahn's test suite needs Python 2.7, found none"
            " (looked for $PYTHON2, python2.7, python2 and pyenv's)"
        )
    packages = cache_directory() / "autobahn"
    done = packages / ".complete"
    if not done.exists():
        shutil.rmtree(packages, ignore_errors=True)
        install = [python, "-m", "pip", "install", "-q", "--target", str(packages), REQUIREMENT]
        found = subprocess.run(install, check=False, capture_output=True, text=True)
        if found.returncode:
            raise Missing(f"pip cannot install {REQUIREMENT}: {found.stderr.strip()[-500:]}")
        (packages / "zope" / "__init__.py").touch()  # its own way of sharing a name needs more
        done.touch()
    return Autobahn(python, packages)


class Autobahn(NamedTuple):
    """The suite, ready to run."""

    python: str
    packages: Path

    def test_server(self, folder: Path, cases: Sequence[str], *, pure: bool) -> list[Verdict]:
        """Run its client against `holdfast echo`."""
        port = free_port()
        url = f"ws://127.0.0.1:{port}"
        echo = [sys.executable, "-m", "holdfast", "echo", "--deflate", f"{url}/"]
        with _running(echo, port, _codec(pure)):
            spec = {"servers": [{"agent": AGENT, "url": url}]}
            self._wstest("fuzzingclient", folder, spec, cases)
        return _read(folder)

    def test_client(self, folder: Path, cases: Sequence[str], *, pure: bool) -> list[Verdict]:
        """Run our client against its server."""
        port = free_port()
        url = f"ws://127.0.0.1:{port}"
        command = self._prepare("fuzzingserver", folder, {"url": url}, cases)
        with _running(command, port, self._environment):
            subprocess.run(
                [sys.executable, "-m", "tests.conformance.websocket.client", url, AGENT],
                check=True,
                env={**os.environ, **_codec(pure)},
                timeout=_RUN_SECONDS_MAX,
            )
        return _read(folder)

    @property
    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.packages)}

    def _prepare(
        self, mode: str, folder: Path, spec: Mapping[str, object], cases: Sequence[str]
    ) -> list[str]:
        """The command for one mode of the suite, with what it reads."""
        file = folder / "spec.json"
        common = {"outdir": str(folder), "cases": list(cases)}
        file.write_text(
            json.dumps({**common, "exclude-cases": [], "exclude-agent-cases": {}, **spec})
        )
        program = str(self.packages / "bin" / "wstest")
        # Without `-u 0` it would serve web pages at a port that may be taken.
        return [self.python, program, "-m", mode, "-s", str(file), "-u", "0"]

    def _wstest(
        self, mode: str, folder: Path, spec: Mapping[str, object], cases: Sequence[str]
    ) -> None:
        done = subprocess.run(
            self._prepare(mode, folder, spec, cases),
            check=False,
            env={**os.environ, **self._environment},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS_MAX,
        )
        if done.returncode:
            raise Missing(f"wstest failed: {done.stderr[-2000:]}")


def _read(folder: Path) -> list[Verdict]:
    index: Mapping[str, Mapping[str, Any]] = json.loads((folder / "index.json").read_text())
    return [
        Verdict(case, found["behavior"], found["behaviorClose"])
        for case, found in sorted(index[AGENT].items(), key=lambda item: _order(item[0]))
    ]


def _order(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


def _codec(pure: bool) -> dict[str, str]:
    return {"HOLDFAST_PURE": "codec" if pure else ""}


@contextmanager
def _running(command: Sequence[str], port: int, variables: Mapping[str, str]) -> Iterator[None]:
    """A server, up to the end of the block."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + _START_SECONDS_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise Missing(f"{command!r} does not listen at {port}") from None
                time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
