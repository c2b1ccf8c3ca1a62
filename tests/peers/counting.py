"""An application that counts aloud: `count 500` says 500 numbered lines, one after the other."""

import asyncio

from holdfast.app import App, Session

app = App("counting")


@app.on_open
async def opened(session: Session) -> None:
    await session.text("Ready.")


@app.on_text
async def heard(session: Session, text: str) -> None:
    word, _, number = text.partition(" ")
    if word == "count":
        for now in range(1, int(number) + 1):
            await session.text(f"Number {now}.")
            await asyncio.sleep(0.002)
    await session.text(f"Done: {text}.")


app.run()
