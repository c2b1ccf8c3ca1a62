"""Sessions in a PostgreSQL database. Only here is asyncpg imported (the extra `postgresql`)."""
