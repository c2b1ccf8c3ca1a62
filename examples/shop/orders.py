"""The database of orders, which the site, the worker and `live.py` share."""

import sqlite3


def connect() -> sqlite3.Connection:
    database = sqlite3.connect("orders.db", timeout=10)
    database.execute(
        "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, user, item, state)"
    )
    return database
