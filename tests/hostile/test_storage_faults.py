"""What disks do: fill up, go read-only, flip bits, tear pages. Nothing wrong is ever read; nothing is lost silently."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from pangea.compute.model.errors import InputError, QuotaError, UnavailableError, UnknownJobError
from pangea.compute.node.service.daemon import data_folder
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.node.storage.journal import WRITE_POINTS, Journal
from pangea.compute.node.storage.records import JobAccepted, JobEnded, SegmentsSplit, Stored, StoredJob, TaskKept, TrustKept
from tests.deadlines import until
from tests.examples import first, long
from tests.nodes import pangea

SECONDS = 50
#: Named so that a flipped bit can't be mistaken for another job.
JOBS = [
    JobAccepted(
        job_id=f"{number:08d}-job", owner="uid:1", name="n", manifest='{"m": "%s"}' % ("m" * 200), accepted_at=number, bytes_in=3
    )
    for number in range(12)
]


def body(text: str) -> Stored:
    data = (text * 100).encode()
    return Stored(data=data, blob="", size=len(data))


def entries_of(job: JobAccepted) -> list[SegmentsSplit | TaskKept | JobEnded]:
    """A job's split and tasks; every third one has ended."""
    name = job.job_id
    entries: list[SegmentsSplit | TaskKept | JobEnded] = [
        SegmentsSplit(job_id=name, first_segment=0, segments=2, chunks=6, size_bytes=9, body=body("split"), fuel=7, seconds=0.5)
    ]
    entries += [
        TaskKept(
            job_id=name,
            task_id=f"{name}:{start}",
            start=start,
            count=2,
            size_bytes=9,
            digest=b"d" * 32,
            body=body(f"result {start}"),
            fuel=11,
            seconds=0.25,
            prints="hi",
        )
        for start in (0, 2, 4)
    ]
    if int(name[:8]) % 3 == 0:
        result = body(f"result of {name}")
        entries.append(
            JobEnded(
                job_id=name,
                state="complete",
                ended_at=2.5,
                body=result,
                size=result.size,
                error="",
                report='{"r": 1}',
                fuel=40,
                chunks=6,
            )
        )
    return entries


def opened(path: Path) -> Journal:
    journal = Journal(path)
    journal.open()
    return journal


def filled(path: Path) -> None:
    """A journal with all of `JOBS`, in one file."""
    journal = opened(path)
    for job in JOBS:
        journal.post(job)
        for entry in entries_of(job):
            journal.post(entry)
    journal.post(TrustKept(worker="w", runtime="r", record='{"t": 1}')).result(SECONDS)
    assert journal.close() == 0


def integrity(path: Path) -> str:
    database = sqlite3.connect(path)
    try:
        (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
        return str(verdict)
    finally:
        database.close()


# The disk is full. A real one: a small tmpfs.


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"can't mount a small disk here, which takes root: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=SECONDS)


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Take all room but `leave` bytes."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - leave))
    return ballast


@pytest.mark.parametrize("leave", [0, 4096, 8192, 65_536])
def test_a_node_that_starts_on_a_full_disk_says_so_in_words(disk: Path, leave: int) -> None:
    folder = disk / "node"
    folder.mkdir()
    fill(disk, leave=leave)
    done = pangea("node", "start", "--data-dir", str(folder), "--workers", "1")
    assert done.returncode == 3
    assert b"Traceback" not in done.stderr
    assert b"no space left" in done.stderr or b"full" in done.stderr


def test_a_blob_on_a_full_disk_is_refused_and_leaves_nothing(disk: Path) -> None:
    store = BlobStore(disk / "blobs")
    ballast = fill(disk, leave=100_000)
    before = os.statvfs(disk).f_bfree
    with pytest.raises(QuotaError, match="the node's disk is full, after") as refused:
        store.put([bytes(60_000)] * 5, durable=True)
    assert refused.value.hint
    with pytest.raises(QuotaError, match=r"don't fit on the node's disk, which has .* free"):
        store.writer(1_000_000, "a" * 64)
    assert (os.statvfs(disk).f_bfree, store.names(), store.total_bytes) == (before, [], 0)
    ballast.unlink()
    assert store.check(store.put([bytes(60_000)] * 5, durable=True))


def test_on_a_full_disk_jobs_are_refused_and_what_was_posted_goes_in_once_there_is_room(disk: Path) -> None:
    path = disk / "journal.sqlite"
    journal = opened(path)
    asyncio.run(journal.append(JOBS[1]))
    ballast = fill(disk)
    large = replace(JOBS[2], manifest="x" * 500_000)
    with pytest.raises(QuotaError, match="the node's disk is full"):
        asyncio.run(journal.append(large))
    assert journal.problem == "the node's disk is full"
    tasks = [replace(entry, prints="p" * 100_000) for entry in entries_of(JOBS[1]) if isinstance(entry, TaskKept)]
    posted: list[Future[None]] = [journal.post(task) for task in tasks]
    assert asyncio.run(journal.settle(replace(tasks[0], task_id="other", start=6))) is False
    with pytest.raises(QuotaError, match="the node's disk is full"):
        asyncio.run(journal.append(JOBS[4]))
    assert [job.accepted for job in journal.load()] == [JOBS[1]]  # what is there can be read
    ballast.unlink()
    for each in posted:
        each.result(SECONDS)
    until(lambda: journal.problem == "", what="the all-clear")
    asyncio.run(journal.append(JOBS[5]))
    assert journal.close() == 0
    assert integrity(path) == "ok"
    journal = opened(path)
    assert [job.accepted for job in journal.load()] == [JOBS[1], JOBS[5]]
    assert [task.task_id for task in journal.load()[0].tasks] == [*(task.task_id for task in tasks), "other"]
    journal.close()


def test_the_all_clear_comes_by_itself_though_nobody_writes(disk: Path) -> None:
    journal = opened(disk / "journal.sqlite")
    ballast = fill(disk)
    with pytest.raises(QuotaError):
        asyncio.run(journal.append(replace(JOBS[2], manifest="x" * 500_000)))
    ballast.unlink()
    until(lambda: journal.problem == "", what="the all-clear")
    journal.close()


def test_a_node_that_starts_on_a_full_disk_has_its_jobs_and_says_what_is_wrong(disk: Path) -> None:
    path = disk / "journal.sqlite"
    filled(path)
    ballast = fill(disk, leave=100_000)  # SQLite needs some for its index of the log
    journal = opened(path)
    assert journal.problem == "the node's disk is full"
    assert len(journal.load()) == len(JOBS)
    ballast.unlink()
    journal.close()


def test_what_never_got_to_a_full_disk_is_counted_at_the_end(disk: Path) -> None:
    journal = opened(disk / "journal.sqlite")
    asyncio.run(journal.append(JOBS[1]))
    fill(disk)
    lost = journal.post(replace(JOBS[2], manifest="x" * 500_000))
    until(lambda: journal.problem, what="the trouble")
    assert journal.close() == 1
    with pytest.raises(UnavailableError):
        lost.result(SECONDS)


def test_a_read_only_disk_is_named(disk: Path) -> None:
    store = BlobStore(disk / "blobs")
    name = store.put([b"content"], durable=True)
    filled(disk / "journal.sqlite")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True, timeout=SECONDS)
    with pytest.raises(UnavailableError, match=r"journal\.sqlite can't be used: read-only file system") as refused:
        opened(disk / "journal.sqlite")
    assert "let the node write" in refused.value.hint
    with pytest.raises(QuotaError, match="read-only file system"):
        store.put([b"more"], durable=True)
    with pytest.raises(QuotaError, match="read-only file system"):
        store.delete(name)
    assert store.collect(set(), older_than=0.0, now=10.0**10) == 0
    assert store.read(name, 0, 7) == b"content"
    with pytest.raises(UnavailableError, match="can't be used: read-only file system"):
        BlobStore(disk / "others")


# The disk lies.


def check_loaded(jobs: list[StoredJob], journal: Journal) -> None:
    """Everything that is there is what was written, or is said to be damaged."""
    written = {job.job_id: job for job in JOBS}
    for job in jobs:
        name = job.accepted.job_id
        if job.ended is not None and "DAMAGED" in job.ended.error:
            continue
        entries = entries_of(written[name])
        manifest = written[name].manifest if job.ended is None else ""
        assert job.accepted == replace(written[name], manifest=manifest)
        assert all(split in entries for split in job.splits)
        assert all(task in entries for task in job.tasks)
        end = entries[-1]
        assert job.ended is None or (isinstance(end, JobEnded) and replace(job.ended, body=None) == replace(end, body=None))
        try:
            assert journal.manifest_of(name) == written[name].manifest
            assert job.ended is None or journal.end_of(name) == end
        except UnknownJobError as error:
            assert "damaged" in error.message  # noqa: PT017
    assert journal.trust() in ([], [TrustKept(worker="w", runtime="r", record='{"t": 1}')])


def look(path: Path) -> str:
    """Open a journal that something was done to: what becomes of it."""
    journal = Journal(path)
    try:
        journal.open()
        jobs = journal.load()
        check_loaded(jobs, journal)
    except UnavailableError as error:
        assert str(path) in error.message or "schema version" in error.message  # noqa: PT017
        assert error.hint  # noqa: PT017
        return "refused"
    finally:
        journal.close()
    return "damaged" if journal.damaged_rows else "whole"


@pytest.mark.parametrize("flips", [120, *long(250)])
def test_no_flipped_bit_in_the_journal_is_ever_read_as_a_result(tmp_path: Path, flips: int) -> None:
    path = tmp_path / "journal.sqlite"
    filled(path)
    content, draw, found = path.read_bytes(), random.Random(24), []
    for _ in range(flips):
        spoiled = bytearray(content)
        spoiled[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(spoiled)
        found.append(look(path))
    assert {"whole", "damaged", "refused"} == set(found)


def test_no_torn_page_is_ever_read_as_a_result(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    filled(path)
    content, found = path.read_bytes(), []
    for start in range(0, len(content), 4096):
        for torn in (bytes(2048), content[:2048], b"\xff" * 2048):
            path.write_bytes(content[: start + 2048] + torn + content[start + 4096 :])
            found.append(look(path))
    assert "refused" in found


def test_a_log_cut_off_anywhere_has_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = opened(path)
    for job in JOBS:
        asyncio.run(journal.append(job))
    wal = path.with_name(f"{path.name}-wal")
    log, database = wal.read_bytes(), path.read_bytes()
    journal.close()
    for cut in random.Random(21).sample(range(len(log) // 2, len(log)), 25):
        for file in (path, wal, path.with_name(f"{path.name}-shm")):
            file.unlink(missing_ok=True)
        path.write_bytes(database)
        wal.write_bytes(log[:cut])
        journal = opened(path)
        jobs = [job.accepted for job in journal.load()]
        assert jobs == JOBS[: len(jobs)]
        journal.close()


def test_a_log_with_a_damaged_header_is_moved_aside_and_its_jobs_are_named(tmp_path: Path) -> None:
    """SQLite by itself takes it for empty."""
    path = tmp_path / "journal.sqlite"
    wal = path.with_name(f"{path.name}-wal")
    journal = opened(path)
    for number, each in enumerate(JOBS):
        asyncio.run(journal.append(replace(each, job_id=str(uuid.UUID(int=number)))))
    log, database = wal.read_bytes(), path.read_bytes()
    journal.close()
    for at in (0, 5, 13, 20, 27, 31):  # magic, version, checkpoint, salt, checksum
        for file in (path, wal, path.with_name(f"{path.name}-shm")):
            file.unlink(missing_ok=True)
        path.write_bytes(database)
        wal.write_bytes(log[:at] + bytes([log[at] ^ 0x40]) + log[at + 1 :])
        journal = opened(path)
        assert journal.load() == []
        assert journal.damaged_log is not None
        assert {str(uuid.UUID(int=number)) for number in range(len(JOBS))} <= journal.damaged_log.named
        assert len(journal.damaged_log.path.read_bytes()) == len(log)
        asyncio.run(journal.append(JOBS[0]))  # and it goes on
        journal.close()
    assert len(list(tmp_path.glob("*.damaged-*"))) == 6


def test_a_whole_log_is_left_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = opened(path)
    asyncio.run(journal.append(JOBS[0]))
    copies = [(each.name, each.read_bytes()) for each in tmp_path.iterdir()]
    journal.close()
    for name, content in copies:
        (tmp_path / name).write_bytes(content)
    journal = opened(path)
    assert [job.accepted for job in journal.load()] == JOBS[:1]
    assert journal.damaged_log is None
    journal.close()


def test_a_damaged_blob_is_said_to_be_and_may_come_again(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    data = b"content" * 10_000
    name = store.put([data], durable=True)
    store.verify(name)
    for damage in (data[:-1], b"C" + data[1:], b""):
        store.path(name).write_bytes(damage)
        with pytest.raises(InputError, match="is damaged on the node's disk") as found:
            store.verify(name)
        assert found.value.hint
        assert not store.has(name)  # so that a client sends it again
        assert store.put([data], durable=True) == name
        store.verify(name)
    store.path(name).unlink()
    with pytest.raises(InputError, match="isn't on the node's disk any more"):
        store.verify(name)
    assert store.total_bytes == 0


def test_content_that_is_made_again_replaces_a_damaged_blob(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "blobs")
    name = store.put([b"content"], durable=False)
    store.path(name).write_bytes(b"CONTENT")
    store.put([b"content"], durable=False)
    assert store.check(name)


# The process dies.

_WRITE = """
import asyncio, os, sys
from dataclasses import replace
from pathlib import Path
from tests.hostile.test_storage_faults import JOBS, entries_of
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.node.storage.crash import crash_point
from pangea.compute.node.storage.journal import Journal

hook = crash_point(os.environ)
folder = Path(sys.argv[1])
store, journal = BlobStore(folder / "blobs", on_write=hook), Journal(folder / "journal.sqlite", on_write=hook)
journal.open()
for job in JOBS:
    name = store.put([job.job_id.encode()], durable=True)
    asyncio.run(journal.append(replace(job, blobs=(name,))))
    for entry in entries_of(job):
        journal.post(entry)
    print(job.job_id, flush=True)
journal.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "point", first(len(WRITE_POINTS), (f"{point}:{number}" for number in (1, 4, 9) for point in WRITE_POINTS))
)
def test_whatever_was_answered_is_there_after_a_kill_at_any_write(point: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PANGEA_CRASH_AT": point,
        "PYTHONPATH": os.pathsep.join(map(str, [Path(__file__).parents[2], *sys.path])),
    }
    done = subprocess.run(
        [sys.executable, "-c", _WRITE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    answered = done.stdout.split()
    store, journal = BlobStore(tmp_path / "blobs"), opened(tmp_path / "journal.sqlite")
    jobs = journal.load()
    assert {job.accepted.job_id for job in jobs} >= set(answered)
    assert len(jobs) <= len(answered) + 1
    assert journal.damaged_rows == 0
    for job in jobs:
        assert all(store.check(name) for name in job.accepted.blobs)
        written = [entry for entry in entries_of(JOBS[int(job.accepted.job_id[:8])]) if not isinstance(entry, JobEnded)]
        there = [*job.splits, *job.tasks]
        assert there == written[: len(there)]  # in order, without a gap
    assert all(path.name in store.names() for path in store._folder.rglob("*") if path.is_file())
    assert integrity(tmp_path / "journal.sqlite") == "ok"
    journal.close()


@pytest.mark.parametrize("name", ["journal.sqlite-wal", "identity.key", "lock", "contributions"])
@pytest.mark.parametrize("is_pipe", [True, False], ids=["pipe", "device"])
def test_a_data_directory_with_a_pipe_or_a_device_in_it_is_refused_by_name(tmp_path: Path, name: str, *, is_pipe: bool) -> None:
    if is_pipe:
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    what = "named pipe" if is_pipe else "device"
    with pytest.raises(UnavailableError, match=f"{name} is a {what}"):
        data_folder(tmp_path)


def test_what_is_no_plain_file_is_no_blob(tmp_path: Path) -> None:
    name = BlobStore(tmp_path).put([b"content"], durable=False)
    path = BlobStore(tmp_path).path(name)
    path.unlink()
    os.mkfifo(path)
    again = BlobStore(tmp_path)
    assert not again.has(name)
    assert again.put([b"content"], durable=False) == name
    assert again.read(name, 0, 7) == b"content"
