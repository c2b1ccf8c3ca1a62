"""The shop of `examples/shop` behind nginx, while its parts are killed and its pages are loaded
anew: real processes.

`python -m tests.chaos.shop 200` runs it with as many customers, and prints what they saw. `http` as
a second argument lets the application be a URL; `fast` as a third stores less at once: then a
customer who has seen more than a killed gateway has stored begins afresh.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import jwt
import msgspec
from tests.ports import free_port
from tests.programs import ROOT, end, need, start

from holdfast.client import Began, Client, Data, Online, State, connect

SHOP: Final = ROOT / "examples" / "shop"
JWT_KEY: Final = "a secret of the shop for nothing but chaos, and long enough"
API_KEY: Final = "a key for nothing but chaos"
LIVE_SECRET: Final = "a secret for nothing but chaos"
SECONDS: Final = 200.0


class Outcome(NamedTuple):
    """What all customers saw together."""

    customers: int
    updates: int
    """That should have come."""
    lost: int
    twice: int
    out_of_order: int
    resets: int
    """Of pages that were not loaded anew."""
    reloads: int
    seconds: float


class Part:
    """One process of the shop."""

    def __init__(self, folder: Path, *command: str) -> None:
        self._folder = folder
        self._command = command
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        with (self._folder / "log.txt").open("a") as log:
            self.process = await start(
                *self._command, cwd=self._folder, env=environment, stdout=log, stderr=log
            )

    async def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        await end(self.process, number)

    async def again(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it, and start it again."""
        await self.end(number)
        await self.start()


class Customer:
    """Somebody who watches the orders come."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._url = url
        self.online = asyncio.Event()
        self.reload = asyncio.Event()
        """Set: the page is to be loaded anew."""
        self.seen: list[tuple[int, str]] = []
        self.resets = self.reloads = 0

    async def watch(self) -> None:
        """Look at one page after the other, of the same session; each begins with nothing on it."""
        state: State | None = None
        while True:
            async with (
                asyncio.TaskGroup() as tasks,
                connect(self._url, state=state, token=lambda: token_for(self.name)) as client,
            ):
                tasks.create_task(self._read(client))
                await self.reload.wait()
            self.reload.clear()
            self.reloads += 1
            state = client.state

    async def _read(self, client: Client) -> None:
        async for event in client:
            if isinstance(event, Online):
                self.online.set()
            elif isinstance(event, Began):
                self.resets += 1
                self.seen.clear()  # the page shows what comes from here on
            elif isinstance(event, Data):
                told = msgspec.json.decode(event.d)
                if told["state"] != "new":  # what a page shows as it begins is no update
                    self.seen.append((told["id"], told["state"]))

    def missing(self, orders: int) -> int:
        """How many updates of so many orders have not come. A page that began afresh shows how
        they stand."""
        if self.resets:
            return orders - len({number for number, state in self.seen if state == "sent"})
        return 2 * orders - len(set(self.seen))


def token_for(user: str) -> str:
    """The token that the site would give this user."""
    claims = {"sub": user, "iss": "shop", "aud": "live", "exp": time.time() + 900}
    return jwt.encode(claims, JWT_KEY, "HS256")


URL: Final = """backend = "http"
endpoint = "http://127.0.0.1:8002/holdfast"
secret_files = ["live.secret"]
"""


def lay_out(folder: Path, backend: str, durability: str) -> int:
    """The files of the shop, at ports that are free. Returns nginx's port."""
    ports = {name: free_port() for name in ("8000", "8001", "8002", "8081", "9181")}
    for path in SHOP.iterdir():
        if path.is_file():
            text = re.sub("|".join(ports), lambda match: str(ports[match[0]]), path.read_text())
            (folder / path.name).write_text(text)
    config = folder / "gateway.toml"
    keys = URL.replace("8002", str(ports["8002"])) if backend == "http" else ""
    keys += f'app = "shop"\ndurability = "{durability}"\n'
    config.write_text(
        config.read_text().replace('app = "shop"\norigins', f"{keys}origins")
        + "\n[limits.upstream]\nbroken_seconds_max = 0.5\n"
        + "\n[limits.http]\nbackoff_seconds_max = 0.5\n"
    )
    (folder / "live.secret").write_text(LIVE_SECRET)
    (folder / "live-port").write_text(str(ports["8002"]))
    (folder / "jwt.key").write_text(JWT_KEY)
    (folder / "api.key").write_text(API_KEY)
    (folder / "site-port").write_text(str(ports["8001"]))
    return ports["8000"]


@asynccontextmanager
async def opened(folder: Path, backend: str) -> AsyncIterator[dict[str, Part]]:
    """All parts of the shop, by their names."""
    site, live = (folder / "site-port").read_text(), (folder / "live-port").read_text()
    served = ("uvicorn", "live_http:app", "--port", live)
    parts = {
        "gateway": Part(folder, "holdfast", "serve", "gateway.toml"),
        "site": Part(folder, "uvicorn", "shop:app", "--port", site, "--log-level", "warning"),
        "live": Part(folder, *(served if backend == "http" else ("python", "live.py"))),
        "worker": Part(folder, "python", "worker.py"),
        "nginx": Part(folder, need("nginx"), "-p", ".", "-c", "nginx.conf", "-e", "stderr"),
    }
    try:
        for part in parts.values():
            await part.start()
        yield parts
    finally:
        for part in parts.values():
            if part.process is not None:
                await part.end()


async def order(port: int, names: Sequence[str], item: str) -> None:
    """Each of these customers orders something at the site, behind nginx."""
    async with aiohttp.ClientSession() as browser:
        for name in names:
            cookies = {"shop_token": token_for(name)}
            for _ in range(100):
                try:
                    async with browser.post(
                        f"http://127.0.0.1:{port}/orders", json={"item": item}, cookies=cookies
                    ) as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)
            else:
                raise AssertionError("the site does not answer")


async def torment(
    customers: int, orders: int = 4, backend: str = "link", durability: str = "durable"
) -> Outcome:
    """Let so many customers order something, while everything is killed."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = lay_out(folder, backend, durability)
        async with (
            asyncio.timeout(SECONDS + customers),
            opened(folder, backend) as parts,
            asyncio.TaskGroup() as tasks,
        ):
            url = f"ws://127.0.0.1:{port}/live"
            everyone = [Customer(f"customer-{number}", url) for number in range(customers)]
            watching = [tasks.create_task(customer.watch()) for customer in everyone]
            for customer in everyone:
                await customer.online.wait()
            if backend == "http":
                await _applied(folder, customers)
            await _orders_and_kills(port, everyone, parts, orders)
            # There is no event for it.
            while any(customer.missing(orders) for customer in everyone):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            for task in watching:
                task.cancel()
        return _outcome(everyone, orders, time.monotonic() - begun)


async def _applied(folder: Path, customers: int) -> None:
    """Wait until the application has answered how each page begins, by its log: what it reads of
    the orders later on may be older than what the worker has told."""
    answered = '"POST /holdfast HTTP/1.1" 200'
    while (folder / "log.txt").read_text().count(answered) < customers:  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def _orders_and_kills(
    port: int, everyone: Sequence[Customer], parts: dict[str, Part], orders: int
) -> None:
    names = [customer.name for customer in everyone]
    for number in range(orders):
        async with asyncio.TaskGroup() as both:
            both.create_task(order(port, names, f"thing {number}"))
            await asyncio.sleep(0.3)
            both.create_task(parts["gateway"].again())
            for customer in everyone[::3]:
                customer.reload.set()
            if number % 2:
                both.create_task(parts["worker"].again())
            else:
                both.create_task(parts["live"].again(signal.SIGTERM))  # a deployment
            if number == 1:
                nginx = parts["nginx"].process
                assert nginx is not None
                nginx.send_signal(signal.SIGHUP)  # it reads its configuration again


def _outcome(everyone: Sequence[Customer], orders: int, seconds: float) -> Outcome:
    lost = twice = disorder = 0
    for customer in everyone:
        lost += customer.missing(orders)
        if customer.resets:
            continue
        counts = Counter(customer.seen)
        twice += sum(counts.values()) - len(counts)
        for number in {number for number, _ in counts}:
            states = [state for one, state in customer.seen if one == number]
            disorder += states != ["packed", "sent"]
    return Outcome(
        customers=len(everyone),
        updates=2 * orders * len(everyone),
        lost=lost,
        twice=twice,
        out_of_order=disorder,
        resets=sum(customer.resets for customer in everyone if not customer.reloads),
        reloads=sum(customer.reloads for customer in everyone),
        seconds=round(seconds, 1),
    )


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    count, backend = given.get(0, "20"), given.get(1, "link")
    durability = given.get(2, "durable")
    print(asyncio.run(torment(int(count), backend=backend, durability=durability)))  # noqa: T201
