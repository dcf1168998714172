"""The journal against a plain dictionary, over restarts and full disks."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pangea.compute.model.errors import ManifestError, QuotaError
from pangea.compute.node.storage.journal import Journal
from pangea.compute.node.storage.records import (
    Entry,
    JobAccepted,
    JobEnded,
    JobForgotten,
    JobsRestarted,
    Stored,
    TaskDropped,
    TaskKept,
)
from tests.examples import share_of

SECONDS = 20
JOB_IDS = st.sampled_from(["a", "b", "c"])
STARTS = st.integers(0, 3)
FUEL = st.integers(0, 2**40)
#: Some fit in a page that is there already, some don't.
DATA = st.one_of(st.binary(max_size=20), st.sampled_from([bytes(30_000), b"\xff" * 60_000]))


@dataclass
class Known:
    """What the journal must say of a job."""

    accepted: JobAccepted
    restarts: int = 0
    tasks: dict[str, TaskKept] = field(default_factory=dict)
    ended: JobEnded | None = None


class JournalMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.sqlite"
        self.known: dict[str, Known] = {}
        self.fuel: dict[str, tuple[int, int]] = {}
        self.is_full = False
        self.posted: list[Future[None]] = []
        self.journal = Journal(self.path)
        self.journal.open()

    def post(self, entry: Entry) -> None:
        self.posted.append(self.journal.post(entry))

    @precondition(lambda self: not self.is_full)
    @rule(job_id=JOB_IDS, owner=st.sampled_from(["x", "y"]), size=st.sampled_from([1, 50_000]))
    def accept(self, job_id: str, owner: str, size: int) -> None:
        entry = JobAccepted(job_id=job_id, owner=owner, name="n", manifest="m" * size, accepted_at=1.0, bytes_in=size)
        known = self.known.get(job_id)
        try:
            asyncio.run(self.journal.append(entry))
        except ManifestError:
            assert known is not None
            assert (known.accepted.owner, known.accepted.manifest) != (owner, entry.manifest)
        else:
            assert known is None or known.accepted == entry
            self.known.setdefault(job_id, Known(entry))

    @precondition(lambda self: self.is_full)
    @rule()
    def accept_on_a_full_disk(self) -> None:
        entry = JobAccepted(job_id="large", owner="x", name="n", manifest="m" * 500_000, accepted_at=1.0, bytes_in=1)
        with pytest.raises(QuotaError):
            asyncio.run(self.journal.append(entry))

    @rule(job_id=JOB_IDS, start=STARTS, fuel=FUEL, data=DATA)
    def keep(self, job_id: str, start: int, fuel: int, data: bytes) -> None:
        stored = Stored(data=data, blob="", size=len(data))
        task = TaskKept(
            job_id=job_id,
            task_id=f"t{start}",
            start=start,
            count=1,
            size_bytes=1,
            digest=b"d",
            body=stored,
            fuel=fuel,
            seconds=0.5,
        )
        self.post(task)
        if (known := self.known.get(job_id)) is not None and known.ended is None:
            known.tasks[task.task_id] = task

    @rule(job_id=JOB_IDS, start=STARTS)
    def drop(self, job_id: str, start: int) -> None:
        self.post(TaskDropped(job_id=job_id, task_id=f"t{start}"))
        if (known := self.known.get(job_id)) is not None:
            known.tasks.pop(f"t{start}", None)

    @rule(job_id=JOB_IDS, fuel=FUEL, data=st.one_of(st.none(), DATA))
    def end(self, job_id: str, fuel: int, data: bytes | None) -> None:
        body = Stored(data=data, blob="", size=len(data)) if data is not None else None
        entry = JobEnded(
            job_id=job_id,
            state="complete",
            ended_at=2.0,
            body=body,
            size=body.size if body else 0,
            error="",
            report="{}",
            fuel=fuel,
            chunks=1,
        )
        self.post(entry)
        known = self.known.get(job_id)
        if known is not None and known.ended is None:
            known.ended, known.tasks = entry, {}
            jobs, used = self.fuel.get(known.accepted.owner, (0, 0))
            self.fuel[known.accepted.owner] = (jobs + 1, used + fuel)

    @rule(job_id=JOB_IDS)
    def forget(self, job_id: str) -> None:
        self.post(JobForgotten(job_id=job_id))
        self.known.pop(job_id, None)

    @rule()
    def fill_up(self) -> None:
        self.limit_pages(1)
        self.is_full = True

    @precondition(lambda self: self.is_full)
    @rule()
    def make_room(self) -> None:
        self.limit_pages(1_000_000)
        self.is_full = False
        for each in self.posted:
            each.result(SECONDS)

    def limit_pages(self, count: int) -> None:
        self.journal._ask(lambda database: database.execute(f"PRAGMA max_page_count = {count}").fetchall())

    @precondition(lambda self: not self.is_full)
    @rule()
    def restart(self) -> None:
        assert self.journal.close() == 0
        self.journal = Journal(self.path)
        self.journal.open()
        self.post(JobsRestarted(job_ids=tuple(self.known)))
        for known in self.known.values():
            known.restarts += 1

    @invariant()
    def the_journal_says_what_is_known(self) -> None:
        if not hasattr(self, "journal") or self.is_full:
            return
        while self.posted:
            self.posted.pop().result(SECONDS)
        loaded = {job.accepted.job_id: job for job in self.journal.load()}
        assert set(loaded) == set(self.known)
        for job_id, known in self.known.items():
            job = loaded[job_id]
            assert job.accepted == replace(known.accepted, manifest="" if known.ended else known.accepted.manifest)
            assert self.journal.manifest_of(job_id) == known.accepted.manifest
            assert {task.task_id: task for task in job.tasks} == known.tasks
            assert job.ended == (replace(known.ended, body=None) if known.ended is not None else None)
            assert job.restarts == known.restarts
            if known.ended is not None and known.ended.body is not None:
                assert self.journal.end_of(job_id) == known.ended
        assert self.journal.ledger() == self.fuel
        assert self.journal.damaged_rows == self.journal.refused_entries == self.journal.shed_entries == 0

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
            self.folder.cleanup()


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=share_of(40), stateful_step_count=25, deadline=None)
