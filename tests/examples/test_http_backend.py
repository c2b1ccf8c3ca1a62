"""The examples of applications that are a URL, behind a real gateway."""

from __future__ import annotations

import asyncio
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.backends.http.endpoints import behind, person
from tests.gateway.running import SECONDS, serving
from tests.ports import free_port
from tests.programs import need

FOLDER = Path(__file__).parents[2] / "examples" / "http-backend"
SECRET = "a secret for an example alone"


APPLICATIONS = ("app.mjs", "wsgi_app.py", "django_app.py", "flask_app.py", "fastapi_app.py")

NOT_SIGNED = (
    "",
    "t=1",
    "v1=" + 64 * "0",
    "t=1,v1=" + 64 * "0",
    "t=1,v1=" + 64 * "\xe9",
    "t=\xb2,v1=\xe9",
    "t=" + 5_000 * "9" + ",v1=" + 64 * "0",
    "," * 1_000,
)
"""What is no signature of anything."""


async def _cut_off(port: int) -> None:
    """A request of which a part comes alone."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("name", APPLICATIONS)
async def test_an_example_knows_its_users_and_who_has_signed(name: str, tmp_path: Path) -> None:
    program = need("node") if name.endswith(".mjs") else sys.executable
    port, secret = free_port(), tmp_path / "secret"
    secret.write_text(SECRET)
    process = await asyncio.create_subprocess_exec(
        program, str(FOLDER / name), str(port),
        env={**os.environ, "HOLDFAST_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SECONDS):
            assert await process.stdout.readline() == b"ready\n"
        url = f"http://127.0.0.1:{port}/"
        config = behind(tmp_path, url, secret_files=(str(secret),))
        async with serving(config) as gateway, person(gateway.addresses[0].port) as anna:
            anna.types("hi")
            await anna.hears("Who are you?", "Somebody said hi")
            anna.types("I am anna")
            await anna.hears("Hello, anna.")
            anna.types("hi")
            await anna.hears("anna said hi")
        await _cut_off(port)
        for signature in NOT_SIGNED:
            request = urllib.request.Request(url, b'{"events": []}')
            request.add_header("Holdfast-Signature", signature)
            with pytest.raises(urllib.error.HTTPError, match="401"):
                await asyncio.to_thread(urllib.request.urlopen, request, None, SECONDS)
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("name", [*APPLICATIONS, "events.py"])
def test_an_example_is_short(name: str) -> None:
    lines = (FOLDER / name).read_text().splitlines()
    assert len(lines) <= 60
