"""`kill -9` at every write point, under load, and what an operator does: nothing is lost, nothing is done twice."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from tests.deadlines import until
from tests.examples import first
from tests.nodes import NodeProcess
from tests.ports import Port

from pangea.compute import Client, Job, JobHandle
from pangea.compute.node.storage.journal import WRITE_POINTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
WAIT = 120


@Job.define(split_strategy="fixed_size", min_chunk_size=1 << 10, max_chunk_size=1 << 16)
def tally() -> None:
    """Counts bytes by value; its results are larger than what the journal keeps in a row."""

    @Job.split
    def split(data: bytes) -> list[bytes]:
        return [data[at : at + 8192] for at in range(0, len(data), 8192)]

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"".join(chunk.count(bytes([value])).to_bytes(4, "little") for value in range(256)) * 16

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        sums = [0] * 256
        for result in results:
            for value in range(256):
                sums[value] += int.from_bytes(result[4 * value : 4 * value + 4], "little")
        return b"".join(total.to_bytes(8, "little") for total in sums)


@cache
def expected(data: bytes) -> bytes:
    counted = Counter(data)
    return b"".join(counted[value].to_bytes(8, "little") for value in range(256))


DATA = random.Random(7).randbytes(3 << 20)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "node"


def crash_points() -> list[Any]:
    """Each write point, at its first, second, … time: until a job of this size passes it no more."""
    often = [pytest.param(f"{point}:{number}", marks=pytest.mark.long) for point in WRITE_POINTS for number in (2, 3, 5, 8)]
    return [*first(1, sorted(f"{point}:1" for point in WRITE_POINTS)), *often]


@pytest.mark.parametrize("point", crash_points())
def test_a_job_ends_exactly_though_the_node_dies_at_a_write(point: str, data_dir: Path) -> None:
    with (
        NodeProcess(data_dir, "--workers", "1", crash_at=point) as node,
        Client(str(data_dir), reconnect_timeout=60) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        submitting = threads.submit(client.submit_job, tally, DATA)  # a lost answer is asked for again, under the same id
        waiting = threads.submit(lambda: submitting.result().result(WAIT))
        while node.is_alive and not waiting.done():
            with suppress(subprocess.TimeoutExpired):
                node.process.wait(0.02)
        if not node.is_alive:
            node.wait()
            node.start()
        assert bytes(waiting.result(WAIT)) == expected(DATA)
        (status,) = client.list_jobs()
        assert client.job(status.job_id).result(WAIT) == expected(DATA)


def chunks_on_disk(data_dir: Path) -> int:
    with closing(sqlite3.connect(f"file:{data_dir / 'journal.sqlite'}?mode=ro", uri=True)) as journal:
        (count,) = journal.execute("SELECT coalesce(sum(count), 0) FROM tasks").fetchone()
    return int(count)


def test_finished_tasks_are_not_run_again_after_a_kill(data_dir: Path) -> None:
    data = DATA * 2
    with (
        Port() as port,
        NodeProcess(data_dir, "--http", f"127.0.0.1:{port.number}") as node,
        Client(str(data_dir), reconnect_timeout=60) as client,
    ):
        handle = client.submit_job(tally, data)
        before = 0
        for status in handle:
            before = status.completed_chunks
            if before > 100:
                break
        until(lambda: chunks_on_disk(data_dir) >= before, what="the journal")  # a moment later: it gathers
        node.kill()
        node.start()
        assert bytes(handle.result(WAIT)) == expected(data)
        status = client.job(handle.job_id).status()
        assert status.restarts == 1
        assert 0 < before < status.total_chunks, "the kill came too early or too late to show anything"
        assert chunks_accepted(port.number) <= status.total_chunks - before


def chunks_accepted(port: int) -> int:
    """Chunks in tasks that this start of the node has executed and accepted, as its metrics say."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=50) as page:
        text = page.read().decode()
    return int(next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith("pangea_chunks_total")))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_hundred_random_kills_under_load_lose_nothing(data_dir: Path) -> None:
    draw = random.Random(2026)
    inputs = [draw.randbytes(draw.randrange(1, 1 << 20)) for _ in range(400)]
    with NodeProcess(data_dir) as node, Client(str(data_dir), reconnect_timeout=60) as client:
        waiting: list[tuple[bytes, JobHandle]] = []
        for kill in range(100):
            for data in inputs[4 * kill : 4 * kill + 4]:
                waiting.append((data, client.submit_job(tally, data)))
            with suppress(subprocess.TimeoutExpired):
                node.process.wait(draw.uniform(0.0, 0.5))
            node.kill()
            node.start()
        for data, handle in waiting:
            assert bytes(handle.result(WAIT)) == expected(data)


def test_an_operator_s_stop_is_clean_and_the_job_goes_on(data_dir: Path) -> None:
    with NodeProcess(data_dir, "--stop-seconds", "5") as node, Client(str(data_dir), reconnect_timeout=60) as client:
        handle = client.submit_job(tally, DATA)
        assert node.stop() == 0
        assert not (data_dir / "rpc.sock").exists()
        node.start()
        assert bytes(handle.result(WAIT)) == expected(DATA)
