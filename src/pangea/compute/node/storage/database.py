"""The journal's file: opened, checked and brought up to date; and what SQLite's complaints mean."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

from pangea.compute.model.errors import ManifestError, PangeaError, UnavailableError
from pangea.compute.model.units import MIB
from pangea.compute.node.storage import tables
from pangea.compute.node.storage.migrations import MIGRATIONS, migrate
from pangea.compute.node.storage.records import Entry

_BUSY_SECONDS = 5.0
_LOG_BYTES_MAX = 64 * MIB
#: A disk with less room than this is full.
_ROOM_BYTES = MIB
#: Errors of the disk, or of the file as a whole. All others are about an entry.
_TROUBLES = {
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM),
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM),
    *(sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB),
}
_DAMAGES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def connect(path: Path) -> sqlite3.Connection:
    """Open the journal in `path`, made or brought up to date as needed, for the calling thread.

    Raises:
        UnavailableError: it can't be opened or written, is damaged, or is of a later version.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            database.text_factory = tables.text_of
            for pragma in (
                "journal_mode = WAL",
                f"journal_size_limit = {_LOG_BYTES_MAX}",
                "foreign_keys = ON",
                "cell_size_check = ON",
            ):
                database.execute(f"PRAGMA {pragma}")
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise damage(path, verdict)
            migrate(database)
        except BaseException:
            database.close()
            raise
    except (sqlite3.Error, OSError) as error:
        if code_of(error) in _DAMAGES:
            raise damage(path, str(error)) from error
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        if _is_full(path.parent):  # which SQLite has several words for
            reason = f"its disk is full ({reason})"
        raise UnavailableError(
            f"the journal {path} can't be used: {reason}",
            hint="make room on its disk, and let the node write to it and to its folder; or give another --data-dir",
        ) from error
    return database


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _ROOM_BYTES
    except OSError:
        return False


def damage(path: Path, finding: str) -> UnavailableError:
    """The error about a file that SQLite finds damaged. It is left as it is: somebody may want to rescue something."""
    return UnavailableError(
        f"the journal {path} can't be used, since it is damaged: {finding.splitlines()[-1] if finding else 'unreadable'}",
        hint="nothing of it was changed; move it (with its -wal and -shm) away to begin anew, or give another --data-dir",
    )


def insert(database: sqlite3.Connection, entry: Entry) -> PangeaError | None:
    """Write one entry into the open transaction, or leave no trace of it; then, why.

    Raises:
        sqlite3.Error, OSError: it is the disk's fault.
    """
    database.execute("SAVEPOINT entry")
    refusal: PangeaError | None = None
    try:
        tables.insert(database, entry)
    except Exception as error:
        if trouble_of(error):
            raise
        database.execute("ROLLBACK TO entry")
        refusal = error if isinstance(error, PangeaError) else _unfit(entry, error)
    database.execute("RELEASE entry")
    return refusal


def _unfit(entry: Entry, error: Exception) -> PangeaError:
    """A number too large for SQLite, text that isn't Unicode: nothing that time will mend."""
    refusal = ManifestError(f"the node's journal can't hold this {type(entry).__name__}: {error}")
    refusal.__cause__ = error
    return refusal


def probe(database: sqlite3.Connection, path: Path) -> str:
    """Write something that changes nothing; what is wrong with the disk, or ""."""
    try:
        database.execute("BEGIN IMMEDIATE")
        try:
            database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
        free = shutil.disk_usage(path.parent).free
    except (sqlite3.Error, OSError) as error:
        return trouble_of(error) or f"the node's journal can't be written: {error}"
    return "" if free >= _ROOM_BYTES else "the node's disk is full"


def trouble_of(error: Exception) -> str:
    """What is wrong with the disk, if `error` says so; "" if it is about an entry."""
    code = code_of(error)
    if code == sqlite3.SQLITE_FULL:
        return "the node's disk is full"
    return f"the node's journal can't be written: {error}" if code in _TROUBLES or isinstance(error, OSError) else ""


def code_of(error: BaseException) -> int:
    """SQLite's primary result code, or 0: https://www.sqlite.org/rescode.html."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
