"""The smallest application: `holdfast run examples/parrot.py --reload`."""

from holdfast.app import App, Session

app = App("parrot")


@app.on_open
async def opened(session: Session) -> None:
    await session.text("Say something.")
    await session.prompt("> ")


@app.on_text
async def said(session: Session, text: str) -> None:
    await session.text(f"You said: {text}")
    await session.prompt("> ")


if __name__ == "__main__":
    app.run()
