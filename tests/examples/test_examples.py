"""The examples for operators hold what they say: names of metrics, ports, settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families
from tests.backends.test_upstreams import at, bridged
from tests.examples.dashboard import DASHBOARD, expressions
from tests.gateway.admin.asking import administered, ask
from tests.gateway.clients import person, person_at
from tests.gateway.running import SECONDS, TCP, WS, eventually, linked, serving
from tests.gateway.servers import mud
from tests.net.certificates import write_pems
from tests.peers.terminal_page import shell
from tests.ports import free_port
from tests.programs import need

from holdfast.backends.link.server_config import LinkConfig
from holdfast.gateway.config import ListenerConfig, load

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVICE = EXAMPLES / "systemd" / "holdfast.service"
SOCKET = EXAMPLES / "systemd" / "holdfast.socket"
APPLICATION = EXAMPLES / "systemd" / "holdfast-application.service"
GATEWAY = EXAMPLES / "systemd" / "gateway.toml"

_METRIC = re.compile(r"\b(?:holdfast|process)_[a-z_]+\b")


async def registry(tmp_path: Path, *more: ListenerConfig) -> dict[str, tuple[str, set[str]]]:
    """By the sample's name: its type, and the labels that it has."""
    async with mud() as it:
        config = administered(bridged(tmp_path, at(it), urls=(TCP,)))
        config = structs.replace(
            config,
            listener=(*config.listener, ListenerConfig(url=WS), *more),
            link=LinkConfig(listen=f"unix:{tmp_path / 'link'}"),
        )
        async with (
            serving(config) as gateway,
            linked(gateway),
            person(gateway, "tcp") as someone,
        ):
            await someone.shown_code()
            for backend in gateway.backends.terminals:
                backend.counts.failures["timeout"] += 1  # no sample before the first one
            text = (await ask(gateway, "/metrics")).body.decode()
    names: dict[str, tuple[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            names.setdefault(sample.name, (family.type, set()))[1].update(sample.labels)
    return names


async def test_dashboard_and_alerts_ask_for_what_there_is(tmp_path: Path) -> None:
    names = await registry(tmp_path, *shell().listener)
    asked = expressions()
    assert len(asked) > 40
    for expression in asked:
        for name in _METRIC.findall(expression):
            assert name in names, f"{name} in {expression}"
            counter = names[name][0] in ("counter", "histogram")
            rated = re.search(rf"(?:rate|increase)\({name}\b", expression) is not None
            assert counter is rated, expression
        labels = set().union(*(names[name][1] for name in _METRIC.findall(expression)))
        for grouping in re.findall(r"by \(([^)]*)\)", expression):
            assert set(grouping.split(", ")) <= labels | {"instance"}, expression


async def test_the_dashboard_leaves_nothing_out(tmp_path: Path) -> None:
    """What is counted of every gateway is shown: else nobody would look at it."""
    asked = " ".join(expressions())
    names = await registry(tmp_path)
    ours = {
        name
        for name, (kind, _) in names.items()
        if name.startswith("holdfast_") and (kind != "histogram" or name.endswith("_bucket"))
    }
    unshown = {name for name in ours if not re.search(rf"\b{name}\b", asked)}
    assert unshown == {
        "holdfast_link_accepted_total",
        "holdfast_link_connections",
        "holdfast_link_refused_total",
        "holdfast_listener_connections",
        "holdfast_listener_refused_total",
        "holdfast_upstream_connects_total",
    }


def test_the_dashboard_s_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        where = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(where["x"], where["x"] + where["w"])
            for y in range(where["y"], where["y"] + where["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


UNITS = (SERVICE, SOCKET, APPLICATION)
EXPOSURE = {SERVICE: 15, APPLICATION: 15}
"""In tenths, of `systemd-analyze security`: 15 is 1.5, "OK"."""


def here(folder: Path, unit: Path) -> str:
    """A unit in `folder`, with a program that there is; its path."""
    text = re.sub(
        r"/usr/local/bin/holdfast|/opt/holdfast/bin/python", sys.executable, unit.read_text()
    )
    (folder / unit.name).write_text(text)
    return str(folder / unit.name)


def analyzed(*arguments: str) -> tuple[int, str]:
    """The exit code and the complaints of `systemd-analyze`."""
    done = subprocess.run(
        [need("systemd-analyze"), *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    units = [here(tmp_path, unit) for unit in UNITS]
    assert analyzed("verify", "--man=no", *units) == (0, "")


@pytest.mark.parametrize("unit", EXPOSURE, ids=lambda unit: unit.name)
def test_a_service_is_exposed_no_more_than_it_must_be(unit: Path, tmp_path: Path) -> None:
    threshold = f"--threshold={EXPOSURE[unit]}"
    assert analyzed("security", "--offline=true", threshold, here(tmp_path, unit)) == (0, "")


async def test_the_socket_unit_has_a_socket_for_each_listener(tmp_path: Path) -> None:
    """systemd's own starter opens what the unit says; the gateway takes all of it."""
    activate = need("systemd-socket-activate")
    pems = write_pems(tmp_path)
    text = GATEWAY.read_text()
    streams = re.findall(r"^ListenStream=(.*)$", SOCKET.read_text(), re.MULTILINE)
    assert len(streams) == 3
    ports: dict[str, str] = {}
    options = []
    for stream in streams:
        host, _, port = stream.rpartition(":")
        ports[port] = str(free_port())
        assert text.count(f"//{host}:{port}") == 1
        text = text.replace(f"//{host}:{port}", f"//{host}:{ports[port]}")
        options += ["-l", f"{host}:{ports[port]}"]
    credentials = "/run/credentials/holdfast.service"
    (tmp_path / "admin.token").write_text("0123456789abcdef")
    for name, path in (
        (f"{credentials}/cert.pem", pems.certificate.cert),
        (f"{credentials}/key.pem", pems.certificate.key),
        (f"{credentials}/admin.token", str(tmp_path / "admin.token")),
        ("/var/lib/holdfast", str(tmp_path)),
        ("/run/holdfast", str(tmp_path)),
    ):
        assert name in text
        text = text.replace(name, path)
    (tmp_path / "gateway.toml").write_text(text)
    load(tmp_path / "gateway.toml")
    holdfast = [sys.executable, "-m", "holdfast", "serve", str(tmp_path / "gateway.toml")]
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen([activate, *options, *holdfast], stderr=file)  # noqa: ASYNC220
    try:
        await eventually(lambda: "Listening on" in log.read_text())
        async with person_at(int(ports["4000"]), telnet=True) as someone:
            await someone.shown_code()
        assert '"event": "listening for operators"' in log.read_text()
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0
