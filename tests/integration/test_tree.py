"""Jobs on trees of real nodes: exact results whatever the tree and its faults, checked answers, receipts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pangea.compute import Client, Job
from pangea.compute.jobs import JobState
from pangea.compute.model.options import VerificationMode
from pangea.compute.network.identity import is_signed_by
from pangea.compute.verification import receipt_check, receipt_file
from tests.examples import first
from tests.trees import HEAVY, Tree, TreeNode, digest, levels, lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
WAIT = 90


@Job.define(split_strategy="row_based", min_chunk_size=1 << 10, max_chunk_size=1 << 11, estimated_flops=HEAVY)
def total() -> None:
    """A sum, merged early."""

    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.splitlines()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d" % sum(int(chunk) % number for number in range(1, 400))

    @Job.merge(associative=True)
    def merge(results: list[bytes]) -> bytes:
        return b"%d" % sum(map(int, results))


@Job.define(split_strategy="fixed_size", min_chunk_size=1 << 18, max_chunk_size=1 << 18, estimated_flops=HEAVY)
def double() -> None:
    """Inputs and results too large to travel inside messages."""

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return chunk + chunk[::-1]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """A root, two managers, and a leaf below each: one of them only dials."""
    with Tree(tmp_path_factory.mktemp("tree")) as tree:
        (root,), managers = levels([2], tree)
        tree.add(managers[0])
        tree.add(managers[1], listens=False)
        tree.grown(root, 4)
        yield tree


def root_of(tree: Tree) -> TreeNode:
    return tree.nodes[0]


def test_a_job_is_done_by_three_levels_and_its_receipt_names_them(tree: Tree) -> None:
    data = lines(1_500)
    with Client(str(root_of(tree).data_dir)) as client:
        # Unchecked: what strangers say is executed again by the root, and then its own record stands in the receipt.
        handle = client.submit_job(digest, data, receipt=True, verification_mode="none")
        result = handle.result(WAIT)
    assert bytes(result) == digest.run_local(data)
    receipt = receipt_file.loads(root_of(tree).receipt(handle.job_id))
    assert receipt_check.check(receipt, is_signed_by) == []
    workers = {record.worker for record in receipt.executes()}
    leaves = {node.peer for node in tree.nodes[3:]}
    assert workers & leaves, "no leaf has done anything"
    rows = root_of(tree).ask(lambda node: node.tree(handle.job_id))["workers"]
    assert sum(row["chunks"] for row in rows) == receipt.job.chunks
    assert {row["branch"] for row in rows if row["peer"] in leaves} <= {node.peer for node in tree.nodes[1:3]}
    worker = next(node for node in tree.nodes[3:] if node.peer in workers)
    (done,) = worker.ask(lambda node: node.peers())["contributions"]["worked_for"]
    assert (done["owner"], done["job"]) == (root_of(tree).peer, "digest")
    assert done["through"] in {node.peer for node in tree.nodes[1:3]}
    mine = [record for record in receipt.executes() if record.worker == worker.peer]
    assert done["tasks"] >= len(mine)
    assert done["fuel"] >= sum(record.fuel for record in mine)


@pytest.mark.long
def test_merge_steps_are_tasks_with_records_of_their_own(tree: Tree) -> None:
    data = lines(9_000)
    with Client(str(root_of(tree).data_dir)) as client:
        handle = client.submit_job(total, data, receipt=True)
        result = handle.result(WAIT)
    assert bytes(result) == total.run_local(data)
    receipt = receipt_file.loads(root_of(tree).receipt(handle.job_id))
    assert receipt_check.check(receipt, is_signed_by) == []
    assert receipt.job.fuel == result.report.fuel, "the receipt is the bill"


def test_large_contents_are_pulled_in_blocks(tree: Tree) -> None:
    data = lines(1 << 16)
    doubled = double.run_local(data)
    with Client(str(root_of(tree).data_dir)) as client:
        for _ in range(10):  # on a busy machine the root may do most of one by itself
            assert bytes(client.submit_job(double, data).result(WAIT)) == doubled
            received = sum(int(child["received_bytes"]) for child in root_of(tree).children())
            if received > 1 << 18:
                break
    assert received > 1 << 18, "no result has crossed a link"


@pytest.mark.parametrize("mode", first(1, reversed(VerificationMode)))
def test_every_mode_gives_the_exact_result(tree: Tree, mode: VerificationMode) -> None:
    data = lines(400)
    with Client(str(root_of(tree).data_dir)) as client:
        result = client.submit_job(digest, data, verification_mode=mode, redundancy=2).result(WAIT)
    assert bytes(result) == digest.run_local(data)
    assert result.report.verification.startswith(str(mode))


def test_a_module_is_fetched_once_for_all_jobs(tree: Tree) -> None:
    modules = [{path.name for path in (node.data_dir / "modules").glob("??/*")} for node in tree.nodes[1:]]
    assert all(modules), "everybody has worked by now"
    with Client(str(root_of(tree).data_dir)) as client:
        client.submit_job(digest, lines(200)).result(WAIT)
    assert [{path.name for path in (node.data_dir / "modules").glob("??/*")} for node in tree.nodes[1:]] == modules


@pytest.mark.long
def test_what_was_learned_of_workers_outlives_the_node(tmp_path: Path) -> None:
    with Tree(tmp_path) as tree:
        root = tree.add(None)
        worker = tree.add(root)
        tree.grown(root, 1)
        with Client(str(root.data_dir)) as client:
            client.submit_job(digest, lines(600)).result(WAIT)
        before = {row["worker"]: row["passes"] for row in root.census()["workers"]}
        assert before[worker.peer] > 0
        root.stop()
        root.start()
        assert {row["worker"]: row["passes"] for row in root.census()["workers"]} == before


@pytest.mark.long
def test_a_manager_that_dies_costs_time_and_nothing_else(tmp_path: Path) -> None:
    data = lines(2_500)
    with Tree(tmp_path) as tree:
        (root,), (manager,), (leaf,) = levels([1, 1], tree)
        with Client(str(root.data_dir)) as client:
            handle = client.submit_job(digest, data)
            tree.wait(lambda: handle.status().completed_chunks > 2)
            manager.kill()
            assert bytes(handle.result(WAIT)) == digest.run_local(data)
        assert leaf.is_alive
        manager.start()
        tree.grown(root, 2)  # the leaf has found its manager again, and the manager the root


@pytest.mark.long
def test_an_owner_that_dies_goes_on_and_ends_the_job_once(tmp_path: Path) -> None:
    data = lines(5_000)
    with Tree(tmp_path) as tree:
        root = tree.add(None)
        tree.add(root)
        tree.grown(root, 1)
        with Client(str(root.data_dir), reconnect_timeout=WAIT) as client:
            handle = client.submit_job(digest, data)
            tree.wait(lambda: handle.status().completed_chunks > 2)
            root.kill()
            root.start()
            assert bytes(handle.result(WAIT)) == digest.run_local(data)
            tree.grown(root, 1)  # the child has found its parent again
            assert [status.state for status in client.list_jobs()] == [JobState.COMPLETE]
            assert handle.status().restarts == 1


def test_a_child_works_for_whoever_it_was_told_to_and_nobody_else(tmp_path: Path) -> None:
    with Tree(tmp_path) as tree:
        root = tree.add(None)
        stranger = tree.add(None)
        impostor = root.multiaddr.rpartition("/")[0] + "/" + stranger.peer
        child = TreeNode(tmp_path / "child", "--workers", "1", "--join", impostor)
        tree.nodes.append(child)
        tree.wait(lambda: bool(child.events("not taken")))
        assert root.children() == []
