"""A store that cannot be opened, and one that fails while clients are there."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.gateway.clients import person, plain, v1
from tests.gateway.running import SECONDS, configured, eventually, linked, serving, staged
from websockets.exceptions import InvalidStatus

from holdfast.core.limits import Limits
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.sessions.manager import UNANSWERED
from holdfast.sessions.stores.base import (
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreReadOnlyError,
    StoreVersionError,
)
from holdfast.sessions.stores.sqlite import SCHEMA_VERSION, SQLiteStore

IMPATIENT = Limits().but(store={"busy_seconds_max": 0.05, "retry_seconds_max": 0.05})
CANNOT = "sessions cannot be kept now; try later"

# --- at the start


async def filled(config: Config) -> None:
    """Let a gateway make the store, with a session in it."""
    async with serving(config) as gateway, linked(gateway), v1(gateway) as client:
        await client.expect("welcome")


async def refused(config: Config) -> StoreError:
    """How a gateway refuses to start."""
    with pytest.raises(StoreError) as caught:
        async with asyncio.timeout(SECONDS):
            await Gateway(config).run()
    return caught.value


async def test_a_store_that_another_process_holds(tmp_path: Path) -> None:
    config = configured(tmp_path, limits=IMPATIENT)
    async with serving(config):
        error = await refused(config)
    assert type(error) is StoreBusyError
    assert error.retryable
    assert str(error) == f"{config.store.path}: another process holds it"
    await filled(config)  # and then it does not


def text(path: Path) -> None:
    path.write_text("this is my diary\n" * 100)


def another_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE diary (line TEXT)")
    db.close()


def newer(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


UNREADABLE: dict[str, tuple[bool, Callable[[Path], None], type[StoreError], str]] = {
    # whether a gateway made it first
    "text": (False, text, StoreBrokenError, "not a database"),
    "another-database": (
        False,
        another_database,
        StoreBrokenError,
        "a database, but not one of Holdfast",
    ),
    "newer": (
        True,
        newer,
        StoreVersionError,
        f"written by a newer Holdfast (schema 99; this one reads up to {SCHEMA_VERSION})",
    ),
    "a-folder": (False, a_folder, StoreError, "cannot be opened: [Errno 21] Is a directory"),
    "damaged": (True, damaged, StoreBrokenError, "damaged: "),
}


@pytest.mark.parametrize(("made", "spoil", "kind", "words"), UNREADABLE.values(), ids=UNREADABLE)
async def test_a_store_that_cannot_be_read_is_refused_and_left_alone(
    tmp_path: Path,
    made: bool,
    spoil: Callable[[Path], None],
    kind: type[StoreError],
    words: str,
) -> None:
    config = configured(tmp_path, limits=IMPATIENT)
    path = Path(config.store.path)
    if made:
        await filled(config)
    spoil(path)
    before = content(path)
    error = await refused(config)
    assert type(error) is kind
    assert str(error).startswith(f"{path}: {words}")
    assert content(path) == before
    assert (await refused(config)).args == error.args  # the second time it is no better


def add(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as db:
        db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO session VALUES ('s1', '', 'active', 0, x'c1')",
        "INSERT INTO snapshot (sid, body) VALUES ('s1', x'90')",
        "REPLACE INTO setting VALUES ('policy:*', x'c1')",
    ],
    ids=["row", "snapshot", "policy"],
)
async def test_one_part_that_cannot_be_read_keeps_nobody_out(
    tmp_path: Path, statement: str
) -> None:
    config = configured(tmp_path, limits=IMPATIENT)
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        welcome = await client.expect("welcome")
        await stage.noted("open")
        client.drop()
    add(Path(config.store.path), statement)
    hello = {"token": welcome["token"], "epoch": welcome["epoch"]}
    with capture_logs() as logs:
        async with staged(config) as (gateway, stage), v1(gateway, **hello) as client:
            await client.expect("resumed")
    told = [entry for entry in logs if entry["log_level"] == "error"]
    policy = "policy" in statement
    event = "malformed policy of an application" if policy else "part of the store set aside"
    assert [entry["event"] for entry in told] == [event]
    async with serving(config) as gateway:  # it is told once, and kept
        kept = await execute(gateway, "SELECT sid FROM set_aside")
    assert kept == ([] if policy else [("s1",)])


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, for which files are never read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        (path / "sessions.db").touch(0o444)
        yield path


async def test_a_store_that_may_not_be_written(open_folder: Path) -> None:
    config = configured(open_folder)
    with as_nobody():
        error = await refused(config)
    assert type(error) is StoreReadOnlyError
    assert str(error) == (
        f"{config.store.path}: may not be written: [Errno 13] Permission denied:"
        f" '{config.store.path}'"
    )


async def test_a_folder_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    config = configured(tmp_path / "a" / "b")
    await filled(config)
    mode = os.stat(config.store.path).st_mode & 0o777
    assert mode == 0o600  # nobody else may read what people typed


# --- while clients are there


async def fails(gateway: Gateway, *, now: bool) -> None:
    """Let the store refuse to be written to, or let it be."""
    await execute(gateway, f"PRAGMA query_only = {int(now)}")


async def execute(gateway: Gateway, statement: str) -> list[Any]:
    """Run a statement in the store; returns the rows."""
    store = gateway._store
    assert isinstance(store, SQLiteStore)

    def run() -> list[Any]:
        assert store._file._db is not None
        return store._file._db.execute(statement).fetchall()

    return await store._thread.run(run)


async def test_new_sessions_are_refused_aloud(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, limits=IMPATIENT)) as (gateway, stage):
        await fails(gateway, now=True)
        for _ in range(2):  # the one that finds it out, and the one that knows
            async with v1(gateway) as client:
                assert await client.closed() == (1011, CANNOT)
                assert client.got[-1]["retry_ms"] > 0
        async with person(gateway, "tcp") as someone:
            assert await someone.rest() == f"*** {CANNOT.capitalize()}.\n"
        with pytest.raises(InvalidStatus) as caught:
            async with plain(gateway):
                pass
        response = caught.value.response
        assert response.status_code == 503
        assert response.body == f"{CANNOT}\n".encode()
        assert int(response.headers["Retry-After"]) >= 1
        assert stage.notes == []
        assert not gateway.manager.sessions
        await fails(gateway, now=False)
        await eventually(lambda: gateway.journal.broken is None)
        async with v1(gateway) as client:
            await client.expect("welcome")


async def test_a_full_disk(tmp_path: Path) -> None:
    config = configured(tmp_path, limits=IMPATIENT)
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        welcome = await client.expect("welcome")
        await stage.noted("open")
        await execute(gateway, "PRAGMA max_page_count = 1")  # that is: no more than there are
        for number in range(60):
            await stage.session.text(f"{number} {'x' * 1000}")
        await eventually(lambda: gateway.journal.broken is not None)
        assert str(gateway.journal.broken) == f"{config.store.path}: the disk is full"
        await execute(gateway, "PRAGMA max_page_count = 1000000")
        await stage.accepted()
        client.drop()
    async with staged(config) as (gateway, stage):
        hello = {"token": welcome["token"], "epoch": welcome["epoch"]}
        async with v1(gateway, **hello) as client:
            assert (await client.expect("resumed"))["to"] == 60


async def test_who_is_there_is_not_sent_away_for_who_cannot_be_let_in(tmp_path: Path) -> None:
    config = configured(tmp_path, limits=IMPATIENT)
    async with staged(config) as (gateway, stage), person(gateway, "tcp") as someone:
        code = await someone.shown_code()
        await stage.noted("open")
        await fails(gateway, now=True)
        async with v1(gateway) as client:
            await client.closed()  # and with it, it is found out
        async with v1(gateway, code=code) as client:
            assert await client.closed() == (1011, CANNOT)
        someone.types("look")
        await stage.heard("look")
        await fails(gateway, now=False)


@pytest.mark.parametrize("durability", ["fast", "durable"])
async def test_what_is_not_kept_is_not_acknowledged(tmp_path: Path, durability: str) -> None:
    config = configured(tmp_path, durability=durability, limits=IMPATIENT)  # type: ignore[arg-type]
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        await client.expect("welcome")
        await stage.noted("open")
        await fails(gateway, now=True)
        await client.say("cmd", c=1, d="look")
        await stage.heard("look")  # forwarding need not wait
        await stage.session.text("A room.")
        session = next(iter(gateway.manager.sessions.values()))
        await eventually(lambda: gateway.journal.broken is not None and session.out.top == 1)
        await client.say("ping")
        await client.expect("pong")
        came = [message["t"] for message in client.got]
        assert "ack" not in came
        # What is durable is written when it is stored, and not before.
        assert ("text" in came) is (durability == "fast")
        assert not stage.app.outgoing.idle  # the application keeps it, to say it again
        await fails(gateway, now=False)
        if durability == "durable":
            assert (await client.expect("text"))["d"] == "A room."
        assert (await client.expect("ack"))["c"] == 1
        await stage.accepted()


async def test_a_session_is_not_lost_to_who_comes_back_at_the_wrong_time(tmp_path: Path) -> None:
    async with staged(configured(tmp_path, limits=IMPATIENT)) as (gateway, stage):
        async with person(gateway, "tcp") as someone, v1(gateway) as client:
            code = await someone.shown_code()
            welcome = await client.expect("welcome")
        await stage.until(lambda: sum(note[0] == "detach" for note in stage.notes) == 2)
        await fails(gateway, now=True)
        hello = {"token": welcome["token"], "epoch": welcome["epoch"]}
        for _ in range(2):  # when it is found out, and when it is known
            async with person(gateway, "tcp") as someone:
                someone.types(f"resume {code}")
                assert await someone.rest() == f"*** {CANNOT.capitalize()}.\n"
            async with v1(gateway, **hello) as client:
                assert await client.closed() == (1011, CANNOT)
        await fails(gateway, now=False)
        await eventually(lambda: gateway.journal.broken is None)
        async with person(gateway, "tcp") as someone:
            someone.types(f"resume {code}")
            await someone.sees("Welcome back.")
        async with v1(gateway, **hello) as client:
            await client.expect("resumed")


async def test_going_on_in_memory_where_the_configuration_says_so(tmp_path: Path) -> None:
    config = configured(tmp_path, limits=IMPATIENT, on_failure="memory")
    async with staged(config) as (gateway, stage):
        await fails(gateway, now=True)
        for number in range(2):
            async with v1(gateway) as client:
                welcome = await client.expect("welcome")
                await stage.noted("open")
                await client.say("cmd", c=1, d=f"look {number}")
                await stage.noted("text", f"look {number}")
            async with v1(gateway, token=welcome["token"], epoch=welcome["epoch"]) as client:
                await client.expect("resumed")
        await fails(gateway, now=False)


async def test_the_stop_is_unclean_when_not_everything_could_be_kept(tmp_path: Path) -> None:
    config = configured(tmp_path, limits=IMPATIENT)
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        welcome = await client.expect("welcome")
        await stage.noted("open")
        await stage.count(1, 3)
        await client.texts("3")
        await stage.accepted()
        await fails(gateway, now=True)
        await stage.count(4, 5)
        await client.texts("5")  # `fast`: written before it is stored, and then lost
        gateway.stop()
        await client.closed()
    hello = {"token": welcome["token"], "epoch": welcome["epoch"]}
    async with staged(config) as (gateway, stage):
        async with v1(gateway, last=5, **hello) as client:
            reset = await client.expect("reset")
            assert (reset["reason"], reset["top"]) == ("epoch", 3)
            assert reset["epoch"] != welcome["epoch"]
            hello = {"token": reset["token"], "epoch": welcome["epoch"]}
        # Who had seen no more than was stored has lost nothing.
        async with v1(gateway, last=2, **hello) as client:
            assert (await client.expect("resumed"))["from"] == 3


async def test_a_store_that_is_renamed_is_noticed_though_nothing_is_said(tmp_path: Path) -> None:
    limits = IMPATIENT.but(store={"check_seconds_max": 0.05})
    config = configured(tmp_path, limits=limits)
    path = Path(config.store.path)
    away = path.with_name("elsewhere.db")
    async with staged(config) as (gateway, _):
        with capture_logs() as logs:
            os.rename(path, away)
            await eventually(lambda: gateway.journal.broken is not None)
            async with v1(gateway) as client:
                assert await client.closed() == (1011, CANNOT)
            os.rename(away, path)
            await eventually(lambda: gateway.journal.broken is None)
        assert [entry["event"] for entry in logs if entry["log_level"] != "info"] == [
            "store not writable",
            "store writable again",
        ]
        assert logs[0]["error"].startswith(f"{path}: the file is not there any more")
        async with v1(gateway) as client:
            await client.expect("welcome")


@pytest.mark.parametrize("durability", ["fast", "durable"])
async def test_who_was_there_before_goes_on_in_memory_too(tmp_path: Path, durability: str) -> None:
    limits = IMPATIENT.but(link={"window_bytes_max": 20_000})
    config = configured(
        tmp_path,
        durability=durability,  # type: ignore[arg-type]
        limits=limits,
        on_failure="memory",
    )
    async with staged(config) as (gateway, stage), v1(gateway) as client:
        await client.expect("welcome")
        await stage.noted("open")
        await fails(gateway, now=True)
        await client.say("cmd", c=1, d="look")
        assert (await client.expect("ack"))["c"] == 1
        for number in range(100):  # five times what the link holds
            await stage.session.text(f"{number} {'x' * 1000}")
        await client.texts(f"99 {'x' * 1000}")
        await stage.accepted()
        await fails(gateway, now=False)
        await eventually(lambda: gateway.journal.broken is None)


async def test_who_waits_for_a_durable_answer_is_told_why(tmp_path: Path) -> None:
    config = configured(tmp_path, durability="durable", limits=IMPATIENT)
    async with staged(config) as (gateway, stage), person(gateway, "tcp") as someone:
        await someone.shown_code()
        await stage.noted("open")
        await fails(gateway, now=True)
        someone.types("look")
        await stage.heard("look")
        await stage.session.text("A room.")
        await someone.sees(f"*** {UNANSWERED.text}\n")
        await eventually(lambda: gateway.journal.failures > 2)
        await fails(gateway, now=False)
        assert await someone.sees("A room.\n") == "A room.\n"


async def test_a_sweep_that_fails_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = asyncio.Event()

    def expire(now: float) -> None:
        swept.set()
        raise RuntimeError("a defect")

    monkeypatch.setattr("holdfast.gateway.gateway._SWEEP_SECONDS", 0.01)
    async with staged(configured(tmp_path)) as (gateway, _):
        monkeypatch.setattr(gateway.manager, "expire", expire)
        for _ in range(2):
            async with asyncio.timeout(SECONDS):
                await swept.wait()
            swept.clear()
        async with v1(gateway) as client:
            await client.expect("welcome")
