"""An application that says again what it is told, and what it knows of the client."""

from holdfast.app import App, Session

app = App("mirror")


@app.on_open
async def opened(session: Session) -> None:
    await session.text("café Привет 天地")


@app.on_text
async def said(session: Session, text: str) -> None:
    known = session.capabilities
    await session.text(f"You said: {text}")
    encoding = "UTF-8" if known.utf8 else "something else"
    await session.text(f"In {encoding}, with{'' if known.colors else 'out'} colours.")


app.run()
