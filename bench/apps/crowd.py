"""An application whose users log in, are all in one group, and speak to it."""

from __future__ import annotations

from holdfast.app import App, Authenticate, Session

app = App("crowd")


@app.on_authenticate
async def authenticate(claim: Authenticate) -> str:
    return claim.username


@app.on_open
async def opened(session: Session) -> None:
    await session.join("all")
    await session.text("welcome")


@app.on_text
async def heard(session: Session, text: str) -> None:
    if text == "to all":
        await app.broadcast("all", "news")


app.run()
