"""The JavaScript client as a package of npm: packed, installed, checked, bundled, and run."""

from __future__ import annotations

import gzip
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.gateway.running import serving
from tests.peers.chromium import chromium
from tests.programs import ROOT, missing, need

from holdfast.backends import echo
from holdfast.gateway.config import Config, ListenerConfig

FRONTEND = ROOT / "frontend"
TOOLS = FRONTEND / "node_modules" / ".bin"
CORE_BYTES_MAX = 8 * 1024
APP = """
import { Session, forget, type State } from "holdfast";

const url = location.href.replace(/^http/, "ws") + "ws";
const session = new Session(url, { user: "anna", token: async () => "jwt" });
const log: string[] = [];
session.on("text", (message) => {
  const text: string = message.d;
  log.push(text);
  document.title = log.join();
});
const off: () => void = session.on("state", (state: State) => console.log(state.name));
session.on("auth", ({ error }) => console.log(error));
session.command("hello");
// @ts-expect-error a command is text
if (log.length) session.command(7);
// @ts-expect-error there is no such event
session.on("nothing", off);
if (log.length) forget(url, { user: "anna" });
"""
CORE = 'export { Session } from "holdfast";'
STRICT = {
    "compilerOptions": {
        "strict": True,
        "exactOptionalPropertyTypes": True,
        "noUncheckedIndexedAccess": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "lib": ["es2022", "dom"],
        "types": [],
        "noEmit": True,
    },
    "files": ["app.ts"],
}


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed client."""
    need("npm")
    if not (TOOLS / "tsc").exists():
        missing("the packages of frontend/ are not installed (./dev pages)")
    folder = tmp_path_factory.mktemp("pack")
    run(need("node"), "pack.mjs", folder, folder=FRONTEND)
    (packed,) = folder.glob("holdfast-*.tgz")
    return packed


@pytest.fixture(scope="module")
def project(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in strict TypeScript that has installed it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    (folder / "app.ts").write_text(APP)
    (folder / "core.js").write_text(CORE)
    (folder / "tsconfig.json").write_text(json.dumps(STRICT))
    offline = ("--offline", "--no-audit", "--no-fund", "--ignore-scripts")
    run("npm", "install", *offline, package, folder=folder)
    return folder


def test_what_is_in_the_package(package: Path) -> None:
    with tarfile.open(package) as packed:
        names = sorted(packed.getnames())
        file = packed.extractfile("package/package.json")
        assert file is not None
        manifest = json.load(file)
    files = ("LICENSE", "README.md", "holdfast.d.ts", "holdfast.js", "package.json")
    assert names == [f"package/{name}" for name in files]
    assert f'version = "{manifest["version"]}"' in (ROOT / "pyproject.toml").read_text()
    assert "dependencies" not in manifest


def test_its_types_hold_in_a_strict_project(project: Path) -> None:
    run(TOOLS / "tsc", "-p", ".", folder=project)


def test_it_is_small(project: Path) -> None:
    options = ("--bundle", "--minify", "--format=esm", "--outfile=core.min.js")
    run(TOOLS / "esbuild", "core.js", *options, folder=project)
    assert len(gzip.compress((project / "core.min.js").read_bytes())) <= CORE_BYTES_MAX


async def test_a_bundle_of_it_runs_in_a_browser(project: Path) -> None:
    pages = project / "pages"
    options = ("--bundle", "--minify", "--outfile=pages/app.js")
    run(TOOLS / "esbuild", "app.ts", *options, folder=project)
    (pages / "index.html").write_text('<script type="module" src="app.js"></script>')
    listener = ListenerConfig(
        url="ws://127.0.0.1:0/ws", backend=echo.Config(), durability="memory", pages=str(pages)
    )
    async with serving(Config(listener=(listener,))) as gateway, chromium() as browser:
        page = await browser.new_page()
        page.set_default_timeout(60_000)
        await page.goto(f"http://127.0.0.1:{gateway.addresses[0].port}/")
        await page.wait_for_function("() => document.title === 'hello'")
