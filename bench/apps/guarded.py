"""The application behind the benchmark of attacks that lets in nobody but Ann."""

from __future__ import annotations

from holdfast.app import App, Authenticate, Refusal

app = App("guarded")


@app.on_authenticate
async def authenticate(claim: Authenticate) -> str:
    if (claim.username, claim.password) != ("ann", "a password that nobody guesses"):
        raise Refusal("Wrong name or password.")
    return claim.username


app.run()
