"""A small world: rooms, things to carry, and a troll. It shows what an application of a game does.

Accounts have a password and several characters (profiles). The world is in SQLite, and each
command changes it in one transaction, together with the command's number: kill this process at
any moment, and every command is done once.

    holdfast run examples/mud/mud.py
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.app import App, Authenticate, ProfileSummary, Refusal, Session, Span


class Room(NamedTuple):
    """A place, and where one gets to from it."""

    name: str
    text: str
    exits: dict[str, str]


ROOMS = {
    "square": Room(
        "The square",
        "A fountain without water. The houses around it have closed their shutters.",
        {"north": "bridge", "east": "smithy"},
    ),
    "smithy": Room("The smithy", "The fire is out, the anvil still warm.", {"west": "square"}),
    "bridge": Room(
        "The bridge",
        "Old stones over a river that cannot be seen.",
        {"south": "square", "north": "tower"},
    ),
    "tower": Room("The tower", "From here one sees everything, and the sea.", {"south": "bridge"}),
}
START = "square"
SHORT = {"n": "north", "s": "south", "e": "east", "w": "west", "l": "look", "i": "inventory"}
HEALTH = 20
TROLL, TROLL_HEALTH, TROLL_AWAY_SECONDS = "bridge", 12, 60.0
BLOW, SWORD_BLOW, TROLL_BLOW = 2, 6, 4
HELP = "look, north (east, south, west), get, drop, inventory, kill troll, say, who, rest, quit"

app = App("mud")


# --- the world, in SQLite


@cache
def database() -> sqlite3.Connection:
    folder = Path(os.environ.get("HOLDFAST_MUD_DATA", "."))
    path = folder / "mud.db"
    path.touch(mode=0o600)
    path.chmod(0o600)  # it holds accounts
    opened = sqlite3.connect(path, isolation_level=None)
    opened.executescript("""
        PRAGMA journal_mode = WAL;
        CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, salt BLOB, hash BLOB);
        CREATE TABLE IF NOT EXISTS character (
            id INTEGER PRIMARY KEY, account TEXT, name TEXT UNIQUE COLLATE NOCASE,
            room TEXT, health INTEGER
        );
        CREATE TABLE IF NOT EXISTS thing (name TEXT PRIMARY KEY, place TEXT);
        INSERT OR IGNORE INTO thing VALUES
            ('sword', 'smithy'), ('horseshoe', 'smithy'), ('crown', 'tower');
        CREATE TABLE IF NOT EXISTS troll (health INTEGER, died REAL);
        INSERT INTO troll SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM troll);
        CREATE TABLE IF NOT EXISTS login (sid TEXT PRIMARY KEY, account TEXT);
        CREATE TABLE IF NOT EXISTS applied (sid TEXT PRIMARY KEY, cseq INTEGER);
    """)
    return opened


def one(query: str, *values: object) -> Any:
    """The first row, or `None`."""
    return database().execute(query, values).fetchone()


def change(query: str, *values: object) -> None:
    database().execute(query, values)


def things_at(place: str) -> list[str]:
    rows = database().execute("SELECT name FROM thing WHERE place = ? ORDER BY name", (place,))
    return [name for (name,) in rows]


class Character(NamedTuple):
    """Who a session plays."""

    id: int
    name: str
    room: str
    health: int

    @property
    def bag(self) -> str:
        """The place of what is carried."""
        return f"character {self.id}"


def character_of(session: Session) -> Character:
    query = "SELECT id, name, room, health FROM character WHERE id = ?"
    return Character(*one(query, int(session.profile)))


def troll_health() -> int:
    """0 while it is away; it comes back after a while."""
    health, died = one("SELECT health, died FROM troll")
    if health == 0 and time.time() - died > TROLL_AWAY_SECONDS:
        change("UPDATE troll SET health = ?", TROLL_HEALTH)
        return TROLL_HEALTH
    return int(health)


# --- who one is


def hashed(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


@app.on_authenticate
def authenticate(claim: Authenticate) -> str:
    """A name that nobody has is a new account's."""
    if not re.fullmatch(r"[A-Za-z]{2,20}", claim.username):
        raise Refusal("A name has 2 to 20 letters.")
    name = claim.username.lower()
    found = one("SELECT salt, hash FROM account WHERE name = ?", name)
    if found is None:
        if len(claim.password) < 6:
            raise Refusal("You are new here: choose a password of at least 6 characters.")
        salt = secrets.token_bytes(16)
        change("INSERT INTO account VALUES (?, ?, ?)", name, salt, hashed(claim.password, salt))
    elif not hmac.compare_digest(found[1], hashed(claim.password, found[0])):
        raise Refusal("That is not the password.")
    change("REPLACE INTO login VALUES (?, ?)", claim.sid, name)
    return name


def account_of(sid: str) -> str:
    return str(one("SELECT account FROM login WHERE sid = ?", sid)[0])


@app.on_profiles
def characters(sid: str) -> list[ProfileSummary]:
    query = "SELECT id, name, room FROM character WHERE account = ? ORDER BY id"
    rows = database().execute(query, (account_of(sid),)).fetchall()
    return [ProfileSummary(str(id), name, f"in {ROOMS[room].name}") for id, name, room in rows]


@app.on_create_profile
def create(sid: str, name: str) -> ProfileSummary:
    if not re.fullmatch(r"[A-Za-z]{2,20}", name):
        raise Refusal("A name has 2 to 20 letters.")
    if one("SELECT 1 FROM character WHERE name = ?", name):
        raise Refusal(f"There is a {name.title()} already.")
    query = "INSERT INTO character (account, name, room, health) VALUES (?, ?, ?, ?)"
    made = database().execute(query, (account_of(sid), name.title(), START, HEALTH))
    return ProfileSummary(str(made.lastrowid), name.title())


@app.on_select_profile
def select(sid: str, id: str) -> ProfileSummary:
    query = "SELECT name FROM character WHERE id = ? AND account = ?"
    found = one(query, id, account_of(sid))
    if found is None:
        raise Refusal("That is not one of your characters.")
    return ProfileSummary(id, found[0])


# --- the life of a session


@app.on_remember
def remembered() -> dict[str, int]:
    return dict(database().execute("SELECT sid, cseq FROM applied").fetchall())


@app.on_open
async def opened(session: Session) -> None:
    me = character_of(session)
    await session.text(f"Welcome to the small world, {me.name}. (help: what you can do)")
    await session.join(me.room)
    await session.broadcast(me.room, f"{me.name} appears.", but_me=True)
    await look(session)
    await ask(session)


@app.on_adopt
async def adopted(session: Session) -> None:
    """A session from before this process: its client has missed nothing."""
    await ask(session)


@app.on_resume
async def resumed(session: Session) -> None:
    """It may be another client, which shows no gauges yet."""
    await tell_room(session)
    await ask(session)


@app.on_resync
async def resynced(session: Session, reason: str) -> None:
    """The client begins with an empty screen."""
    await look(session)
    await ask(session)


@app.on_text
async def heard(session: Session, line: str) -> None:
    word, _, rest = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", line).strip().partition(" ")
    word = SHORT.get(word.lower(), word.lower())
    if word in ("north", "south", "east", "west"):
        await go(session, word)
    elif word in COMMANDS:
        await COMMANDS[word](session, rest.strip())
    elif word:
        await session.text(f"You cannot {word}. You can: {HELP}.")
    await ask(session)


@app.on_close
async def closed(session: Session, reason: str) -> None:
    change("DELETE FROM applied WHERE sid = ?", session.sid)
    change("DELETE FROM login WHERE sid = ?", session.sid)
    if session.profile:
        me = character_of(session)
        await app.broadcast(me.room, f"{me.name} vanishes.", but=session)


async def ask(session: Session) -> None:
    """The prompt, and the gauges beside it."""
    health = character_of(session).health
    await session.data("Char.Vitals", {"hp": health, "maxhp": HEALTH}, latest=True)
    await session.prompt(f"{health}hp> ")


class once:
    """One transaction: what a command changes, and that it is done."""

    def __init__(self, session: Session) -> None:
        self._done = (session.sid, session.cseq)

    def __enter__(self) -> None:
        change("BEGIN IMMEDIATE")
        change("REPLACE INTO applied VALUES (?, ?)", *self._done)

    def __exit__(self, kind: object, *_: object) -> None:
        change("COMMIT" if kind is None else "ROLLBACK")


# --- what people do


async def look(session: Session, rest: str = "") -> None:
    me = character_of(session)
    room = ROOMS[me.room]
    await session.formatted(room.name, [Span(0, len(room.name), "bold yellow")])
    await session.text(room.text)
    for thing in things_at(me.room):
        await session.formatted(f"A {thing} lies here.", [Span(2, len(thing), "cyan")])
    if me.room == TROLL and troll_health():
        await session.formatted("A troll blocks the way north.", [Span(2, 5, "bold #ff5f00")])
    for other in sorted(here(me.room, session), key=lambda one: one.name):
        await session.text(f"{other.name} is here.")
    await tell_exits(session, room)
    await tell_room(session)


async def tell_exits(session: Session, room: Room) -> None:
    """Who chooses one goes there: on the page, and at clients with MXP."""
    text, spans = "Exits: ", [Span(0, 7, "green")]
    for number, way in enumerate(room.exits):
        text += ", " if number else ""
        spans.append(Span(len(text), len(way), "green send"))
        text += way
    await session.formatted(f"{text}.", spans)


async def tell_room(session: Session) -> None:
    room_id = character_of(session).room
    room = ROOMS[room_id]
    value = {"num": list(ROOMS).index(room_id), "name": room.name, "exits": room.exits}
    await session.data("Room.Info", value, latest=True)


def here(room: str, but: Session) -> list[Character]:
    """Who else is in a room."""
    others = [one for one in app.sessions.values() if one is not but and one.profile]
    return [one for one in map(character_of, others) if one.room == room]


async def go(session: Session, way: str) -> None:
    me = character_of(session)
    to = ROOMS[me.room].exits.get(way)
    if to is None:
        await session.text(f"There is no way {way}.")
    elif me.room == TROLL and way == "north" and troll_health():
        await session.text("The troll does not let you pass.")
    else:
        await move(session, me, to, f"{me.name} goes {way}.")


async def move(session: Session, me: Character, to: str, told: str) -> None:
    with once(session):
        change("UPDATE character SET room = ? WHERE id = ?", to, me.id)
    await session.leave(me.room)
    await app.broadcast(me.room, told)
    await session.broadcast(to, f"{me.name} comes in.", but_me=True)
    await session.join(to)
    await look(session)


async def get(session: Session, thing: str) -> None:
    me = character_of(session)
    with once(session):
        query = "UPDATE thing SET place = ? WHERE name = ? AND place = ?"
        taken = database().execute(query, (me.bag, thing.lower(), me.room)).rowcount
    await session.text(f"You take the {thing.lower()}." if taken else "You see no such thing.")
    if taken:
        await session.broadcast(me.room, f"{me.name} takes a {thing.lower()}.", but_me=True)


async def drop(session: Session, thing: str) -> None:
    me = character_of(session)
    with once(session):
        query = "UPDATE thing SET place = ? WHERE name = ? AND place = ?"
        left = database().execute(query, (me.room, thing.lower(), me.bag)).rowcount
    await session.text(f"You drop the {thing.lower()}." if left else "You have no such thing.")
    if left:
        await session.broadcast(me.room, f"{me.name} drops a {thing.lower()}.", but_me=True)


async def inventory(session: Session, rest: str) -> None:
    carried = things_at(character_of(session).bag)
    await session.text(f"You have: {', '.join(carried) or 'nothing'}.")


async def kill(session: Session, whom: str) -> None:
    me = character_of(session)
    if whom.lower() != "troll" or me.room != TROLL or not troll_health():
        await session.text("There is nobody like that.")
        return
    blow = SWORD_BLOW if "sword" in things_at(me.bag) else BLOW
    troll = max(0, troll_health() - blow)
    health = me.health if troll == 0 else max(0, me.health - TROLL_BLOW)
    with once(session):
        change("UPDATE troll SET health = ?, died = ?", troll, time.time())
        change("UPDATE character SET health = ? WHERE id = ?", health or HEALTH, me.id)
    await session.text(f"You hit the troll for {blow}.")
    if troll == 0:
        await app.broadcast(TROLL, "The troll falls into the river.")
        return
    hit = f"The troll hits you for {TROLL_BLOW}!"
    await session.formatted(hit, [Span(0, len(hit), "red")])
    if health == 0:
        await session.text("You fall, and wake up on the square.")
        await move(session, me, START, f"{me.name} falls into the river.")


async def rest(session: Session, rest: str) -> None:
    with once(session):
        change("UPDATE character SET health = ? WHERE id = ?", HEALTH, int(session.profile))
    await session.text("You rest, and feel well.")


async def say(session: Session, words: str) -> None:
    me = character_of(session)
    with once(session):
        pass
    await session.text(f"You say: {words}")
    await session.broadcast(me.room, f"{me.name} says: {words}", but_me=True)


async def who(session: Session, rest: str) -> None:
    players = [one for one in app.sessions.values() if one.profile]
    for other in sorted(players, key=lambda one: character_of(one).name):
        away = "" if other.attached else " (cut off)"
        await session.text(f"{character_of(other).name}{away}")


async def help_(session: Session, rest: str) -> None:
    await session.text(f"You can: {HELP}.")


async def quit_(session: Session, rest: str) -> None:
    await session.text("Until next time.")
    await session.close("client_left")


COMMANDS: dict[str, Callable[[Session, str], Awaitable[None]]] = {
    "look": look, "get": get, "take": get, "drop": drop, "inventory": inventory, "kill": kill,
    "rest": rest, "say": say, "who": who, "help": help_, "quit": quit_,
}  # fmt: skip

if __name__ == "__main__":
    app.run()
