"""Builds the image's stages and runs it, where there is no container runtime.

`unshare --mount --fork python -m tests.peers.image CONTEXT FOLDER KEY=VALUE…`, as root. The
stages stand on this machine's files as a copy that is thrown away, with its Python in /usr/local:
in place of the base image, which cannot be fetched everywhere. The image then runs as the
Dockerfile says: as its user, on a read-only root, as process 1 of a namespace. `KEY=VALUE` are
build arguments.

What it finds is printed as JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.peers.dockerfile import Stage, expanded, stages

SECONDS: Final = 60.0
_DEVICES: Final = ("null", "zero", "full", "random", "urandom")
_VOLUMES: Final = ("var/lib/holdfast", "run/holdfast")
"""As compose.yaml has them: what the gateway writes to."""


def main() -> None:
    context, folder, *arguments = sys.argv[1:]
    if arguments == ["run"]:
        run(Path(folder))
        return
    given = dict(argument.split("=", 1) for argument in arguments)
    sh("mount", "--make-rprivate", "/")
    built: dict[str, Path] = {}
    root = Path()
    for stage in stages((Path(context) / "Dockerfile").read_text()):
        root = make_root(Path(folder), stage.name or "final")
        build(stage, root, Path(context), given, built)
        built[stage.name] = root
    # The ports of the configuration may be taken on this machine: another network.
    command = ["unshare", "--net", "--fork", sys.executable, "-m", "tests.peers.image"]
    sh(*command, context, folder, "run")


def sh(*command: str | Path) -> None:
    """Run a command that must succeed."""
    subprocess.run([*map(str, command)], check=True, stdin=subprocess.DEVNULL)


def make_root(folder: Path, name: str) -> Path:
    """A root with this machine's files, and changes that are thrown away."""
    work = folder / name
    work.mkdir()
    sh("mount", "-t", "tmpfs", "tmpfs", work)
    for part in ("upper", "work", "root"):
        (work / part).mkdir()
    options = f"lowerdir=/,upperdir={work}/upper,workdir={work}/work"
    root = work / "root"
    sh("mount", "-t", "overlay", "overlay", "-o", options, root)
    sh("mount", "-t", "tmpfs", "tmpfs", root / "dev")
    for device in _DEVICES:
        (root / "dev" / device).touch()
        sh("mount", "--bind", f"/dev/{device}", root / "dev" / device)
    sh("mount", "-t", "tmpfs", "tmpfs", root / "tmp")
    sh("mount", "-t", "tmpfs", "tmpfs", root / "run")
    sh("mount", "--bind", sys.base_prefix, root / "usr" / "local")
    return root


def build(
    stage: Stage, root: Path, context: Path, given: dict[str, str], built: dict[str, Path]
) -> None:
    """Carry out the steps of a stage."""
    variables = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    folder = "/"
    for step in stage.steps:
        match step.instruction:
            case "ARG":
                name, _, value = step.argument.partition("=")
                variables[name] = given.get(name, value)
            case "ENV":
                for word in step.words:
                    name, _, value = word.partition("=")
                    variables[name] = expanded(value, variables)
            case "WORKDIR":
                folder = step.argument
                (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "RUN":
                sh(*inside(root, folder, variables), "/bin/sh", "-euc", step.argument)
            case "COPY":
                copy(step.words, root, folder, context, built)
            case "USER" | "EXPOSE" | "STOPSIGNAL" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                pass
            case other:
                raise AssertionError(f"{other}: this program knows no such instruction")


def copy(
    words: Sequence[str], root: Path, folder: str, context: Path, built: dict[str, Path]
) -> None:
    *options, source, target = words
    base = context
    for option in options:
        base = built[option.removeprefix("--from=")]
    destination = root / os.path.join(folder, target).lstrip("/")
    shutil.copytree(base / source.lstrip("/"), destination, symlinks=True, dirs_exist_ok=True)


def inside(root: Path, folder: str, variables: dict[str, str], user: str = "0:0") -> list[str]:
    """The beginning of a command that runs in `root` with these variables only."""
    given = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    given["LD_LIBRARY_PATH"] = "/usr/local/lib"  # a Python that was built for another place
    settings = [f"{key}={value}" for key, value in {**given, **variables}.items()]
    chroot = ["chroot", f"--userspec={user}", "--groups=", str(root)]
    return [*chroot, "/usr/bin/env", "-i", "-C", folder, *settings]


# --- the image as it runs


def run(folder: Path) -> None:
    """Run the gateway and an application as two containers that share two volumes."""
    sh("ip", "link", "set", "lo", "up")
    root = folder / "final" / "root"
    stage = stages((folder / "context" / "Dockerfile").read_text())[-1]
    sh("install", "-D", "-m", "644", folder / "gateway.toml", root / "etc/holdfast/gateway.toml")
    sh("install", "-D", "-m", "644", folder / "application.py", root / "srv/application.py")
    found: dict[str, Any] = {"bytes": size(root / "opt/holdfast")}
    user = stage.last("USER").argument
    for volume in _VOLUMES:
        place = folder / volume.replace("/", "-")
        shutil.copytree(root / volume, place)  # a new volume begins as the image's folder
        shutil.copystat(root / volume, place)
        sh("chown", user, place)
        sh("mount", "--bind", place, root / volume)
    sh("mount", "-o", "remount,ro", root)
    variables = environment(stage)
    folder_of = stage.last("WORKDIR").argument
    start = inside(root, folder_of, variables, user)
    entry = [*stage.last("ENTRYPOINT").words, *stage.last("CMD").words]
    gateway = as_process_1(root, [*start, *entry])
    application = None
    try:
        health = stage.last("HEALTHCHECK").argument.partition("CMD ")[2]
        until(lambda: subprocess.run([*start, *json.loads(health)], check=False).returncode == 0)
        found["writable"] = (
            subprocess.run(
                [*start, "python", "-c", "open('/opt/holdfast/x', 'w')"],
                stderr=subprocess.DEVNULL,
                check=False,
            ).returncode
            == 0
        )
        link = {**variables, "HOLDFAST_LINK": "unix:/run/holdfast/link.sock"}
        command = [*inside(root, folder_of, link, user), "python", "/srv/application.py"]
        application = as_process_1(root, command)
        found["said"] = talk()
    finally:
        for process in (application, gateway):
            if process is not None:
                found.setdefault("codes", []).append(stopped(process))
    sys.stdout.write(json.dumps(found))


def environment(stage: Stage) -> dict[str, str]:
    """What `ENV` says."""
    variables = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    for step in stage.steps:
        if step.instruction == "ENV":
            for word in step.words:
                name, _, value = word.partition("=")
                variables[name] = expanded(value, variables)
    return variables


def as_process_1(root: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start `command` as the first process of a namespace."""
    namespace = ["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc"]
    return subprocess.Popen([*namespace, *command], stdin=subprocess.DEVNULL)


def stopped(process: subprocess.Popen[bytes]) -> int:
    """Stop process 1 as a container runtime does; its exit code."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGTERM)
    return process.wait(SECONDS)


def until(condition: Any) -> None:
    """Wait for what nothing tells of."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)


def talk() -> str:
    """A Telnet client, until the application has answered."""
    said = b""
    with socket.create_connection(("127.0.0.1", 4000), timeout=SECONDS) as client:
        while b"Say something." not in said:
            said += client.recv(4096)
        client.sendall(b"hello\r\n")
        while b"You said: hello" not in said:
            said += client.recv(4096)
    return said.decode(errors="replace")


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


if __name__ == "__main__":
    main()
