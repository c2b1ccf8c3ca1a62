"""A PostgreSQL server in memory: it knows the statements of the store, and no others.

`holdfast.sessions.stores.postgres` runs on it as it is, above its SQL. Transactions see what is
committed ("read committed") and what they have changed themselves; a changed or locked row is
theirs until they end, and others wait for it. `tests/sessions/stores` checks that the store does on
it what it does on a real server.
"""
