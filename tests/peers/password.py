"""An application with a login (a name and a password), and a question whose answer is secret."""

from holdfast.app import App, Authenticate, Refusal, Session

app = App("password")


@app.on_authenticate
def authenticate(claim: Authenticate) -> str:
    if claim.password != "sesame":
        raise Refusal("That is not the password.")
    return claim.username


@app.on_open
async def opened(session: Session) -> None:
    await session.text(f"Welcome, {session.user}.")
    await session.input_mode("secret")
    await session.prompt("Your secret: ")


@app.on_text
async def said(session: Session, text: str) -> None:
    await session.input_mode("line")
    await session.text(f"It has {len(text)} letters.")
    await session.prompt("> ")


app.run()
