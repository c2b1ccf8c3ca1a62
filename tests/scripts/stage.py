"""The application behind the scripts' gateways: it says what it is told to say.

It is named by its argument, `stage` without one. With `HOLDFAST_STAGE` in its
environment it asks for more: `login` for a login, `profiles` for a profile too.
"""

from __future__ import annotations

import asyncio
import os
import sys

from holdfast.app import App, Authenticate, AuthResult, ProfileSummary, Refusal, Session

app = App(sys.argv[1] if len(sys.argv) > 1 else "stage")
asked = os.environ.get("HOLDFAST_STAGE", "")


@app.on_open
async def opened(session: Session) -> None:
    await session.text(f"Hello, {session.profile or session.user or 'stranger'}.")
    await session.prompt("> ")


@app.on_text
async def said(session: Session, text: str) -> None:
    word, _, rest = text.partition(" ")
    await COMMANDS.get(word, echo)(session, rest if word in COMMANDS else text)


@app.on_data
async def data(session: Session, package: str, value: object) -> None:
    if package != "Core.Hello":  # the client says by itself what it is
        await session.data(f"{package}.Answer", {"got": value})


@app.on_binary
async def binary(session: Session, data: bytes) -> None:
    await session.binary(data[::-1])


@app.on_interrupt
async def interrupted(session: Session) -> None:
    await session.text("You interrupt me.")


@app.on_resize
async def resized(session: Session, width: int, height: int) -> None:
    await session.data("Window", {"width": width, "height": height})


@app.on_resync
async def resynced(session: Session, reason: str) -> None:
    await session.text(f"Where were we? ({reason})")


async def echo(session: Session, text: str) -> None:
    await session.text(f"You said: {text}")


async def count(session: Session, rest: str) -> None:
    """`count 3`: 1, 2, 3, a line each."""
    for number in range(1, int(rest) + 1):
        await session.text(str(number))


async def later(session: Session, rest: str) -> None:
    """`later 0.1 hello`: `hello`, but not at once."""
    seconds, _, text = rest.partition(" ")
    await asyncio.sleep(float(seconds))
    await session.text(text)


async def long(session: Session, rest: str) -> None:
    """`long 1000`: a line of so many characters."""
    await session.text("x" * int(rest))


async def ask(session: Session, rest: str) -> None:
    await session.prompt(f"{rest}? ")


async def secret(session: Session, rest: str) -> None:
    """`secret on`, `secret off`: whether typing is shown."""
    await session.input_mode("secret" if rest == "on" else "line")
    await session.text(f"secret {rest}")


async def identify(session: Session, rest: str) -> None:
    await session.identify(rest)
    await session.text(f"You are {rest}.")


async def join(session: Session, rest: str) -> None:
    await session.join(rest)
    await session.text(f"You are in {rest}.")


async def shout(session: Session, rest: str) -> None:
    """`shout room hello`: to everybody in the room."""
    room, _, text = rest.partition(" ")
    await session.broadcast(room, text)


async def room(session: Session, rest: str) -> None:
    await session.data("Room.Info", {"name": rest, "exits": ["n", "s"]})


async def close(session: Session, rest: str) -> None:
    await session.close(rest or "kicked")


async def die(session: Session, rest: str) -> None:
    """End without a word, as a program that crashes."""
    os._exit(int(rest or 1))


COMMANDS = {
    "count": count,
    "later": later,
    "long": long,
    "ask": ask,
    "secret": secret,
    "identify": identify,
    "join": join,
    "shout": shout,
    "room": room,
    "close": close,
    "die": die,
}

if asked:

    @app.on_authenticate
    async def authenticate(claim: Authenticate) -> AuthResult:
        if claim.password != f"{claim.username}'s secret":
            raise Refusal("Wrong name or password.")
        return AuthResult(claim.username)


if asked == "profiles":

    @app.on_profiles
    async def profiles(sid: str) -> list[ProfileSummary]:
        return [ProfileSummary("knight", "Knight", "level 5")]

    @app.on_create_profile
    async def create(sid: str, name: str) -> ProfileSummary:
        if name == "Nobody":
            raise Refusal("Nobody is taken.")
        return ProfileSummary(name.lower(), name)

    @app.on_select_profile
    async def select(sid: str, profile: str) -> ProfileSummary:
        return ProfileSummary(profile, profile.title())


if __name__ == "__main__":
    app.run()
