"""An application whose sessions are all in the group `all`: `say COUNT TEXT` says TEXT to all."""

from __future__ import annotations

from holdfast.app import App, Session

app = App("crier")


@app.on_open
async def opened(session: Session) -> None:
    await session.join("all")


@app.on_text
async def said(session: Session, line: str) -> None:
    _, count, text = line.split(" ", 2)
    for _ in range(int(count)):
        await session.broadcast("all", text)


app.run()
