"""The worker: it handles orders, and tells their users."""

import sqlite3
import time
from pathlib import Path

import orders

from holdfast.publish import Client

NEXT = {"new": "packed", "packed": "sent"}


def step(database: sqlite3.Connection, gateway: Client) -> bool:
    """Move one order on. Returns whether there was one."""
    row = database.execute(
        "SELECT id, user, item, state FROM orders WHERE state IN ('new', 'packed') LIMIT 1"
    ).fetchone()
    if row is None:
        return False
    number, user, item, state = row
    told = {"id": number, "item": item, "state": NEXT[state]}
    # The id makes it once: what a restarted worker publishes again is ignored.
    gateway.publish(
        {"package": "Order", "data": told}, user=user, id=f"order-{number}-{NEXT[state]}"
    )
    with database:
        database.execute("UPDATE orders SET state = ? WHERE id = ?", (NEXT[state], number))
    return True


def main() -> None:
    database = orders.connect()
    key = Path("api.key").read_text().strip()
    with Client("http://127.0.0.1:9181", key=key) as gateway:
        while True:
            if not step(database, gateway):
                time.sleep(0.2)


if __name__ == "__main__":
    main()
