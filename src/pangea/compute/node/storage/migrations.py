"""The journal's schema, version by version. A database is brought up to date one version at a time, each in a transaction.

`PRAGMA user_version` says which version a file has. A version, once released, never changes: what is new comes after it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from pangea.compute.model.errors import UnavailableError

# What may be large comes last in its row, with a checksum of its own: thousands of ended jobs are loaded without reading it.
_VERSION_1 = """
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, accepted_at REAL NOT NULL, bytes_in INTEGER NOT NULL,
    blobs TEXT NOT NULL, manifest_crc INTEGER NOT NULL, restarts INTEGER NOT NULL DEFAULT 0, crc INTEGER NOT NULL,
    manifest TEXT NOT NULL
);
CREATE TABLE ends (
    job_id TEXT PRIMARY KEY REFERENCES jobs ON DELETE CASCADE, state TEXT NOT NULL, ended_at REAL NOT NULL,
    blob TEXT NOT NULL, size INTEGER NOT NULL, error TEXT NOT NULL, report TEXT NOT NULL, fuel INTEGER NOT NULL,
    chunks INTEGER NOT NULL, data_crc INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB
);
CREATE TABLE splits (
    job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, first_segment INTEGER NOT NULL, segments INTEGER NOT NULL,
    chunks INTEGER NOT NULL, size_bytes INTEGER NOT NULL, data BLOB, blob TEXT NOT NULL, size INTEGER NOT NULL,
    fuel INTEGER NOT NULL, seconds REAL NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (job_id, first_segment)
);
CREATE TABLE tasks (
    job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, task_id TEXT NOT NULL, start INTEGER NOT NULL, count INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, digest BLOB NOT NULL, data BLOB, blob TEXT NOT NULL, size INTEGER NOT NULL,
    fuel INTEGER NOT NULL, seconds REAL NOT NULL, prints TEXT NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (job_id, task_id)
);
CREATE TABLE ledger (owner TEXT PRIMARY KEY, jobs INTEGER NOT NULL, fuel INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE trust (
    worker TEXT NOT NULL, runtime TEXT NOT NULL, record TEXT NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (worker, runtime)
) WITHOUT ROWID;
"""

# Receipts: what workers have signed about tasks and splits of jobs under way.
_VERSION_2 = """
CREATE TABLE records (
    job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, task_id TEXT NOT NULL, record TEXT NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (job_id, task_id)
) WITHOUT ROWID;
"""

# What each task of an ended job did. Apart from `ends`, which is read whole at every start.
_VERSION_3 = """
CREATE TABLE traces (job_id TEXT PRIMARY KEY REFERENCES jobs ON DELETE CASCADE, crc INTEGER NOT NULL, trace BLOB NOT NULL);
"""

# What shares a sandbox instance follows from the job alone from here on: what was executed by other rules is executed again.
_VERSION_4 = """
DELETE FROM tasks;
DELETE FROM splits;
DELETE FROM records;
"""

# Two owners may give jobs of theirs the same id: what the node calls a job by may be another. Empty: the same.
_VERSION_5 = """
ALTER TABLE jobs ADD COLUMN given TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN given_crc INTEGER NOT NULL DEFAULT 0;
"""

#: The statements that lead to version 1, 2, …
MIGRATIONS: tuple[str, ...] = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5)


def migrate(database: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> int:
    """Bring `database` up to date; the version it had.

    Raises:
        UnavailableError: it was written by a later version.
    """
    (found,) = database.execute("PRAGMA user_version").fetchone()
    if found > len(migrations):
        raise UnavailableError(
            f"the journal has schema version {found}; this version of pangea-compute knows {len(migrations)} at most",
            hint="use the later version that wrote it, or another --data-dir",
        )
    for version, statements in enumerate(migrations[found:], found + 1):
        database.execute("BEGIN IMMEDIATE")
        try:
            for statement in filter(str.strip, statements.split(";")):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {version}")
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
    return int(found)
