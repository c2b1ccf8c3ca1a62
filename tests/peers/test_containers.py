"""The image and the manifests: checked by linters, and the image's steps are carried out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml
from tests.package.build import Packages, unpack
from tests.peers.dockerfile import stages
from tests.peers.namespaces import need_unshare
from tests.programs import ROOT

from holdfast.gateway.config import load

_DOCKERFILE: Final = ROOT / "Dockerfile"
_COMPOSE: Final = ROOT / "examples" / "container" / "compose.yaml"
_MANIFESTS: Final = ROOT / "examples" / "kubernetes" / "holdfast.yaml"
_SLIM_BYTES: Final = 122_000_000
"""Of python:3.13-slim, unpacked, which this machine may not have."""
_IMAGE_BYTES_MAX: Final = 150_000_000
_SECONDS: Final = 300
_KUBERNETES: Final = ("1.29", "1.34")
"""The oldest and the newest version whose schemas the manifests are checked with."""


def tool(name: str) -> str:
    """A program of this environment."""
    return str(Path(sys.executable).with_name(name))


def test_the_linter_finds_no_fault() -> None:
    done = subprocess.run(
        [tool("hadolint"), str(_DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_image_runs_as_its_dockerfile_says(packages: Packages, tmp_path: Path) -> None:
    """As a user without rights, on a read-only root, as process 1, which SIGTERM stops."""
    unshare = need_unshare("--mount")
    context = unpack(packages.sdist, tmp_path / "unpacked").rename(tmp_path / "context")
    shutil.copy(_DOCKERFILE, context)
    (context / "dist").mkdir()
    shutil.copy(packages.wheel, context / "dist")
    shutil.copy(_COMPOSE.with_name("gateway.toml"), tmp_path)
    shutil.copy(ROOT / "examples" / "parrot.py", tmp_path / "application.py")
    command = [sys.executable, "-m", "tests.peers.image", str(context), str(tmp_path)]
    argument = f"HOLDFAST=dist/{packages.wheel.name}"
    done = subprocess.run(
        [*unshare, *command, argument],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["codes"] == [0, 0]
    assert not found["writable"]
    assert "You said: hello" in found["said"]
    assert found["bytes"] + _SLIM_BYTES < _IMAGE_BYTES_MAX


def test_the_compose_file_s_gateway_is_the_image_s(tmp_path: Path) -> None:
    compose: dict[str, Any] = yaml.safe_load(_COMPOSE.read_text())
    gateway, application = compose["services"]["gateway"], compose["services"]["application"]
    final = stages(_DOCKERFILE.read_text())[-1]
    assert gateway["command"] == final.last("CMD").words
    assert (_COMPOSE.parent / gateway["build"] / "Dockerfile").resolve() == _DOCKERFILE
    for service in (gateway, application):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        named = {volume.partition(":")[0] for volume in service["volumes"]}
        files = {_COMPOSE.parent / name for name in named if name.startswith(".")}
        assert all(file.is_file() for file in files)
        assert {name for name in named if not name.startswith(".")} <= compose["volumes"].keys()
    exposed = set(final.last("EXPOSE").words)
    assert {port.partition(":")[2] for port in gateway["ports"]} <= exposed
    config = load(_COMPOSE.with_name("gateway.toml"))
    served = {str(listener.address.port) for listener in config.listener}
    assert served == {port.partition(":")[2] for port in gateway["ports"]}
    assert application["environment"]["HOLDFAST_LINK"] == config.link.listen


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(_MANIFESTS.read_text()))


@pytest.mark.parametrize("version", _KUBERNETES)
def test_kubernetes_takes_the_manifests(version: str) -> None:
    for manifest in manifests():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_ports_of_the_manifests_are_the_configuration_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOLDFAST_ADMIN_TOKEN", "correct-horse-battery-staple")
    config = load(_MANIFESTS.with_name("gateway.toml"))
    (stateful,) = [one for one in manifests() if one["kind"] == "StatefulSet"]
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    named = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert set(named.values()) == {
        *(listener.address.port for listener in config.listener),
        int(config.link.listen.rpartition(":")[2]),
        int(config.admin.listen.rpartition(":")[2]),
    }
    for service in (one for one in manifests() if one["kind"] == "Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named.keys()


def test_a_pod_has_more_time_to_end_than_its_drain_takes() -> None:
    config = load(_COMPOSE.with_name("gateway.toml"))
    (stateful,) = [one for one in manifests() if one["kind"] == "StatefulSet"]
    pod = stateful["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > config.limits.drain.drain_seconds_max
    grace = yaml.safe_load(_COMPOSE.read_text())["services"]["gateway"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > config.limits.drain.drain_seconds_max
