"""What a configuration says of listeners, in a gateway that runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
from tests.gateway.running import SECONDS
from tests.net.certificates import AUTHORITY, issue

from holdfast.gateway.config import load
from holdfast.gateway.gateway import Gateway
from holdfast.net.runtime.loop import unwrapped

LISTENERS = """
[[listener]]
url = "tls://127.0.0.1:0"
backend = "echo"
durability = "memory"
proxy = {{ trust = ["127.0.0.0/8"] }}
[listener.tls]
certificates = [
    {{ cert = "{folder}/a.pem", key = "{folder}/a.key" }},
    {{ cert = "{folder}/b.pem", key = "{folder}/b.key" }},
]
client_certificates = "required"
client_ca = "{folder}/ca.pem"

[[listener]]
url = "unix:{folder}/s"
backend = "echo"
durability = "memory"
bind = {{ mode = "0600" }}

[link]
listen = "unix:{folder}/link"
bind = {{ mode = "0660", group = "{group}" }}

[admin]
listen = "unix:{folder}/admin"
bind = {{ mode = "0600" }}
"""


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Gateway]:
    """A gateway on these listeners."""
    for name in ("a", "b"):
        issue(folder, f"{name}.example", name=name)
    (folder / "ca.pem").write_text(AUTHORITY)
    path = folder / "holdfast.toml"
    path.write_text(LISTENERS.format(folder=folder, group=os.getgid()))
    gateway = Gateway(load(path))
    ready = asyncio.Event()
    with unwrapped():
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(gateway.run(ready.set))
            await ready.wait()
            try:
                yield gateway
            finally:
                gateway.stop()
                gateway.stop()


class Through:
    """A TLS client behind a proxy that speaks for it."""

    def __init__(self, port: int, context: ssl.SSLContext, name: str) -> None:
        self._port = port
        self._context = context
        self._name = name

    async def __aenter__(self) -> asyncio.StreamWriter:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.writer.write(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n")
        await self.writer.start_tls(self._context, server_hostname=self._name)
        return self.writer

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()


async def test_listeners_are_as_the_configuration_says(tmp_path: Path) -> None:
    context = ssl.create_default_context(cadata=AUTHORITY)
    anna = issue(tmp_path, "anna@example.org", name="anna", common_name="anna")
    context.load_cert_chain(anna.cert, anna.key)
    async with running(tmp_path) as gateway:
        port = gateway.addresses[0].port
        for name in ("a.example", "b.example"):
            async with Through(port, context, name):
                while not gateway.listeners.clients.connections:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                (connection,) = gateway.listeners.clients.connections
                assert connection.peer == "192.0.2.7:1234"
                assert connection.tls is not None
                assert "CN=anna" in connection.tls.subject
            while gateway.listeners.clients.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        modes = {"s": 0o600, "link": 0o660, "admin": 0o600}
        for name, mode in modes.items():
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode
        assert (tmp_path / "link").stat().st_gid == os.getgid()

        async with Through(port, context, "a.example") as writer:
            before = writer.get_extra_info("peercert")["serialNumber"]
        issue(tmp_path, "a.example", name="a")
        gateway.reload()
        async with Through(port, context, "a.example") as writer:
            assert writer.get_extra_info("peercert")["serialNumber"] != before


async def test_a_client_without_a_certificate_is_told_of(tmp_path: Path) -> None:
    context = ssl.create_default_context(cadata=AUTHORITY)
    with structlog.testing.capture_logs() as logs:
        async with running(tmp_path) as gateway:
            through = Through(gateway.addresses[0].port, context, "a.example")
            with contextlib.suppress(OSError):
                async with through:
                    await through.reader.read()
    (line,) = (log for log in logs if log["event"] == "handshake failed")
    assert line["why"] == "TLS: the peer showed no certificate, and one is required"
    assert line["peer"] == "192.0.2.7:1234"
