"""Entries to rows and back: what the journal's tables give is what they were given."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.node.storage import tables
from pangea.compute.node.storage.migrations import migrate
from pangea.compute.node.storage.records import (
    Entry,
    JobAccepted,
    JobEnded,
    SegmentsSplit,
    Stored,
    StoredJob,
    TaskKept,
    TrustKept,
    size_of,
)
from tests.property.drawn import COUNTS, HASHES, REALS, TEXTS

JOB_ID = "0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11"
DIGITS = st.binary(min_size=32, max_size=32)
INLINE = st.binary(max_size=50).map(lambda data: Stored(data=data, blob="", size=len(data)))
BODIES = INLINE | st.builds(Stored, data=st.none(), blob=HASHES, size=COUNTS)
JOBS = st.builds(
    JobAccepted,
    job_id=st.just(JOB_ID),
    owner=TEXTS,
    name=TEXTS,
    manifest=TEXTS,
    accepted_at=REALS,
    bytes_in=COUNTS,
    blobs=st.lists(HASHES, max_size=3).map(tuple),
)
SPLITS = st.builds(
    SegmentsSplit,
    job_id=st.just(JOB_ID),
    first_segment=COUNTS,
    segments=COUNTS,
    chunks=COUNTS,
    size_bytes=COUNTS,
    body=BODIES,
    fuel=COUNTS,
    seconds=REALS,
)
TASKS = st.builds(
    TaskKept,
    job_id=st.just(JOB_ID),
    task_id=TEXTS,
    start=COUNTS,
    count=COUNTS,
    size_bytes=COUNTS,
    digest=DIGITS,
    body=BODIES,
    fuel=COUNTS,
    seconds=REALS,
    prints=TEXTS,
)
ENDS = st.builds(
    lambda body, **rest: JobEnded(body=body, size=body.size if body is not None else 0, **rest),
    body=st.none() | BODIES,
    job_id=st.just(JOB_ID),
    state=st.sampled_from(["complete", "failed", "cancelled"]),
    ended_at=REALS,
    error=TEXTS,
    report=TEXTS,
    fuel=COUNTS,
    chunks=COUNTS,
    trace=st.binary(max_size=50),
)
TRUST = st.builds(TrustKept, worker=TEXTS, runtime=TEXTS, record=TEXTS)


@contextmanager
def database(*entries: Entry) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    try:
        opened.text_factory = tables.text_of
        opened.execute("PRAGMA foreign_keys = ON")
        migrate(opened)
        for entry in entries:
            tables.insert(opened, entry)
        yield opened
    finally:
        opened.close()


@given(JOBS, st.lists(SPLITS, max_size=3, unique_by=lambda split: split.first_segment), st.lists(TASKS, max_size=3))
def test_an_unfinished_job_is_loaded_whole_and_in_order(
    job: JobAccepted, splits: list[SegmentsSplit], tasks: list[TaskKept]
) -> None:
    last = {task.task_id: task for task in tasks}  # a task that is kept again replaces itself
    with database(job, *splits, *tasks) as opened:
        (loaded,), damaged = tables.load_jobs(opened)
    assert damaged == 0
    assert (loaded.accepted, loaded.ended, loaded.restarts) == (job, None, 0)
    assert loaded.splits == tuple(sorted(splits, key=lambda split: split.first_segment))
    assert [task.start for task in loaded.tasks] == sorted(task.start for task in last.values())
    assert {task.task_id: task for task in loaded.tasks} == last


@given(JOBS, st.lists(TASKS, max_size=2), ENDS)
def test_of_an_ended_job_everything_is_there_but_its_tasks(job: JobAccepted, tasks: list[TaskKept], end: JobEnded) -> None:
    with database(job, *tasks, end, replace(end, fuel=end.fuel + 1, state="failed")) as opened:
        (loaded,), damaged = tables.load_jobs(opened)
        whole, manifest = tables.load_end(opened, JOB_ID), tables.load_manifest(opened, JOB_ID)
        trace = tables.load_trace(opened, JOB_ID)
        ledger = opened.execute("SELECT * FROM ledger").fetchall()
    on_disk = end.body is None or end.body.data is None
    assert damaged == 0
    assert (whole, manifest, ledger) == (replace(end, trace=b""), job.manifest, [(job.owner, 1, end.fuel)])
    assert trace == end.trace
    end = replace(end, trace=b"")
    assert loaded == StoredJob(accepted=replace(job, manifest=""), ended=end if on_disk else replace(end, body=None))


@given(st.lists(TRUST, max_size=4))
def test_the_last_word_about_a_worker_is_kept(entries: list[TrustKept]) -> None:
    with database(*entries) as opened:
        loaded, damaged = tables.load_trust(opened)
    assert damaged == 0
    assert {(each.worker, each.runtime): each for each in loaded} == {(each.worker, each.runtime): each for each in entries}


@given(JOBS | SPLITS | TASKS | ENDS | TRUST)
def test_an_entry_s_size_is_that_of_what_it_carries(entry: Entry) -> None:
    body = getattr(entry, "body", None)
    inline = len(body.data) if body is not None and body.data is not None else 0
    assert size_of(entry) == inline + len(getattr(entry, "prints", "")) + len(getattr(entry, "manifest", ""))


VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | REALS | TEXTS | st.binary(max_size=20)
ROWS = st.lists(VALUES, max_size=5).map(tuple)


@given(ROWS, ROWS)
def test_rows_that_differ_have_other_checksums(one: tuple[tables.Value, ...], other: tuple[tables.Value, ...]) -> None:
    assert (tables.crc_of(one) == tables.crc_of(other)) == (repr(one) == repr(other))
