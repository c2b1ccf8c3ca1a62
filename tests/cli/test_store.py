"""`holdfast store`."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.postgresql import Cluster
from typer.testing import CliRunner

from holdfast.cli.main import app
from holdfast.core.limits import StoreLimits
from holdfast.sessions.records import Batch, Row
from holdfast.sessions.stores.postgres import schema
from holdfast.sessions.stores.sqlite import SCHEMA_VERSION, SQLiteStore


def store(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["store", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def url(postgresql: Cluster) -> Iterator[str]:
    """An empty database."""
    name = asyncio.run(postgresql.empty_database())
    yield postgresql.url(name)
    asyncio.run(postgresql.give_back(name))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with a session."""
    path = tmp_path / "sessions.db"

    async def fill() -> None:
        made = SQLiteStore(path, StoreLimits())
        await made.open()
        await made.commit(Batch(1, rows=[Row("s1", "e", "fast", 1.0)]))
        await made.close(clean=True)

    asyncio.run(fill())
    return path


def test_a_file_is_copied_into_a_database_and_back(file: Path, url: str, tmp_path: Path) -> None:
    name = f"postgresql:///{url.partition('?')[0].rpartition('/')[2]}"
    second = tmp_path / "second.db"
    assert store("migrate", url) == (0, f"{name}: schema 0 is now {schema.SCHEMA_VERSION}\n", "")
    assert store("copy", file, url) == (0, f"1 sessions copied from {file} to {name}\n", "")
    assert store("check", url) == (0, f"{name}: 1 sessions can be read\n", "")
    assert store("copy", url, second) == (0, f"1 sessions copied from {name} to {second}\n", "")
    assert store("check", second) == (0, f"{second}: 1 sessions can be read\n", "")
    assert store("migrate", second)[1] == f"{second}: schema {SCHEMA_VERSION}, as before\n"


def test_the_store_of_a_configuration_is_meant(file: Path, tmp_path: Path) -> None:
    config = tmp_path / "holdfast.toml"
    config.write_text(
        f'[store]\npath = "{file}"\n[[listener]]\nurl = "tcp://127.0.0.1:1"\nbackend = "echo"\n'
    )
    assert store("check", config) == (0, f"{file}: 1 sessions can be read\n", "")


def test_an_older_store_is_migrated_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 0")
        db.execute("PRAGMA journal_mode = WAL")
    path.chmod(0o600)
    code, _, error = store("check", path)
    assert code == 1
    assert f"expected schema {SCHEMA_VERSION}, found none: use `holdfast store migrate`" in error
    assert store("migrate", path)[1] == f"{path}: schema 0 is now {SCHEMA_VERSION}\n"
    assert store("check", path)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "nowhere.db"], 1, "nowhere.db: expected a file with sessions, found none"),
        (["check", "a.db", "b.db"], 2, "check: expected 1 store, found 2"),
        (["copy", "a.db"], 2, "copy: expected 2 stores, found 1"),
        (["check", "mysql://db/x"], 2, "store.url: expected postgresql://user@host:port/database"),
        (
            ["check", "postgresql://u:se/cr@db/x"],
            2,
            "as %2F %3F %23 %40; found 'postgresql://db/x'",
        ),
        (["check", "postgresql://u:SE\u2100CR@db/x"], 2, "found 'postgresql://db/x'"),
        (["check", "mysql://u:SE#CR@db/x"], 2, "found 'mysql://db/x'"),
        (["check", "nowhere.toml"], 2, "nowhere.toml: expected a TOML file, found none"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found, _, error = store(*arguments)
    assert (found, error.count("\n")) == (code, 1)
    assert words in error
    assert "SE" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_cannot_be_read_is_a_failure(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE session SET body = 'x'")
    code, out, error = store("check", file)
    assert (code, out) == (1, f"{file}: 0 sessions can be read\n")
    assert error == "holdfast: parts that cannot be read: 1\n"
