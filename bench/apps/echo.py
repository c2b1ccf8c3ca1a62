"""The application behind the gateway's benchmarks: says back what it is told."""

from __future__ import annotations

from holdfast.app import App, Session

app = App("bench")


@app.on_text
async def said(session: Session, text: str) -> None:
    await session.text(text)


app.run()
