"""An application that does for each client whatever it is asked for, by a word."""

from holdfast.app import App, Session

app = App("stage")
GREETING = "café Привет 天地"


@app.on_open
async def opened(session: Session) -> None:
    await session.join("all")
    await session.text(GREETING)
    await session.prompt("> ")


@app.on_resize
async def resized(session: Session, width: int, height: int) -> None:
    await session.text(f"Your window: {width} x {height}.")


@app.on_text
async def said(session: Session, text: str) -> None:
    match text.split():
        case ["greet"]:
            await session.text(GREETING)
        case ["data"]:
            await session.data("Char.Vitals", {"hp": "42", "note": "été"})
            await session.text("Told.")
        case ["everybody"]:
            await app.broadcast("all", "Hear this.")
            for other in app.sessions.values():
                await other.data("Room.Info", {"name": "x" * 40})
            await app.broadcast("all", "Heard this.")
        case ["hide"]:
            await session.input_mode("secret")
            await session.prompt("Secret: ")
            return
        case _:
            await session.input_mode("line")
            await session.text(f"You said [{text}].")
    await session.prompt("> ")


app.run()
