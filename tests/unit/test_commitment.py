"""Commitments and leaf hashes: they bind every field, and no two statements share one."""

from __future__ import annotations

import pytest

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.verification.commitment import commitment, leaf_hash

WORKER, TASK, DIGEST = PeerId("12D3KooWorker"), TaskId("job:7"), bytes(range(32))


def test_a_commitment_is_the_same_for_the_same_answer() -> None:
    assert commitment(WORKER, TASK, DIGEST, 5) == commitment(WORKER, TASK, DIGEST, 5)
    assert len(commitment(WORKER, TASK, DIGEST, 5)) == 32


@pytest.mark.parametrize(
    "other",
    [
        (PeerId("12D3KooWother"), TASK, DIGEST, 5),
        (WORKER, TaskId("job:8"), DIGEST, 5),
        (WORKER, TASK, DIGEST[::-1], 5),
        (WORKER, TASK, DIGEST, 6),
        (WORKER, TASK, DIGEST, -5),
    ],
)
def test_a_commitment_binds_worker_task_digest_and_fuel(other: tuple[PeerId, TaskId, bytes, int]) -> None:
    assert commitment(*other) != commitment(WORKER, TASK, DIGEST, 5)


def test_bytes_can_t_move_from_one_field_to_the_next() -> None:
    assert commitment(PeerId("ab"), TaskId("c"), DIGEST, 5) != commitment(PeerId("a"), TaskId("bc"), DIGEST, 5)
    assert leaf_hash(0, b"ab", b"c") != leaf_hash(0, b"a", b"bc")


def test_a_leaf_binds_its_place_input_and_result() -> None:
    leaves = {leaf_hash(0, b"in", b"out"), leaf_hash(1, b"in", b"out"), leaf_hash(0, b"IN", b"out"), leaf_hash(0, b"in", b"OUT")}
    assert len(leaves) == 4


def test_a_leaf_is_no_commitment() -> None:
    index = (5).to_bytes(1, "little").decode()
    assert leaf_hash(5, TASK.encode(), DIGEST) != commitment(PeerId(index), TASK, DIGEST, 5)


@pytest.mark.parametrize("figure", [0, -1, 127, 128, 1 << 64, -(1 << 200), 1 << 2_000])
def test_no_figure_of_a_stranger_raises(figure: int) -> None:
    assert commitment(WORKER, TASK, DIGEST, figure) != commitment(WORKER, TASK, DIGEST, figure + 1)
    assert len(leaf_hash(figure, b"", b"")) == 32


def test_the_hashes_are_pinned_because_nodes_of_different_versions_compare_them() -> None:
    assert commitment(WORKER, TASK, DIGEST, 5).hex() == PINNED_COMMITMENT
    assert leaf_hash(300, DIGEST, DIGEST[::-1]).hex() == PINNED_LEAF


PINNED_COMMITMENT = "069db2946af7e13a7e204aa0cad8ad7efbb7af188134cc025a65757a612cef21"
PINNED_LEAF = "770246fcde206c9687765137e72b53b3466439ee69ffc1ffebb68dd96ca330b3"
