"""What a node says of each task of a job: while it runs, when it has ended, after a restart, and of other nodes' work."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pangea.compute import Client, Job
from pangea.compute.engine.engine import Engine
from pangea.compute.jobs import JobDefinition
from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import JobState
from pangea.compute.model.trace import Check, Trace
from pangea.compute.node.jobs import forgetting, tracing
from pangea.compute.pictures import run_picture, run_report
from tests.deadlines import comes_true
from tests.desk import Desk, Play, job, player
from tests.guests import LOOP, module
from tests.trees import Tree, lines

WAIT = 90


def total_of(mode: str) -> JobDefinition:
    """Split, executed by whoever has time, merged early. A new module for each mode: what is known to be cheap stays at home."""

    @Job.define(split_strategy="row_based", min_chunk_size=1 << 10, max_chunk_size=1 << 11, estimated_flops=1e13)
    def total() -> None:
        @Job.split
        def split(data: bytes) -> list[bytes]:
            return data.splitlines()

        @Job.execute
        def execute(chunk: bytes) -> bytes:
            return b"%d" % sum(int(chunk) % number for number in range(1, 400 + len(mode)))

        @Job.merge(associative=True)
        def merge(results: list[bytes]) -> bytes:
            return b"%d" % sum(map(int, results))

    return total


@pytest.fixture
def play(tmp_path: Path, engine: Engine) -> Play:
    return player(tmp_path, engine)


async def trace_on(on: Desk, job_id: JobId) -> Trace:
    return Trace.from_json((await on.me.tree(job_id))["trace"])


def test_a_trace_outlives_the_node_and_takes_no_memory(play: Play) -> None:
    seen: dict[str, Any] = {}

    async def first(on: Desk) -> None:
        manifest = replace(job(), inputs=tuple(Content(b"%d" % n) for n in range(5)))
        job_id = await on.me.submit(manifest)
        await on.done(job_id)
        seen["id"], seen["trace"] = job_id, await trace_on(on, job_id)
        known = on.node.book.get(job_id)
        assert known is not None
        assert known.ended is not None
        assert known.ended.trace == b"", "it is on disk, and there alone"
        (row,) = [each for each in seen["trace"].spans if each.function == "execute"][:1]
        assert (row.worker, row.check, row.attempts) == (on.node.peer, Check.HERE, 1)
        assert 0 < row.ended < 30
        report = (await on.done(job_id)).report
        assert "trace" not in report
        assert sum(span.fuel for span in seen["trace"].spans) == report["fuel"]
        assert seen["trace"].tasks == report["tasks"]

    async def second(on: Desk) -> None:
        assert await trace_on(on, seen["id"]) == seen["trace"]

    play(first)
    play(second)
    assert sum(span.count for span in seen["trace"].spans if span.function == "execute") == 5


def test_a_trace_goes_with_its_job(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "ASKED_FOR_SECONDS", -1.0)

    async def forgotten(on: Desk) -> None:
        for _ in range(3):
            await on.done(await on.me.submit(job()))
        on.node._forget_old()

    play(forgotten, kept_jobs_max=1)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM traces").fetchone() == (1,)
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (1,)


def test_a_damaged_trace_is_none(play: Play, tmp_path: Path) -> None:
    ids: list[JobId] = []

    async def first(on: Desk) -> None:
        ids.append(await on.me.submit(job()))
        await on.done(ids[0])

    async def second(on: Desk) -> None:
        tree = await on.me.tree(ids[0])
        assert (tree["trace"], tree["status"]["state"]) == ({}, "complete")

    play(first)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as database:
        database.execute("UPDATE traces SET trace = x'00' || substr(trace, 2)")
        database.commit()
    play(second)


def test_a_job_that_failed_has_a_trace_of_what_it_did(play: Play) -> None:
    async def scene(on: Desk) -> None:
        options = JobOptions.of({"limits": {"fuel": 10**7}, "min_chunk_size": 1})
        manifest = replace(job(), module=Content(module(execute=LOOP)), options=options)
        job_id = await on.me.submit(manifest)
        assert (await on.done(job_id)).status.state is JobState.FAILED
        tree = await on.me.tree(job_id)
        assert Trace.from_json(tree["trace"]).tasks == 0
        assert tree["options"] == {"limits": {"fuel": 10**7}, "min_chunk_size": 1}

    play(scene)


@pytest.mark.parametrize("few", [-1, tracing.FEW_TASKS])
def test_a_job_under_way_says_what_is_done(play: Play, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """From the loop if it is little, in a thread if it is much."""
    monkeypatch.setattr(tracing, "FEW_TASKS", few)

    async def scene(on: Desk) -> None:
        manifest = replace(
            job(),
            module=Content(module(execute=LOOP)),
            options=JobOptions.of({"limits": {"fuel": 10**14, "time": 20}}),
        )
        job_id = await on.me.submit(manifest)
        await comes_true(lambda: bool((live := on.node.book.get(job_id)) and live.live and live.live.running))
        tree = await on.me.tree(job_id)
        assert Trace.from_json(tree["trace"]).spans == ()
        await on.me.cancel(job_id)
        other = await on.me.submit(job())
        await on.done(other)
        assert (await trace_on(on, other)).tasks == 1

    play(scene)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    with Tree(tmp_path_factory.mktemp("traces")) as tree:
        root = tree.add(None)
        for _ in range(2):
            tree.add(root)
        tree.grown(root, 2)
        yield tree


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", ["adaptive", *(pytest.param(mode, marks=pytest.mark.long) for mode in ("none", "redundancy"))])
def test_the_trace_of_a_tree_names_workers_checks_and_counts(tree: Tree, mode: str) -> None:
    data, total = lines(6_000), total_of(mode)
    with Client(str(tree.nodes[0].data_dir)) as client:
        handle = client.submit_job(total, data, verification_mode=mode, redundancy=2)
        result = handle.result(WAIT)
        about = handle.tree()
        trace = handle.trace()
        drawn, page = run_picture(handle, "tree"), run_report(handle)
    assert bytes(result) == total.run_local(data)
    assert trace == Trace.from_json(about["trace"])
    tasks: Counter[str] = Counter()
    chunks: Counter[str] = Counter()
    for span in trace.spans:
        tasks[span.function] += span.tasks
        if span.function == "execute":
            chunks[span.worker] += span.count
    assert sum(chunks.values()) == result.report.chunks == 6_000
    assert dict(chunks) == {row["peer"]: row["chunks"] for row in about["workers"]}
    assert set(chunks) <= {node.peer for node in tree.nodes}
    assert tasks["split"] >= 1
    assert tasks["merge"] >= 1
    assert sum(span.fuel for span in trace.spans) == result.report.fuel
    assert all(span.began <= span.ended <= result.report.seconds + 1 for span in trace.spans)
    of_others = {span.check for span in trace.spans if span.function == "execute" and span.worker != tree.nodes[0].peer}
    allowed = {
        "none": {Check.WORD, Check.AGAIN, Check.VOTES},
        "adaptive": {Check.WORD, Check.AGAIN, Check.VOTES},
        "redundancy": {Check.AGAIN, Check.VOTES},
    }
    assert of_others <= allowed[mode]
    assert of_others, "nobody else has done anything"
    assert tree.nodes[1].peer[:16] in drawn.svg()
    assert tree.nodes[1].peer[:16] in page
