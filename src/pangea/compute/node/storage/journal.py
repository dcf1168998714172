"""The journal: SQLite in WAL mode, written by one thread, in the order that entries come.

Entries that wait together go in one transaction (group commit). What is appended is on the disk itself when the wait ends: an
accepted job outlives a power cut. What is posted outlives the process, but a power cut may take the last of it, and then it is
computed again: nothing that was accepted is lost, and a job costs one wait for the disk. What only saves work (splits and tasks)
waits a moment for company, since most jobs are small; if its job's end comes along, it needn't be written at all.

A full disk fails what is appended, with the reason; what is posted is kept in memory and tried again until it goes in. An entry
that the database refuses for its own sake fails alone.
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
from typing import Any, TypeVar

from pangea.compute.model.errors import PangeaError, QuotaError, UnavailableError, UnknownJobError
from pangea.compute.model.units import MIB
from pangea.compute.node.storage import tables
from pangea.compute.node.storage.damaged_log import DamagedLog, set_aside
from pangea.compute.node.storage.database import connect, damage, insert, probe, trouble_of
from pangea.compute.node.storage.records import Entry, JobEnded, SegmentsSplit, StoredJob, TaskKept, TrustKept, size_of

#: Entries, and bytes of them, that may be on their way to disk. Beyond this `append` waits, and `post` lets go of what only saves
#: work after a crash.
WAITING_MAX = 10_000
WAITING_BYTES_MAX = 256 * MIB
#: Where a crash is told apart: the tests end the process at each.
WRITE_POINTS = (
    *("journal before begin", "journal after entry", "journal before commit", "journal after commit"),
    *("blob before link", "blob after link"),
)
_AGAIN_SECONDS = 0.5
#: What only saves work after a crash waits so long for more: most jobs are small, and end within it.
_SAVES_WORK = (SegmentsSplit, TaskKept)
_GATHER_SECONDS = 0.02
_APPEND_SECONDS = 30.0
_SETTLE_SECONDS = 2.0
_CLOSE_SECONDS = 10.0
#: A large database is read once when it is opened.
_OPEN_SECONDS = 600.0
_HINT_FULL = "make room on the node's disk"

T = TypeVar("T")
Query = Callable[[sqlite3.Connection], T]
OnWrite = Callable[[str], None]


class _Order:
    """An entry on its way to disk."""

    __slots__ = ("done", "entry", "is_posted", "may_wait", "size")

    def __init__(self, entry: Entry, *, is_posted: bool) -> None:
        self.entry = entry
        self.is_posted = is_posted
        self.may_wait = is_posted and isinstance(entry, _SAVES_WORK)
        self.size = size_of(entry)
        self.done: Future[None] = Future()

    def begin(self) -> bool:
        """Whether it is to be written: who waited for it may have gone."""
        return self.done.running() or self.done.set_running_or_notify_cancel()


class Journal:
    """One node's journal.

    Attributes:
        problem: what keeps entries from getting to disk now, or "".
        damaged_log: a log that was damaged when it was opened, and was moved aside.
        damaged_rows: rows that were damaged when jobs and trust were loaded.
        refused_entries: posted entries that the database refused for their own sake: a bug of ours.
        shed_entries: posted entries let go for want of memory while the disk was full or slow.
    """

    def __init__(self, path: Path, *, on_write: OnWrite | None = None) -> None:
        """The journal in `path`; `open` opens it. `on_write` is told of each of `WRITE_POINTS` passed."""
        self._path = path
        self._pass = on_write or _ignore
        self._waiting: deque[_Order] = deque()
        self._queries: deque[tuple[Query[object], Future[object]]] = deque()
        self._rooms: list[Future[None]] = []
        self._in_hand: list[Future[Any]] = []
        self._held = self._held_bytes = 0
        self._is_gathering = False
        self._news = threading.Condition()
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._opened: Future[None] = Future()
        self.problem: str = ""
        self.damaged_log: DamagedLog | None = None
        self.damaged_rows: int = 0
        self.refused_entries: int = 0
        self.shed_entries: int = 0

    def open(self) -> None:
        """Open the database, made or brought up to date as needed, and start writing.

        Raises:
            UnavailableError: it can't be opened or written, is damaged, or is of a later version.
        """
        self._thread = threading.Thread(target=self._run, name="pangea-journal", daemon=True)
        self._thread.start()
        self._opened.result(_OPEN_SECONDS)

    def close(self) -> int:
        """Write what waits, as far as that goes, and close; how many entries the disk didn't take."""
        with self._news:
            self._is_closing = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)
        return self._held

    def post(self, entry: Entry) -> Future[None]:
        """Write soon, in order; if the disk is full, as soon as it isn't."""
        order = _Order(entry, is_posted=True)
        with self._news:
            if self._is_over_full() and isinstance(entry, (*_SAVES_WORK, TrustKept)):
                self.shed_entries += 1
                order.done.set_exception(QuotaError(self.problem or f"{self._held:,} entries wait for the node's disk"))
            else:
                self._take(order)
        return order.done

    async def append(self, entry: Entry, *, undo: Entry | None = None) -> None:
        """Write now. Who is cancelled while he waits can't know whether the entry was written.

        `undo` is written behind it if the wait ends while it is being written: what was refused mustn't be there after all.

        Raises:
            QuotaError: the disk is full or fails; the entry is not written, and won't be.
            ManifestError: the entry is a job under another's id.
        """
        self._check_open()
        if self.problem and self._held:  # it would come after what can't be written
            raise QuotaError(self.problem, hint=_HINT_FULL)
        order = _Order(entry, is_posted=False)
        try:
            async with asyncio.timeout(_APPEND_SECONDS):
                while (room := self._take_or_wait(order)) is not None:
                    await asyncio.wrap_future(room)
                await asyncio.wrap_future(order.done)
        except TimeoutError:
            if not order.done.cancel() and undo is not None:
                self.post(undo)
            raise QuotaError(f"the node's disk didn't take an entry within {_APPEND_SECONDS:.0f} s", hint="try again") from None

    async def settle(self, entry: Entry) -> bool:
        """Post, and wait until it is on disk or the disk is in trouble; whether it is on disk."""
        done = self.post(entry)
        if not self.problem:
            waiting = asyncio.wrap_future(done)
            waiting.add_done_callback(_heard)
            await asyncio.wait([waiting], timeout=_SETTLE_SECONDS)
        return done.done() and done.exception() is None

    def load(self) -> list[StoredJob]:
        """All jobs, in the order of acceptance; ended ones without what `manifest_of` and `end_of` fetch."""
        jobs, damaged = self._ask(tables.load_jobs)
        self.damaged_rows += damaged
        return jobs

    def trust(self) -> list[TrustKept]:
        """What is known of workers."""
        kept, damaged = self._ask(tables.load_trust)
        self.damaged_rows += damaged
        return kept

    def ledger(self) -> dict[str, tuple[int, int]]:
        """Number of ended jobs and fuel used, by owner."""
        rows = self._ask(lambda database: database.execute("SELECT owner, jobs, fuel FROM ledger").fetchall())
        return {owner: (jobs, fuel) for owner, jobs, fuel in rows}

    def manifest_of(self, job_id: str) -> str:
        """The manifest of a job, as JSON.

        Raises:
            UnknownJobError: there is no such job, or its record is damaged.
        """
        manifest = self._ask(lambda database: tables.load_manifest(database, job_id))
        if manifest is None:
            raise UnknownJobError(f"the journal has no job {job_id}, or it is damaged there", hint="submit the job again")
        return manifest

    def end_of(self, job_id: str) -> JobEnded:
        """How a job ended, with its report and an inline result.

        Raises:
            UnknownJobError: it hasn't, or its record is damaged.
        """
        ended = self._ask(lambda database: tables.load_end(database, job_id))
        if ended is None:
            raise UnknownJobError(f"the journal has no end of job {job_id}, or it is damaged there", hint="run the job again")
        return ended

    def trace_of(self, job_id: str) -> bytes:
        """What an ended job's tasks did, as `tracing.packed_trace` makes it; b"" if nothing was kept, or it is damaged."""
        return self._ask(lambda database: tables.load_trace(database, job_id))

    # What follows talks to the writer's thread.

    def _is_over_full(self) -> bool:
        return self._held >= WAITING_MAX or self._held_bytes >= WAITING_BYTES_MAX

    def _take(self, order: _Order) -> None:
        self._check_open()
        self._waiting.append(order)
        self._held += 1
        self._held_bytes += order.size
        if not (order.may_wait and self._is_gathering):  # to wake a thread costs more than the entry
            self._news.notify()

    def _take_or_wait(self, order: _Order) -> Future[None] | None:
        """Take an order, or give something to wait for before it is tried again."""
        with self._news:
            if not self._is_over_full():
                self._take(order)
                return None
            self._check_open()
            room: Future[None] = Future()
            self._rooms.append(room)
            return room

    def _check_open(self) -> None:
        if self._is_closing or self._thread is None:
            raise UnavailableError("the node is stopping", hint="try again when it is back", retry=True)

    def _ask(self, query: Query[T]) -> T:
        answer: Future[T] = Future()
        with self._news:
            self._check_open()
            self._queries.append((query, answer))  # type: ignore[arg-type]
            self._news.notify()
        try:
            return answer.result(_APPEND_SECONDS)
        except TimeoutError:
            raise UnavailableError(f"the journal {self._path} didn't answer within {_APPEND_SECONDS:.0f} s") from None
        except sqlite3.Error as error:
            raise damage(self._path, str(error)) from error

    # The rest runs in the writer's thread.

    def _run(self) -> None:
        try:
            self.damaged_log = set_aside(self._path)
            database = connect(self._path)
        except OSError as error:
            self._opened.set_exception(UnavailableError(f"the journal {self._path} can't be used: {error}"))
            self._end()
            return
        except BaseException as error:
            self._opened.set_exception(error)
            self._end()
            return
        with contextlib.closing(database):
            self.problem = probe(database, self._path)
            self._opened.set_result(None)
            try:
                while self._work(database):
                    pass
            except BaseException as error:
                self.problem = f"the journal's writer failed: {type(error).__name__}"
                raise
            finally:
                self._end()
            with contextlib.suppress(sqlite3.Error):  # the log is read again at the next start
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _end(self) -> None:
        """Nobody may wait for a thread that is gone."""
        with self._news:
            self._is_closing = True
            left = [*self._in_hand, *(order.done for order in self._waiting), *self._rooms, *(each for _, each in self._queries)]
        error = UnavailableError(self.problem or "the node is stopping", hint="try again when it is back", retry=True)
        for future in left:
            if not future.done() and (future.running() or future.set_running_or_notify_cancel()):
                future.set_exception(error)

    def _work(self, database: sqlite3.Connection) -> bool:
        """Do what waits; False when all is done and the journal closes."""
        with self._news:
            while not (self._waiting or self._queries or self._is_closing or self.problem):
                self._news.wait()
            if self.problem and not (self._is_closing or self._queries):
                self._news.wait(_AGAIN_SECONDS)
            elif not (self._is_closing or self._queries) and all(order.may_wait for order in self._waiting):
                self._is_gathering = True
                self._news.wait(_GATHER_SECONDS)
                self._is_gathering = False
            taken, self._waiting = list(self._waiting), deque()
            queries, self._queries = self._queries, deque()
            self._in_hand = [*(order.done for order in taken), *(answer for _, answer in queries)]
        orders = [order for order in taken if order.begin()]
        left = self._write(database, orders)
        if self.problem and not orders:
            self.problem = probe(database, self._path)
        for query, answer in queries:
            _answer(query, database, answer)
        with self._news:
            self._waiting.extendleft(reversed(left))
            self._held -= len(taken) - len(left)
            self._held_bytes -= sum(order.size for order in taken) - sum(order.size for order in left)
            rooms, self._rooms = ([], self._rooms) if self._is_over_full() else (self._rooms, [])
            self._in_hand = []
            goes_on = not self._is_closing or bool(self._waiting and not left)
        for room in rooms:
            if room.set_running_or_notify_cancel():
                room.set_result(None)
        return goes_on

    def _write(self, database: sqlite3.Connection, orders: list[_Order]) -> list[_Order]:
        """Write `orders` in one transaction, or as many of the first as the disk takes. Those left that were only posted."""
        if not orders:
            return []
        if len(orders) > 1 and self.problem:  # no use trying all of them twice a second
            return self._write_in_turn(database, orders, 1)
        try:
            refused = self._commit(database, orders)
        except (sqlite3.Error, OSError) as error:
            if len(orders) > 1:
                return self._write_in_turn(database, orders, len(orders) // 2)
            self.problem = trouble_of(error) or f"the node's journal can't be written: {error}"
            return self._give_up(orders)
        self.problem = ""
        for order, refusal in zip(orders, refused, strict=True):
            if refusal is None:
                order.done.set_result(None)
            else:
                self.refused_entries += order.is_posted
                order.done.set_exception(refusal)
        return []

    def _write_in_turn(self, database: sqlite3.Connection, orders: list[_Order], first: int) -> list[_Order]:
        """Write the first so many orders, then, if the disk took them, the rest: they stay in order."""
        left = self._write(database, orders[:first])
        return [*left, *self._give_up(orders[first:])] if self.problem else self._write(database, orders[first:])

    def _give_up(self, orders: list[_Order]) -> list[_Order]:
        """Refuse those that somebody waits for; the others, to be tried again."""
        for order in orders:
            if not order.is_posted:
                order.done.set_exception(QuotaError(self.problem, hint=_HINT_FULL))
        return [order for order in orders if order.is_posted]

    def _commit(self, database: sqlite3.Connection, orders: list[_Order]) -> list[PangeaError | None]:
        """Write `orders` in one transaction; for each, why it alone was refused, or None."""
        self._pass("journal before begin")
        # Between transactions, as SQLite asks: https://www.sqlite.org/pragma.html#pragma_synchronous
        is_waited_for = any(not order.is_posted for order in orders)
        database.execute("PRAGMA synchronous = FULL" if is_waited_for else "PRAGMA synchronous = NORMAL")
        database.execute("BEGIN IMMEDIATE")
        refused: list[PangeaError | None] = []
        ended = {order.entry.job_id for order in orders if isinstance(order.entry, JobEnded)}
        try:
            for order in orders:
                is_past = isinstance(order.entry, _SAVES_WORK) and order.entry.job_id in ended  # the end would delete it
                refused.append(None if is_past else insert(database, order.entry))
                self._pass("journal after entry")
            self._pass("journal before commit")
            database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have ended the transaction already
                database.execute("ROLLBACK")
            raise
        self._pass("journal after commit")
        return refused


def _answer(query: Query[object], database: sqlite3.Connection, answer: Future[object]) -> None:
    try:
        answer.set_result(query(database))
    except Exception as error:  # the asker's to handle
        answer.set_exception(error)


def _heard(done: asyncio.Future[None]) -> None:
    """Whoever waited for this may have gone: its error isn't unheard of."""
    if not done.cancelled():
        done.exception()


def _ignore(_point: str) -> None:
    pass
