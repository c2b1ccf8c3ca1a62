"""A chat of several rooms: an example of an application that keeps its users' sessions.

It stores each line in SQLite and, in the same transaction, the number of the
command that sent it. Kill it at any moment: no user is disconnected, no line
is repeated, and no input meanwhile is lost.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from functools import cache
from math import ceil, inf
from pathlib import Path
from typing import Any

from holdfast.app import App, Session
from holdfast.demo import control
from holdfast.sessions.stores.private import make_private

HELP = "/join ROOM, /who, /tell NAME WORDS (to one person only), /history, /quit"
LOBBY = "lobby"
ROBOT = "robot"
NAME = re.compile(r"\w[\w-]{0,19}")
"""Of a person or a room."""
NAME_SECONDS = 20.0
"""How long a client that is gone counts as here, and its name is kept: its network may be back, or
its page loaded again."""

app = App("chat")

claimed: set[str] = set()
"""Names that are asked for just now."""
away_since: dict[str, float] = {}
"""By `sid`: since when its client is gone, as far as this process knows (`time.monotonic()`)."""


@cache
def database() -> sqlite3.Connection:
    folder = Path(os.environ.get("HOLDFAST_CHAT_DATA", "."))
    make_private(folder / "chat.db")
    opened = sqlite3.connect(folder / "chat.db", isolation_level=None)
    opened.executescript("""
        PRAGMA journal_mode = WAL;
        CREATE TABLE IF NOT EXISTS said (room TEXT, line TEXT);
        CREATE TABLE IF NOT EXISTS applied (sid TEXT PRIMARY KEY, cseq INTEGER);
        CREATE TABLE IF NOT EXISTS robots (sid TEXT PRIMARY KEY, line TEXT);
    """)
    return opened


@app.on_remember
def remembered() -> dict[str, int]:
    return dict(database().execute("SELECT sid, cseq FROM applied"))


@app.on_open
async def greet(session: Session) -> None:
    await session.text("Welcome to the chat.")
    await ask(session)


@app.on_adopt
async def adopted(session: Session) -> None:
    """A session that is older than this process. Its data is stored with it."""
    if is_robot(session):
        await say_again(session)
    elif named(session):
        if not session.attached:  # perhaps since before this process began
            away_since[session.sid] = time.monotonic()
        await ask(session)
    else:
        await greet(session)


@app.on_resume
async def back(session: Session) -> None:
    """The client has missed nothing, but may be another one, without a prompt on its screen."""
    away_since.pop(session.sid, None)
    if named(session):
        await tell_room(room_of(session))
    await ask(session)


@app.on_detach
async def away(session: Session, reason: str) -> None:
    away_since[session.sid] = time.monotonic()
    if named(session):
        await tell_room(room_of(session))


@app.on_resync
async def show(session: Session, reason: str) -> None:
    """The client starts with an empty screen, or has missed output."""
    away_since.pop(session.sid, None)
    if is_robot(session):
        return
    if named(session):
        await history(session)
        await tell_room(room_of(session))
        await ask(session)
    else:
        await greet(session)


@app.on_text
async def heard(session: Session, text: str) -> None:
    line = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", text).strip()  # no escapes to other terminals
    command, _, rest = line.partition(" ")
    if is_robot(session):
        await say_once(session, f"<{ROBOT}> {line}")
        return
    if not named(session):
        await introduce(session, line)
    elif command in COMMANDS:
        await COMMANDS[command](session, rest.strip())
    elif line.startswith("/"):
        await session.text(HELP)
    elif line:
        await say(session, f"<{session.user}> {line}")
    await ask(session)


@app.on_data
async def asked(session: Session, package: str, value: Any) -> None:
    """The demo's page asks for something, or its robot says who it is."""
    if not control.is_proven(value):
        return
    if package == control.ROBOT:
        await session.store({"robot": True, "talks": False})
    elif package == control.DO and value.get("what") in control.ACTS:
        what = value["what"]
        applied(session)  # before this process or the gateway may be killed for it
        for robot in filter(is_robot, app.sessions.values()):
            await robot.data(control.DO, what)
            if what in (control.TALK, control.STOP_TALKING):
                await robot.store({"robot": True, "talks": what == control.TALK})
        for room in {room_of(other) for other in people()}:
            await tell_room(room)


@app.on_move
async def moved(session: Session) -> None:
    away_since.pop(session.sid, None)


@app.on_close
async def closed(session: Session, reason: str) -> None:
    away_since.pop(session.sid, None)
    for table in ("applied", "robots"):
        database().execute(f"DELETE FROM {table} WHERE sid = ?", (session.sid,))
    if named(session):
        await app.broadcast(room_of(session), f"* {session.user} has left", but=session)
        await tell_room(room_of(session), but=session)


async def introduce(session: Session, name: str) -> None:
    key = name.lower()
    if not NAME.fullmatch(name):
        await session.text("A name has up to 20 letters, digits and hyphens.")
    elif key == ROBOT or key in claimed:
        await session.text(f"There is a {name} here already.")
    else:
        claimed.add(key)
        try:
            await claim(session, name)
        finally:
            claimed.discard(key)


async def claim(session: Session, name: str) -> None:
    """Take a name that is free. The gateway is asked for its holder: it knows all sessions, of
    which this process, after a start, has not all yet."""
    group = group_of(name)
    holders = [info.sid for info in await app.members(group)]
    wait = max(map(free_in, holders), default=0.0)
    if wait == inf:
        await session.text(f"There is a {name} here already.")
    elif wait > 0:
        text = f"There was a {name} here until now. The name is free in {ceil(wait)} s."
        await session.text(text)
    else:
        for holder in [app.sessions[sid] for sid in holders]:
            await holder.close("expired")
        await session.identify(name)
        await session.join(group)
        await join(session, LOBBY)
        await session.text(HELP)


def group_of(name: str) -> str:
    """The group of the one session that has a name, however it is written."""
    return f"name {name.lower()}"


async def join(session: Session, room: str) -> None:
    if not NAME.fullmatch(room):
        await session.text("A room has up to 20 letters, digits and hyphens.")
        return
    before = room_of(session) if named(session) else None
    await session.store({"room": room})
    if before is not None:
        await session.leave(before)
        await app.broadcast(before, f"* {session.user} goes to {room}")
        await tell_room(before)
    await session.join(room)
    await session.text(f"You are in {room}.")
    await history(session)
    await session.broadcast(room, f"* {session.user} has come", but_me=True)
    await tell_room(room)


async def say(session: Session, line: str) -> None:
    with database():
        database().execute("BEGIN")
        database().execute("INSERT INTO said VALUES (?, ?)", (room_of(session), line))
        applied(session)
    await app.broadcast(room_of(session), line)


def applied(session: Session) -> None:
    """Note that the command has its effect: it does not run again in another process."""
    database().execute("REPLACE INTO applied VALUES (?, ?)", (session.sid, session.cseq))


async def say_once(session: Session, line: str) -> None:
    """Say a line of the robot, in the lobby. It is stored before it is published: a process that
    is killed between the two is followed by one that publishes it again, under the same id."""
    with database():
        database().execute("BEGIN")
        database().execute("REPLACE INTO robots VALUES (?, ?)", (session.sid, line))
        applied(session)
    await app.publish(line, group=LOBBY, id=f"{session.sid} {session.cseq}")


async def say_again(session: Session) -> None:
    query = "SELECT line, cseq FROM robots NATURAL JOIN applied WHERE sid = ?"
    for line, cseq in database().execute(query, (session.sid,)).fetchall():
        await app.publish(line, group=LOBBY, id=f"{session.sid} {cseq}")


async def tell(session: Session, rest: str) -> None:
    name, _, words = rest.partition(" ")
    if not words or not NAME.fullmatch(name):
        await session.text("/tell NAME WORDS")
        return
    line = f"{session.user} tells you: {words}"
    told = await app.publish(line, group=group_of(name), id=f"{session.sid} {session.cseq}")
    if told.reached:
        away = "" if told.attached else " (cut off at the moment; it will be there)"
        await session.text(f"You tell {name}: {words}{away}")
    else:
        await session.text(f"There is no {name} here.")


async def who(session: Session, rest: str) -> None:
    for other in sorted(people(), key=lambda other: other.user.lower()):
        how = other.protocol if other.attached else "cut off"
        await session.text(f"{other.user:20} {room_of(other):20} {how}")


async def history(session: Session, rest: str = "") -> None:
    query = "SELECT line FROM said WHERE room = ? ORDER BY rowid DESC LIMIT 20"
    rows = database().execute(query, (room_of(session),)).fetchall()
    if rows:
        await session.text("\n".join(["(earlier)", *(line for (line,) in rows[::-1]), "(now)"]))


async def leave(session: Session, rest: str) -> None:
    await session.text("Goodbye.")
    await session.close("client_left")


async def tell_room(room: str, *, but: Session | None = None) -> None:
    """Send the pages of a room the names of all in it."""
    there = [other for other in in_room(room) if other is not but]
    for other in there:
        await show_room(other, there)


async def show_room(session: Session, there: list[Session]) -> None:
    """Send a page the name of its user and of the others in the room, and how these connect."""
    here = sorted((one for one in there if is_here(one)), key=lambda one: one.user)
    value = {
        "room": room_of(session),
        "people": [one.user for one in here],
        "you": session.user,
        "how": {one.user: one.protocol if one.attached else "" for one in here},
        "kept": NAME_SECONDS,
        "talks": any(is_robot(one) and one.stored["talks"] for one in app.sessions.values()),
        "ways": control.ways(),
    }
    await session.data("Chat.Room", value, latest=True)


async def ask(session: Session) -> None:
    if is_robot(session):
        return
    await session.prompt(f"[{room_of(session)}] " if named(session) else "Your name: ")


def is_robot(session: Session) -> bool:
    return session.stored is not None and "robot" in session.stored


def named(session: Session) -> bool:
    return session.stored is not None and not is_robot(session)


def people() -> list[Session]:
    return [session for session in app.sessions.values() if named(session)]


def free_in(sid: str) -> float:
    """In how many seconds a name of this session is free: never while its client is here, nor
    while this process does not know whether it is."""
    session, since = app.sessions.get(sid), away_since.get(sid)
    if session is None or session.attached or since is None:
        return inf
    return max(0.0, since + NAME_SECONDS - time.monotonic())


def is_here(session: Session) -> bool:
    """Whether its client is connected, or may be back in a moment."""
    return session.attached or free_in(session.sid) > 0


def in_room(room: str) -> list[Session]:
    return [session for session in people() if room_of(session) == room]


def room_of(session: Session) -> str:
    return str(session.stored["room"])


COMMANDS = {"/join": join, "/tell": tell, "/who": who, "/history": history, "/quit": leave}

if __name__ == "__main__":
    app.run()
