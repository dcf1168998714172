from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pangea.compute.model.errors import ManifestError, PangeaError, QuotaError, UnavailableError, UnknownJobError
from pangea.compute.node.storage import journal as journal_module
from pangea.compute.node.storage.database import insert
from pangea.compute.node.storage.journal import WRITE_POINTS, Journal
from pangea.compute.node.storage.migrations import MIGRATIONS, migrate
from pangea.compute.node.storage.records import (
    Entry,
    JobAccepted,
    JobEnded,
    JobForgotten,
    JobsRestarted,
    SegmentsSplit,
    Stored,
    TaskDropped,
    TaskKept,
    TrustKept,
)
from tests.deadlines import until

SECONDS = 10
JOB = JobAccepted(job_id="j1", owner="uid:1", name="n", manifest="{}", accepted_at=1.5, bytes_in=3, blobs=("a" * 64,))
BODY = Stored(data=b"body", blob="", size=4)
SPLIT = SegmentsSplit(job_id="j1", first_segment=0, segments=2, chunks=5, size_bytes=9, body=BODY, fuel=7, seconds=0.5)
TASK = TaskKept(
    job_id="j1", task_id="j1:0", start=0, count=5, size_bytes=9, digest=b"d", body=BODY, fuel=11, seconds=0.25, prints="hi"
)
END = JobEnded(job_id="j1", state="complete", ended_at=2.5, body=BODY, size=4, error="", report="{}", fuel=18, chunks=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal(path)
    opened.open()
    yield opened
    opened.close()


def fill_up(journal: Journal) -> None:
    """Let the database have no page more: SQLite then answers as on a full disk."""
    journal._ask(lambda database: database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    journal._ask(lambda database: database.execute("PRAGMA max_page_count = 1").fetchall())


def make_room(journal: Journal) -> None:
    journal._ask(lambda database: database.execute("PRAGMA max_page_count = 100000").fetchall())


def again(journal: Journal, path: Path) -> Journal:
    """The journal after a restart."""
    journal.close()
    opened = Journal(path)
    opened.open()
    return opened


def test_what_was_written_is_there_after_a_restart(journal: Journal, path: Path) -> None:
    asyncio.run(journal.append(JOB))
    for entry in (SPLIT, TASK, TrustKept(worker="w", runtime="r", record="{}"), JobsRestarted(job_ids=("j1",))):
        journal.post(entry)
    journal = again(journal, path)
    (job,) = journal.load()
    assert (job.accepted, job.splits, job.tasks, job.restarts, job.ended) == (JOB, (SPLIT,), (TASK,), 1, None)
    journal.close()


def test_an_end_is_billed_once_and_takes_the_tasks_with_it(journal: Journal) -> None:
    for entry in (JOB, SPLIT, TASK, END, END):
        journal.post(entry).result(SECONDS)
    (job,) = journal.load()
    assert (job.splits, job.tasks) == ((), ())
    assert job.ended == replace(END, body=None)
    assert journal.end_of("j1") == END
    assert journal.ledger() == {"uid:1": (1, 18)}


def test_what_only_saves_work_waits_for_more_and_for_nobody_who_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    monkeypatch.setattr(journal_module, "_GATHER_SECONDS", 1e6)
    asyncio.run(journal.append(JOB))
    work = [journal.post(SPLIT), journal.post(TASK)]
    asyncio.run(journal.append(replace(JOB, job_id="j2")))  # ends the wait
    assert all(each.done() for each in work)
    journal.post(replace(TASK, task_id="j1:5", start=5))
    assert [len(job.tasks) for job in journal.load()] == [2, 0]  # so does a question
    journal.post(replace(SPLIT, first_segment=2))
    journal = again(journal, path)  # and the end
    assert len(journal.load()[0].splits) == 2
    journal.close()


def assert_open(gate: threading.Event) -> None:
    assert gate.wait(SECONDS)


def test_work_that_its_job_s_end_would_delete_at_once_is_not_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, written = threading.Event(), []

    def recorded(database: sqlite3.Connection, entry: Entry) -> PangeaError | None:
        written.append(entry)
        return insert(database, entry)

    monkeypatch.setattr(journal_module, "insert", recorded)
    journal = Journal(path, on_write=lambda _point: assert_open(gate))
    journal.open()
    first = journal.post(JOB)
    until(lambda: not journal._waiting)
    rest = [journal.post(each) for each in (SPLIT, replace(TASK, job_id="j2"), TASK, END)]
    gate.set()
    for each in (first, *rest):
        each.result(SECONDS)
    assert written == [JOB, replace(TASK, job_id="j2"), END]
    assert journal.load()[0].ended == replace(END, body=None)
    journal.close()


def test_a_dropped_task_and_a_forgotten_job_are_gone(journal: Journal) -> None:
    for entry in (JOB, TASK, TaskDropped(job_id="j1", task_id="j1:0")):
        journal.post(entry).result(SECONDS)
    assert journal.load()[0].tasks == ()
    journal.post(JobForgotten(job_id="j1")).result(SECONDS)
    journal.post(TASK).result(SECONDS)  # late news of it changes nothing
    assert journal.load() == []
    with pytest.raises(UnknownJobError):
        journal.manifest_of("j1")


def test_the_same_job_twice_is_one_and_another_under_its_id_is_refused(journal: Journal) -> None:
    asyncio.run(journal.append(JOB))
    asyncio.run(journal.append(JOB))
    with pytest.raises(ManifestError, match="another job j1"):
        asyncio.run(journal.append(replace(JOB, manifest='{"x":1}')))
    assert len(journal.load()) == 1


def test_a_bad_entry_sinks_no_other(journal: Journal) -> None:
    asyncio.run(journal.append(JOB))

    async def all_at_once() -> tuple[BaseException | None, ...]:
        other = replace(JOB, job_id="j2")
        return await asyncio.gather(journal.append(replace(JOB, owner="uid:2")), journal.append(other), return_exceptions=True)

    refused, taken = asyncio.run(all_at_once())
    assert isinstance(refused, ManifestError)
    assert taken is None
    assert {job.accepted.job_id for job in journal.load()} == {"j1", "j2"}


@pytest.mark.parametrize("bad", [replace(TASK, fuel=1 << 70), replace(TASK, prints="\ud800"), replace(TASK, task_id={})])  # type: ignore[arg-type]
def test_an_entry_that_no_time_will_mend_is_refused_alone_and_not_tried_again(journal: Journal, bad: TaskKept) -> None:
    asyncio.run(journal.append(JOB))
    refused, taken = journal.post(bad), journal.post(replace(TASK, task_id="j1:5", start=5))
    taken.result(SECONDS)
    with pytest.raises(ManifestError, match="can't hold this TaskKept"):
        refused.result(SECONDS)
    assert [task.task_id for task in journal.load()[0].tasks] == ["j1:5"]
    assert (journal.refused_entries, journal.problem) == (1, "")


def test_of_a_refused_entry_nothing_stays(journal: Journal) -> None:
    asyncio.run(journal.append(JOB))
    refused = journal.post(JobsRestarted(job_ids=("j1", {})))  # type: ignore[arg-type]
    with pytest.raises(ManifestError):
        refused.result(SECONDS)
    assert journal.load()[0].restarts == 0


def test_on_a_full_disk_nothing_overtakes(journal: Journal) -> None:
    asyncio.run(journal.append(JOB))
    fill_up(journal)
    kept = journal.post(replace(TASK, prints="x" * 100_000))
    dropped = journal.post(TaskDropped(job_id="j1", task_id="j1:0"))  # would fit
    until(lambda: journal.problem, what="the trouble")
    assert not dropped.done()
    make_room(journal)
    for each in (kept, dropped):
        each.result(SECONDS)
    assert journal.load()[0].tasks == ()


def test_any_text_comes_back_as_it_was(journal: Journal, path: Path) -> None:
    task = replace(TASK, prints="a\0b\n\U0001f600'\"\u202e")
    for entry in (JOB, task):
        journal.post(entry)
    journal = again(journal, path)
    assert journal.load()[0].tasks == (task,)
    journal.close()


def test_what_is_known_of_workers_is_kept_and_its_latest_counts(journal: Journal, path: Path) -> None:
    for record in ("1", "2"):
        journal.post(TrustKept(worker="w", runtime="r", record=record)).result(SECONDS)
    assert journal.trust() == [TrustKept(worker="w", runtime="r", record="2")]
    journal.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE trust SET record = '3'")
    database.close()
    journal = Journal(path)
    journal.open()
    assert (journal.trust(), journal.damaged_rows) == ([], 1)
    journal.close()


def test_late_news_of_an_ended_job_is_nobodys(journal: Journal) -> None:
    for entry in (JOB, END, TASK, SPLIT):
        journal.post(entry).result(SECONDS)
    (job,) = journal.load()
    assert (job.splits, job.tasks) == ((), ())


def test_of_ended_jobs_only_what_is_small_is_loaded(journal: Journal) -> None:
    for entry in (JOB, END, replace(JOB, job_id="j2")):
        journal.post(entry).result(SECONDS)
    assert [job.accepted.manifest for job in journal.load()] == ["", "{}"]
    assert journal.manifest_of("j1") == "{}"


class Gate:
    """Holds the writer before its commits, as a slow disk does."""

    def __init__(self) -> None:
        self.is_reached = threading.Event()
        self._may_pass = threading.Event()

    def __call__(self, point: str) -> None:
        if point == "journal before commit":
            self.is_reached.set()
            assert self._may_pass.wait(SECONDS)

    def open(self) -> None:
        self._may_pass.set()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def gated(path: Path, gate: Gate) -> Iterator[Journal]:
    journal = Journal(path, on_write=gate)
    journal.open()
    yield journal
    gate.open()
    journal.close()


def test_behind_a_slow_disk_who_appends_waits_for_room(gated: Journal, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "WAITING_MAX", 2)

    async def append_three() -> None:
        appending = [asyncio.create_task(gated.append(replace(JOB, job_id=f"j{number}"))) for number in range(5)]
        await asyncio.to_thread(gate.is_reached.wait, SECONDS)
        assert gated._held == 2
        assert not any(task.done() for task in appending)
        gate.open()
        await asyncio.gather(*appending)

    asyncio.run(append_three())
    assert [job.accepted.job_id for job in gated.load()] == ["j0", "j1", "j2", "j3", "j4"]


@pytest.mark.parametrize("limit", ["WAITING_MAX", "WAITING_BYTES_MAX"])
def test_behind_a_slow_disk_memory_is_bounded_by_what_can_be_done_again(
    gated: Journal, gate: Gate, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(journal_module, limit, 1)
    gated.post(JOB)
    shed = gated.post(TASK)
    with pytest.raises(QuotaError):
        shed.result(SECONDS)
    ended = gated.post(END)  # an end can't be done without
    gate.open()
    ended.result(SECONDS)
    assert gated.shed_entries == 1
    assert gated.load()[0].ended == replace(END, body=None)


def test_what_nobody_waits_for_any_more_isnt_written(gated: Journal, gate: Gate) -> None:
    async def give_up() -> None:
        first = asyncio.create_task(gated.append(JOB))
        await asyncio.to_thread(gate.is_reached.wait, SECONDS)
        second = asyncio.create_task(gated.append(replace(JOB, job_id="j2")))
        await asyncio.wait([second], timeout=0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.open()
        await first

    asyncio.run(give_up())
    assert [job.accepted.job_id for job in gated.load()] == ["j1"]


def test_a_disk_that_hangs_is_an_error_in_time(gated: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_APPEND_SECONDS", 0.05)
    with pytest.raises(QuotaError, match="didn't take an entry"):
        asyncio.run(gated.append(JOB))
    monkeypatch.setattr(journal_module, "_SETTLE_SECONDS", 0.05)
    assert asyncio.run(gated.settle(TASK)) is False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_writer_that_has_died(path: Path) -> None:
    def die(_point: str) -> None:
        raise RuntimeError("a bug")

    journal = Journal(path, on_write=die)
    journal.open()
    for _ in range(2):
        with pytest.raises(UnavailableError):
            asyncio.run(journal.append(JOB))
    with pytest.raises(UnavailableError):
        journal.load()
    journal.close()


def test_only_its_owner_may_read_the_journal(journal: Journal, path: Path) -> None:
    asyncio.run(journal.append(JOB))
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob("journal.sqlite*")} == {0o600}


def test_on_a_full_disk_a_new_job_is_refused_and_never_written_later(journal: Journal) -> None:
    asyncio.run(journal.append(JOB))
    fill_up(journal)
    with pytest.raises(QuotaError, match="disk"):
        asyncio.run(journal.append(replace(JOB, job_id="j2", manifest="x" * 100_000)))
    make_room(journal)
    asyncio.run(journal.append(replace(JOB, job_id="j3")))
    assert [job.accepted.job_id for job in journal.load()] == ["j1", "j3"]


def test_on_a_full_disk_what_is_only_posted_waits_for_room_and_the_problem_is_told(journal: Journal) -> None:
    asyncio.run(journal.append(JOB))
    fill_up(journal)
    large = replace(TASK, prints="x" * 100_000)
    posted = [journal.post(large), journal.post(replace(TASK, task_id="j1:5", start=5))]
    asyncio.run(journal.settle(replace(TASK, task_id="j1:9", start=9)))
    assert "disk" in journal.problem
    with pytest.raises(QuotaError):
        asyncio.run(journal.append(replace(JOB, job_id="j2")))
    make_room(journal)
    for each in posted:
        each.result(SECONDS)
    assert journal.problem == ""
    assert [task.start for task in journal.load()[0].tasks] == [0, 5, 9]


@pytest.mark.parametrize(
    ("table", "column"), [("tasks", "data"), ("tasks", "digest"), ("splits", "data"), ("ends", "data"), ("jobs", "manifest")]
)
def test_a_flipped_bit_is_noticed(journal: Journal, path: Path, table: str, column: str) -> None:
    for entry in (JOB, SPLIT, TASK):
        journal.post(entry).result(SECONDS)
    if table == "ends":
        journal.post(END).result(SECONDS)
    journal.close()
    with sqlite3.connect(path) as database:
        database.execute(f"UPDATE {table} SET {column} = CAST('bodz' AS BLOB)")
    database.close()
    journal = Journal(path)
    journal.open()
    (job,) = journal.load()
    if table == "ends":  # a result is read when it is asked for
        with pytest.raises(UnknownJobError, match="damaged"):
            journal.end_of("j1")
        journal.close()
        return
    assert journal.damaged_rows == 1
    if table in ("tasks", "splits"):
        assert (job.tasks if table == "tasks" else job.splits) == ()
        assert job.ended is None
    else:
        assert job.ended is not None
        assert "DAMAGED" in job.ended.error
    journal.close()


def test_a_later_schema_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(UnavailableError, match="schema version 99"):
        Journal(path).open()


def test_an_older_schema_is_brought_up_to_date_with_its_data(journal: Journal, path: Path) -> None:
    asyncio.run(journal.append(JOB))
    journal.close()
    with sqlite3.connect(path, isolation_level=None) as database:
        assert migrate(database, (*MIGRATIONS, "ALTER TABLE jobs ADD COLUMN more TEXT NOT NULL DEFAULT 'm'")) == len(MIGRATIONS)
        assert database.execute("SELECT job_id, more FROM jobs").fetchall() == [("j1", "m")]
        assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS) + 1,)
    database.close()


def test_a_migration_that_fails_changes_nothing(journal: Journal, path: Path) -> None:
    journal.close()
    with sqlite3.connect(path, isolation_level=None) as database:
        with pytest.raises(sqlite3.OperationalError):
            migrate(database, (*MIGRATIONS, "CREATE TABLE more (x); CREATE TABLE jobs (y)"))
        assert database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'more'").fetchone() == (0,)
    database.close()


def test_a_file_that_is_no_journal_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"torn" * 4096)
    with pytest.raises(UnavailableError, match=r"journal\.sqlite can't be used") as refused:
        Journal(path).open()
    assert "move it" in refused.value.hint
    assert path.read_bytes() == b"torn" * 4096


def test_a_file_that_is_a_little_damaged_is_refused_and_left_alone(journal: Journal, path: Path) -> None:
    asyncio.run(journal.append(JOB))
    journal.close()
    content = bytearray(path.read_bytes())
    content[36:40] = b"\0\0\0\7"  # free pages: https://www.sqlite.org/fileformat2.html#the_database_header
    path.write_bytes(content)
    with pytest.raises(UnavailableError, match=r"journal\.sqlite can't be used, since it is damaged: .*freelist"):
        Journal(path).open()
    assert path.read_bytes() == content


def test_a_torn_log_loses_no_more_than_its_tail(journal: Journal, path: Path) -> None:
    asyncio.run(journal.append(JOB))
    asyncio.run(journal.append(replace(JOB, job_id="j2")))
    wal = path.with_name(path.name + "-wal")
    content, database = wal.read_bytes(), path.read_bytes()
    journal.close()
    path.write_bytes(database)
    wal.write_bytes(content[:-100])
    journal = Journal(path)
    journal.open()
    assert [job.accepted.job_id for job in journal.load()] == ["j1"]
    journal.close()


def test_every_write_point_of_the_journal_is_passed(path: Path) -> None:
    passed: list[str] = []
    journal = Journal(path, on_write=passed.append)
    journal.open()
    asyncio.run(journal.append(JOB))
    journal.close()
    assert passed == [point for point in WRITE_POINTS if point.startswith("journal")]


def test_a_closed_journal_says_so(journal: Journal) -> None:
    journal.close()
    with pytest.raises(UnavailableError, match="stopping"):
        journal.post(JOB)
