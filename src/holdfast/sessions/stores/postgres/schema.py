"""The tables in PostgreSQL, and the function that writes one group commit.

A *run* of a gateway is a row of `node`; its number `inc` names what is its own: the sessions that
it owns and its journal. A run that is `fenced` writes nothing any more. Another run adopts it:
it takes the sessions, and folds the journal into snapshots.
"""

from __future__ import annotations

from typing import Final

PRODUCT: Final = "holdfast"
"""Stored in the table `version`: whose database it is."""
LOCK: Final = 0x484F4C44
"""The advisory lock of a migration."""
PLACE_BITS: Final = 40
"""An entry of a journal has a place among those of all runs: `inc` in front of these bits."""

MIGRATIONS: Final = (
    # 1: the first schema.
    """
    CREATE TABLE holdfast.node (
        inc bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL,
        host text NOT NULL,
        process text NOT NULL,
        beat bigint NOT NULL DEFAULT 0,
        fenced boolean NOT NULL DEFAULT false,
        clean boolean NOT NULL DEFAULT false,
        adopter bigint,
        began timestamptz NOT NULL DEFAULT now());
    CREATE TABLE holdfast.session (
        sid text COLLATE "C" PRIMARY KEY,
        owner bigint,
        gen bigint NOT NULL,
        app text NOT NULL,
        username text NOT NULL,
        state text NOT NULL,
        detached double precision NOT NULL,
        code bytea NOT NULL,
        code_before bytea NOT NULL,
        body bytea NOT NULL);
    CREATE INDEX session_owner ON holdfast.session (owner);
    CREATE TABLE holdfast.snapshot (
        sid text COLLATE "C" PRIMARY KEY,
        body bytea NOT NULL,
        common bigint NOT NULL);
    CREATE INDEX snapshot_common ON holdfast.snapshot (common) WHERE common > 0;
    CREATE TABLE holdfast.common (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        body bytea NOT NULL);
    CREATE TABLE holdfast.journal (
        inc bigint NOT NULL,
        number bigint NOT NULL,
        body bytea NOT NULL,
        shared bytea NOT NULL,
        PRIMARY KEY (inc, number));
    CREATE TABLE holdfast.heard (
        inc bigint NOT NULL,
        instance text COLLATE "C" NOT NULL,
        number bigint NOT NULL,
        PRIMARY KEY (inc, instance));
    CREATE TABLE holdfast.setting (key text COLLATE "C" PRIMARY KEY, value bytea NOT NULL);
    CREATE TABLE holdfast.set_aside (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        sid text NOT NULL,
        fault text NOT NULL,
        found timestamptz NOT NULL DEFAULT now(),
        body bytea NOT NULL);

    -- One group commit. Returns 1; 0 if it was written before, or a later one was; -1 if the run
    -- is fenced. The lock makes the commits of a run follow each other, also one that is still
    -- under way after its connection broke; and nobody fences the run meanwhile.
    CREATE FUNCTION holdfast.commit_1(
        p_inc bigint, p_number bigint, p_sync boolean, p_entry bytea, p_shared bytea,
        p_journal_from bigint, p_instances text[], p_heard bigint[],
        p_sids text[], p_apps text[], p_users text[], p_states text[],
        p_detached double precision[], p_codes bytea[], p_codes_before bytea[], p_rows bytea[],
        p_snapshot_sids text[], p_snapshots bytea[], p_snapshots_shared bytea,
        p_deleted text[], p_forgotten text[], p_keys text[], p_values bytea[],
        p_aside_sids text[], p_aside_faults text[], p_aside_bodies bytea[],
        p_aside_places bigint[]
    ) RETURNS integer LANGUAGE plpgsql AS $function$
    #variable_conflict use_column
    DECLARE
        v_common bigint := 0;
    BEGIN
        IF NOT p_sync THEN
            PERFORM set_config('synchronous_commit', 'off', true);
        ELSIF current_setting('synchronous_commit') = 'off' THEN
            PERFORM set_config('synchronous_commit', 'on', true);
        END IF;
        PERFORM 1 FROM holdfast.node WHERE inc = p_inc AND NOT fenced FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RETURN -1;
        END IF;
        IF p_number IS NOT NULL THEN
            PERFORM 1 FROM holdfast.journal WHERE inc = p_inc AND number >= p_number LIMIT 1;
            IF FOUND THEN
                RETURN 0;
            END IF;
            INSERT INTO holdfast.journal VALUES (p_inc, p_number, p_entry, p_shared);
        END IF;
        IF p_instances IS NOT NULL THEN
            INSERT INTO holdfast.heard (inc, instance, number)
            SELECT p_inc, * FROM unnest(p_instances, p_heard)
            ON CONFLICT (inc, instance) DO UPDATE SET number = excluded.number;
        END IF;
        IF p_sids IS NOT NULL THEN
            INSERT INTO holdfast.session AS s (sid, owner, gen, app, username, state, detached,
                code, code_before, body)
            SELECT n.sid, p_inc, 1, n.app, n.username, n.state, n.detached, n.code, n.code_before,
                n.body
            FROM unnest(p_sids, p_apps, p_users, p_states, p_detached, p_codes, p_codes_before,
                p_rows) AS n (sid, app, username, state, detached, code, code_before, body)
            ON CONFLICT (sid) DO UPDATE SET app = excluded.app, username = excluded.username,
                state = excluded.state, detached = excluded.detached, code = excluded.code,
                code_before = excluded.code_before, body = excluded.body
            WHERE s.owner = p_inc;
        END IF;
        IF p_snapshot_sids IS NOT NULL THEN
            IF p_snapshots_shared IS NOT NULL THEN
                INSERT INTO holdfast.common (body) VALUES (p_snapshots_shared)
                RETURNING number INTO v_common;
            END IF;
            INSERT INTO holdfast.snapshot (sid, body, common)
            SELECT n.sid, n.body, v_common
            FROM unnest(p_snapshot_sids, p_snapshots) AS n (sid, body)
            ON CONFLICT (sid) DO UPDATE SET body = excluded.body, common = excluded.common;
        END IF;
        IF p_journal_from > 0 THEN
            DELETE FROM holdfast.journal WHERE inc = p_inc AND number < p_journal_from;
            DELETE FROM holdfast.common c WHERE NOT EXISTS (
                SELECT 1 FROM holdfast.snapshot WHERE common = c.number AND common > 0);
        END IF;
        IF p_deleted IS NOT NULL THEN
            DELETE FROM holdfast.snapshot n WHERE n.sid = ANY(p_deleted) AND NOT EXISTS (
                SELECT 1 FROM holdfast.session s
                WHERE s.sid = n.sid AND s.owner IS DISTINCT FROM p_inc);
            DELETE FROM holdfast.session WHERE sid = ANY(p_deleted) AND owner = p_inc;
        END IF;
        IF p_forgotten IS NOT NULL THEN
            DELETE FROM holdfast.heard WHERE inc = p_inc AND instance = ANY(p_forgotten);
        END IF;
        IF p_keys IS NOT NULL THEN
            INSERT INTO holdfast.setting (key, value) SELECT * FROM unnest(p_keys, p_values)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value;
            DELETE FROM holdfast.setting WHERE key = ANY(p_keys) AND value = '';
        END IF;
        IF p_aside_sids IS NOT NULL THEN
            INSERT INTO holdfast.set_aside (sid, fault, body)
            SELECT * FROM unnest(p_aside_sids, p_aside_faults, p_aside_bodies);
            DELETE FROM holdfast.journal WHERE (inc << 40) + number = ANY(p_aside_places);
        END IF;
        RETURN 1;
    END
    $function$;
    """,
    # 2: sessions that a run asks another one for, and what finds a session at any of them.
    """
    CREATE TABLE holdfast.move_request (
        sid text COLLATE "C" PRIMARY KEY,
        owner bigint NOT NULL,
        asker bigint NOT NULL,
        refused boolean NOT NULL DEFAULT false);
    CREATE INDEX move_request_owner ON holdfast.move_request (owner);
    CREATE INDEX session_code ON holdfast.session (code) WHERE code <> '';
    CREATE INDEX session_code_before ON holdfast.session (code_before) WHERE code_before <> '';
    """,
    # 3: where applications link to a run.
    """
    ALTER TABLE holdfast.node ADD COLUMN link text NOT NULL DEFAULT '';
    """,
    # 4: the journal has extensions, which an earlier version does not find.
    """
    COMMENT ON COLUMN holdfast.journal.body IS 'records and extensions';
    """,
    # 5: sessions that a run offers to another one, which asks for them then; what a run has for
    # them; and sessions that operators end, whatever their run.
    """
    ALTER TABLE holdfast.node
        ADD COLUMN apps text[] NOT NULL DEFAULT '{}',
        ADD COLUMN accepts boolean NOT NULL DEFAULT false;
    ALTER TABLE holdfast.move_request ADD COLUMN offered boolean NOT NULL DEFAULT false;
    CREATE TABLE holdfast.end_request (sid text COLLATE "C" PRIMARY KEY);
    """,
    # 6: how often the session had been attached when its client asked for it elsewhere.
    """
    ALTER TABLE holdfast.move_request ADD COLUMN gen bigint NOT NULL DEFAULT 0;
    """,
)
SCHEMA_VERSION: Final = len(MIGRATIONS)
"""In the table `version`. Migration k brings a database from version k - 1 to k."""

COMMIT: Final = (
    "SELECT holdfast.commit_1("
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,"
    " $21, $22, $23, $24, $25, $26, $27)"
)

VERSION_TABLE: Final = """
    CREATE SCHEMA IF NOT EXISTS holdfast;
    CREATE TABLE IF NOT EXISTS holdfast.version (product text NOT NULL, number integer NOT NULL);
"""

OTHERS: Final = """
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n
        ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema'
        AND n.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT 1 FROM pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1 LIMIT 4
"""
"""The tables of a database, but not those of extensions."""

MISSING_RIGHTS: Final = """
    SELECT lower(r.name) || ' on ' || c.oid::regclass FROM pg_class c
    CROSS JOIN (VALUES (1, 'SELECT'), (2, 'INSERT'), (3, 'UPDATE'), (4, 'DELETE'))
        AS r (number, name)
    WHERE c.relnamespace = 'holdfast'::regnamespace AND c.relkind = 'r'
        AND c.relname <> 'version' AND NOT has_table_privilege(c.oid, r.name)
    ORDER BY c.relname, r.number LIMIT 4
"""
"""What the user may not do with our tables."""
