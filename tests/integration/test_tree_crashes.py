"""Row 21: `kill -9` of each role of a tree at each write that it makes, of the client too, and again while it recovers."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pangea.compute import Client, Job, Result
from pangea.compute.node.storage.journal import WRITE_POINTS
from tests.trees import Tree, TreeNode, lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
WAIT = 90
HEAVY = 1e13
DATA = lines(1_500)
#: Of a node: those that `journal` lists.
POINTS = [f"{point}:{number}" for point in WRITE_POINTS for number in (1, 2, 4)]
#: In the middle of a job; the first is part of the default suite.
SOME = ["blob before link:1", "journal after commit:4", "journal before commit:2"]


@Job.define(split_strategy="fixed_size", min_chunk_size=1 << 12, max_chunk_size=1 << 12, estimated_flops=HEAVY)
def weigh() -> None:
    """Some tenths of a second of work on each chunk; results too large for messages and rows of the journal: blobs, in all."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        value = 7
        for _ in range(30):
            for byte in chunk:
                value = (value * 31 + byte) & 0xFFFFFFFF
        return b"%d;" % value * 12_000


@pytest.fixture(scope="module")
def expected() -> bytes:
    return bytes(weigh.run_local(DATA))


@contextmanager
def submitted(root: TreeNode) -> Iterator[Future[Result]]:
    """The job, by a client that waits for its node to come back."""
    with Client(str(root.data_dir), reconnect_timeout=WAIT) as client, ThreadPoolExecutor(1) as threads:
        yield threads.submit(lambda: client.submit_job(weigh, DATA).result(WAIT))


def again(node: TreeNode, waiting: Future[Result], *, crash_at: str = "") -> bool:
    """Wait for a node to die, and start it again; whether it has died before the job was done."""
    while node.is_alive and not waiting.done():
        with suppress(subprocess.TimeoutExpired):
            node.process.wait(0.02)
    if node.is_alive:
        return False
    node.wait()
    node.start(crash_at=crash_at)
    return True


def die_at(node: TreeNode, point: str) -> None:
    """Have a node die at a write from now on."""
    node.stop()
    node.start(crash_at=point)


def assert_exact_though_the_root_dies(folder: Path, point: str, expected: bytes, *, twice: bool = False) -> None:
    with Tree(folder) as tree:
        root = tree.add(None)
        tree.add(root)
        tree.grown(root, 1)
        die_at(root, point)
        tree.grown(root, 1)
        with submitted(root) as waiting:
            died = again(root, waiting, crash_at=point if twice else "")
            if died and twice:
                again(root, waiting)
            assert bytes(waiting.result(WAIT)) == expected
        with Client(str(root.data_dir)) as client:
            assert [status.state.value for status in client.list_jobs()] == ["complete"]


@pytest.mark.parametrize("point", SOME[:1])
def test_row_21_a_root_with_a_child_dies_at_a_write_and_the_job_ends_once(tmp_path: Path, point: str, expected: bytes) -> None:
    assert_exact_though_the_root_dies(tmp_path, point, expected)


@pytest.mark.long
@pytest.mark.parametrize("point", [point for point in POINTS if point not in SOME[:1]])
def test_row_21_a_root_with_a_child_dies_at_any_write(tmp_path: Path, point: str, expected: bytes) -> None:
    assert_exact_though_the_root_dies(tmp_path, point, expected)


@pytest.mark.long
@pytest.mark.parametrize("point", SOME)
def test_row_21_a_root_dies_again_while_it_recovers(tmp_path: Path, point: str, expected: bytes) -> None:
    assert_exact_though_the_root_dies(tmp_path, point, expected, twice=True)


def assert_exact_though_one_below_dies(folder: Path, role: str, point: str, expected: bytes) -> None:
    """A node below the root dies at one of its own writes, which are of blobs, or in the middle of its work."""
    with Tree(folder) as tree:
        root = tree.add(None)
        manager = tree.add(root)
        leaf = tree.add(manager)
        tree.grown(root, 2)
        victim = {"manager": manager, "leaf": leaf}[role]
        if point:
            die_at(victim, point)
            tree.grown(root, 2)
        with submitted(root) as waiting:
            if not point:
                tree.wait(lambda: sum(int(each["tasks"]) for each in root.children()) > 0)
                victim.kill()
            assert again(victim, waiting) or point, "the job was over before"
            assert bytes(waiting.result(WAIT)) == expected
        tree.grown(root, 2)


@pytest.mark.long
@pytest.mark.parametrize("role", ["manager", "leaf"])
def test_row_21_a_node_below_dies_in_the_middle_and_comes_back(tmp_path: Path, role: str, expected: bytes) -> None:
    assert_exact_though_one_below_dies(tmp_path, role, "", expected)


@pytest.mark.long
@pytest.mark.parametrize("role", ["manager", "leaf"])
@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith("blob")])
def test_row_21_a_node_below_dies_at_any_write(tmp_path: Path, role: str, point: str, expected: bytes) -> None:
    assert_exact_though_one_below_dies(tmp_path, role, point, expected)


def submit_and_die(data_dir: str, job_id: str, told: str) -> None:
    """A client that is killed as soon as its job is taken."""
    client = Client(data_dir)
    client.submit_job(weigh, DATA, job_id=job_id)
    Path(told).touch()
    os.kill(os.getpid(), 9)


@pytest.mark.long
def test_row_21_a_client_dies_and_another_fetches_its_result(tmp_path: Path, expected: bytes) -> None:
    job_id = "0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a21"
    with Tree(tmp_path) as tree:
        root = tree.add(None)
        tree.add(root)
        tree.grown(root, 1)
        process = multiprocessing.get_context("spawn").Process(
            target=submit_and_die, args=(str(root.data_dir), job_id, str(tmp_path / "told"))
        )
        process.start()
        process.join(WAIT)
        assert process.exitcode == -9
        assert (tmp_path / "told").exists()
        with Client(str(root.data_dir)) as client:
            assert bytes(client.job(job_id).result(WAIT)) == expected
