"""An application that counts aloud: `count 500` says 500 numbered lines, one after the other.

`count 500 400 NAME` stops at 400 until there is a file NAME, which it takes away at the end.
"""

import asyncio
from pathlib import Path

from holdfast.app import App, Session

app = App("counting")


@app.on_open
async def opened(session: Session) -> None:
    await session.text("Ready.")


@app.on_text
async def heard(session: Session, text: str) -> None:
    match text.split():
        case ["count", last]:
            await count(session, 1, int(last))
        case ["count", last, stop, name]:
            await count(session, 1, int(stop))
            while not is_there(Path(name)):  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.01)
            await count(session, int(stop) + 1, int(last))
            text = f"count {last}"
            take_away(Path(name))
        case _:
            pass
    await session.text(f"Done: {text}.")


def is_there(path: Path) -> bool:
    return path.exists()


def take_away(path: Path) -> None:
    path.unlink()


async def count(session: Session, first: int, last: int) -> None:
    for now in range(first, last + 1):
        await session.text(f"Number {now}.")
        await asyncio.sleep(0.002)


app.run()
