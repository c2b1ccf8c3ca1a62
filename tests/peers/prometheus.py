"""Debian's Prometheus, scraping one gateway."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.docs.pages import ROOT, blocks
from tests.examples.dashboard import ALERTS
from tests.ports import free_port
from tests.programs import need

SECONDS: Final = 60.0
_EVERY: Final = "200ms"
_GLOBAL: Final = f"""
global: {{ scrape_interval: {_EVERY}, scrape_timeout: {_EVERY}, evaluation_interval: {_EVERY} }}
rule_files: ["{ALERTS}"]
"""


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, port: int) -> None:
        self._at = f"http://127.0.0.1:{port}"

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression has now."""
        wanted = urllib.parse.urlencode({"query": expression})
        answer = json.loads(await self._get(f"/api/v1/query?{wanted}"))
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    async def until(
        self,
        expression: str,
        condition: Callable[[list[dict[str, Any]]], object] = bool,
    ) -> list[dict[str, Any]]:
        """Ask until the samples fulfil `condition`, by default that there are any."""
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(SECONDS):
                while not condition(found := await self.query(expression)):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{expression}: found {found}") from None
        return found

    async def ready(self) -> None:
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    await self._get("/-/ready")
                except OSError:
                    await asyncio.sleep(0.1)
                else:
                    return

    async def _get(self, path: str) -> str:
        def get() -> str:
            with urllib.request.urlopen(f"{self._at}{path}", timeout=SECONDS) as answer:
                text: str = answer.read().decode()
            return text

        return await asyncio.to_thread(get)


def written(folder: Path, target: int, token: str) -> Path:
    """The configuration on the page for operators, at another port and with this token."""
    (scrape,) = blocks(ROOT / "docs" / "operations.md", "yaml")
    (folder / "token").write_text(token)
    text = scrape.replace("/etc/prometheus/holdfast.token", str(folder / "token"))
    text = text.replace("127.0.0.1:9180", f"127.0.0.1:{target}")
    path = folder / "prometheus.yml"
    path.write_text(_GLOBAL + text)
    return path


@asynccontextmanager
async def prometheus(folder: Path, target: int, token: str) -> AsyncIterator[Prometheus]:
    """Scrape the admin listener at port `target` while the block runs."""
    port = free_port()
    command = [
        need("prometheus"),
        f"--config.file={written(folder, target, token)}",
        f"--storage.tsdb.path={folder / 'samples'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220
    try:
        it = Prometheus(port)
        await it.ready()
        yield it
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
