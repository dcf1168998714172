"""The journal: SQLite in WAL mode, written by one thread, in the order that entries come.

Entries that wait together go in one transaction (group commit). What is appended is on the disk itself when the wait ends: an
accepted job outlives a power cut. What is posted outlives the process, but a power cut may take the last of it, and then it is
computed again: nothing that was accepted is lost, and a job costs one wait for the disk. A full disk fails what is appended, with
the reason; what is posted is kept in memory and tried again until it goes in.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from pangea.compute.model.errors import PangeaError, QuotaError, UnavailableError, UnknownJobError
from pangea.compute.node import tables
from pangea.compute.node.migrations import migrate
from pangea.compute.node.records import Entry, JobEnded, Stored, StoredJob

#: Entries that may wait for the writer; beyond this, those who add to them wait.
WAITING_MAX = 10_000
#: Where a crash is told apart: the tests end the process at each.
WRITE_POINTS = ("journal before begin", "journal before commit", "journal after commit", "blob before link", "blob after link")
_AGAIN_SECONDS = 0.5
_APPEND_SECONDS = 30.0
_SETTLE_SECONDS = 2.0
_CLOSE_SECONDS = 10.0
_BUSY_SECONDS = 5.0
_BATCH_MAX = 1_000

T = TypeVar("T")
Query = Callable[[sqlite3.Connection], T]
OnWrite = Callable[[str], None]


class _Order:
    """An entry on its way to disk."""

    __slots__ = ("done", "entry", "is_posted")

    def __init__(self, entry: Entry, *, is_posted: bool) -> None:
        self.entry = entry
        self.is_posted = is_posted
        self.done: Future[None] = Future()


class Journal:
    """One node's journal."""

    def __init__(self, path: Path, *, on_write: OnWrite | None = None) -> None:
        """The journal in `path`; `open` opens it. `on_write` is told of each of `WRITE_POINTS` passed."""
        self._path = path
        self._pass = on_write or _ignore
        self._waiting: deque[_Order] = deque()
        self._queries: deque[tuple[Query[object], Future[object]]] = deque()
        self._news = threading.Condition()
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._opened: Future[None] = Future()
        #: What keeps entries from getting to disk now, or "".
        self.problem = ""
        #: Rows that were damaged when the jobs were loaded.
        self.damaged_rows = 0

    def open(self) -> None:
        """Open the database, made or brought up to date as needed, and start writing.

        Raises:
            UnavailableError: it can't be opened, is damaged, or is of a later version.
        """
        self._thread = threading.Thread(target=self._run, name="pangea-journal", daemon=True)
        self._thread.start()
        self._opened.result(_APPEND_SECONDS)

    def close(self) -> None:
        """Write what waits, as far as that goes, and close."""
        with self._news:
            self._is_closing = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def post(self, entry: Entry) -> Future[None]:
        """Write soon, in order; if the disk is full, as soon as it isn't."""
        return self._order(_Order(entry, is_posted=True))

    async def append(self, entry: Entry) -> None:
        """Write now.

        Raises:
            QuotaError: the disk is full or fails; the entry is not written, and won't be.
            ManifestError: the entry is a job under another's id.
        """
        if self.problem:
            raise QuotaError(self.problem, hint="make room on the node's disk")
        if len(self._waiting) > WAITING_MAX:
            raise QuotaError(f"{len(self._waiting):,} entries wait for the node's disk", hint="try again in a moment")
        order = self._order(_Order(entry, is_posted=False))
        await asyncio.wait_for(asyncio.wrap_future(order), _APPEND_SECONDS)

    async def settle(self, entry: Entry) -> None:
        """Post, and wait until it is on disk or the disk is in trouble."""
        order = asyncio.wrap_future(self.post(entry))
        if self.problem:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(order), _SETTLE_SECONDS)

    def load(self) -> list[StoredJob]:
        """All jobs, in the order of acceptance."""
        jobs, self.damaged_rows = self._ask(tables.load_jobs)
        return jobs

    def ledger(self) -> dict[str, tuple[int, int]]:
        """Number of ended jobs and fuel used, by owner."""
        rows = self._ask(lambda database: database.execute("SELECT owner, jobs, fuel FROM ledger").fetchall())
        return {owner: (jobs, fuel) for owner, jobs, fuel in rows}

    def manifest_of(self, job_id: str) -> str:
        """The manifest of a job, as JSON.

        Raises:
            UnknownJobError: there is no such job.
        """
        row = self._ask(lambda database: database.execute("SELECT manifest FROM jobs WHERE job_id = ?", (job_id,)).fetchone())
        if row is None:
            raise UnknownJobError(f"the journal has no job {job_id}")
        return str(row[0])

    def ended_body(self, job_id: str) -> Stored:
        """The result of a complete job.

        Raises:
            UnknownJobError: there is none, or its record is damaged.
        """
        ended: JobEnded | None = self._ask(lambda database: tables.load_end(database, job_id))
        if ended is None or ended.body is None:
            raise UnknownJobError(f"the journal has no result of job {job_id}", hint="run the job again")
        return ended.body

    # The rest runs in, or talks to, the writer's thread.

    def _order(self, order: _Order) -> Future[None]:
        with self._news:
            if self._is_closing:
                raise UnavailableError("the node is stopping", hint="try again when it is back", retry=True)
            self._waiting.append(order)
            self._news.notify()
        return order.done

    def _ask(self, query: Query[T]) -> T:
        answer: Future[T] = Future()
        with self._news:
            if self._is_closing:
                raise UnavailableError("the node is stopping", hint="try again when it is back", retry=True)
            self._queries.append((query, answer))  # type: ignore[arg-type]
            self._news.notify()
        return answer.result(_APPEND_SECONDS)

    def _run(self) -> None:
        try:
            database = self._connect()
        except BaseException as error:
            self._opened.set_exception(error)
            return
        with contextlib.closing(database):
            self._opened.set_result(None)
            while self._work(database):
                pass
            with contextlib.suppress(sqlite3.Error):  # the log is read again at the next start
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _connect(self) -> sqlite3.Connection:
        try:
            database = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
            try:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA foreign_keys = ON")
                (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
                if verdict != "ok":
                    raise sqlite3.DatabaseError(verdict)
                migrate(database)
            except BaseException:
                database.close()
                raise
        except sqlite3.Error as error:
            raise UnavailableError(
                f"the journal {self._path} can't be used: {error}",
                hint="nothing of it was changed; move it (with its -wal and -shm) away to begin anew, or give another --data-dir",
            ) from error
        return database

    def _work(self, database: sqlite3.Connection) -> bool:
        """Do what waits; False when all is done and the journal closes."""
        with self._news:
            while not (self._waiting or self._queries or self._is_closing):
                self._news.wait()
            if self.problem and not self._is_closing and not self._queries:
                self._news.wait(_AGAIN_SECONDS)
            orders = [self._waiting.popleft() for _ in range(min(_BATCH_MAX, len(self._waiting)))]
            queries, self._queries = self._queries, deque()
        failed = self._write(database, orders)
        for query, answer in queries:
            try:
                answer.set_result(query(database))
            except Exception as error:  # the asker's to handle
                answer.set_exception(error)
        with self._news:
            self._waiting.extendleft(reversed(failed))
            return not self._is_closing or bool(self._waiting and not failed)

    def _write(self, database: sqlite3.Connection, orders: list[_Order]) -> list[_Order]:
        """Write `orders` in one transaction, or else one by one; those that were only posted and didn't go in."""
        if not orders:
            return []
        try:
            self._commit(database, orders)
        except (sqlite3.Error, PangeaError):
            return self._write_singly(database, orders)
        self.problem = ""
        for order in orders:
            order.done.set_result(None)
        return []

    def _write_singly(self, database: sqlite3.Connection, orders: list[_Order]) -> list[_Order]:
        left: list[_Order] = []
        for order in orders:
            if left and order.is_posted:
                left.append(order)  # in order, or not at all
                continue
            try:
                self._commit(database, [order])
            except PangeaError as error:
                order.done.set_exception(error)
            except sqlite3.Error as error:
                self.problem = f"the node's disk doesn't take more: {error}"
                if order.is_posted:
                    left.append(order)
                else:
                    order.done.set_exception(QuotaError(self.problem, hint="make room on the node's disk"))
            else:
                order.done.set_result(None)
        self.problem = self.problem if left else ""
        return left

    def _commit(self, database: sqlite3.Connection, orders: list[_Order]) -> None:
        self._pass("journal before begin")
        # Between transactions, as SQLite asks: https://www.sqlite.org/pragma.html#pragma_synchronous
        is_waited_for = any(not order.is_posted for order in orders)
        database.execute("PRAGMA synchronous = FULL" if is_waited_for else "PRAGMA synchronous = NORMAL")
        database.execute("BEGIN IMMEDIATE")
        try:
            for order in orders:
                tables.insert(database, order.entry)
            self._pass("journal before commit")
            database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have ended the transaction already
                database.execute("ROLLBACK")
            raise
        self._pass("journal after commit")


def _ignore(_point: str) -> None:
    pass
