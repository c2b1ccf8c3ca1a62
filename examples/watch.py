"""A client that watches a gateway: `python examples/watch.py ws://127.0.0.1:8080/ look`"""

import asyncio
import sys

from holdfast.client import Began, Ended, Offline, Online, Text, connect


async def main(url: str, *commands: str) -> None:
    async with connect(url) as session:
        for command in commands:
            session.command(command)
        async for event in session:
            match event:
                case Text(d=text):
                    print(text)
                case Online(fresh=fresh):
                    print("--- a new session" if fresh else "--- resumed: nothing was missed")
                case Began(reason):
                    print(f"--- some output was lost: {reason}")
                case Offline(reason, seconds):
                    print(f"--- {reason}; trying again in {seconds:.1f} s")
                case Ended(reason):
                    print(f"--- the end: {reason}")
                case _:
                    pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
