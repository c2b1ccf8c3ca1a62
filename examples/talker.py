"""A talker on Telnet: everybody hears everybody.

    python examples/talker.py telnet://127.0.0.1:4000

Come with any Telnet or MUD client. Clients with GMCP get who is there as `Room.Players`.
"""

from __future__ import annotations

import asyncio
import sys

from holdfast.net.addresses import parse_address
from holdfast.telnet import ServerTelnet, serve

people: dict[str, ServerTelnet] = {}


async def tell_all(text: str) -> None:
    for telnet in list(people.values()):
        if not telnet.closed:
            telnet.send_gmcp("Room.Players", sorted(people))
            await telnet.send(text)


async def come_in(telnet: ServerTelnet) -> str:
    while True:
        name = (await telnet.ask("Your name: ")).strip()
        if name.isalnum() and name not in people:
            return name
        await telnet.send("Another one, please: letters and digits that nobody else has.\n")


async def talk(telnet: ServerTelnet) -> None:
    name = await come_in(telnet)
    people[name] = telnet
    try:
        await tell_all(f"{name} has come.\n")
        async for line in telnet:
            await tell_all(f"{name}: {line}\n")
    finally:
        del people[name]
        await tell_all(f"{name} has left.\n")


async def main() -> None:
    address = parse_address(sys.argv[1], ("telnet",))
    async with serve(talk, address.host, address.port) as server:
        print(f"listening at {server.addresses[0]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
