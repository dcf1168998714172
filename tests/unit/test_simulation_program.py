from __future__ import annotations

from collections.abc import Sequence

import pytest

from pangea.compute.model.ids import TaskId
from pangea.compute.model.packet import TaskPacket
from pangea.compute.simulation.answers import Program
from pangea.compute.simulation.content import LIE, Content
from pangea.compute.simulation.program import Synthetic
from pangea.compute.simulation.scenario import Scenario
from pangea.compute.verification import merkle

CHUNKS = [b"%d" % number for number in range(200)]


def shout(chunk: bytes) -> bytes:
    return chunk + b"!"


def concatenate(results: Sequence[bytes]) -> bytes:
    return b"".join(results)


def content() -> Content:
    return Content(CHUNKS, shout, concatenate, chunk_seconds=0.1)


def synthetic() -> Synthetic:
    return Synthetic(Scenario(chunks=200, chunk_seconds=0.1))


def packs_of(count: int) -> tuple[int, ...]:
    """64 packs, if there are so many chunks."""
    packs = min(count, 64)
    return tuple((pack + 1) * count // packs - pack * count // packs for pack in range(packs))


def task(start: int, count: int) -> TaskPacket:
    return TaskPacket(task_id=TaskId(f"j:{start}"), start=start, count=count, size_bytes=count, packs=packs_of(count))


def merge_of(digests: Sequence[bytes]) -> TaskPacket:
    return TaskPacket(task_id=TaskId("j:m1.0"), function="merge", start=0, count=1, size_bytes=1, inputs=tuple(digests))


both = pytest.mark.parametrize("program", [content(), synthetic()], ids=["content", "synthetic"])


@both
def test_the_digest_is_the_root_over_the_leaves(program: Program) -> None:
    answer = program.answer(task(3, 150))
    assert len(answer.leaves) == 64
    assert merkle.root(answer.leaves) == answer.digest
    assert program.answer(task(3, 150)) == answer


@both
def test_a_probe_of_one_leaf_gives_just_that_leaf(program: Program) -> None:
    whole = program.answer(task(3, 150))
    for leaf in (0, 17, 63):
        start, count = task(3, 150).spans()[leaf]
        probe = TaskPacket(task_id=TaskId("j:3"), start=start, count=count, size_bytes=1)
        assert program.answer(probe).leaves == (whole.leaves[leaf],)


@both
def test_the_merge_of_all_is_the_truth_however_it_was_grouped(program: Program) -> None:
    parts = [program.answer(task(start, 50)).digest for start in (0, 50, 100, 150)]
    early = [program.answer(merge_of(parts[:2])).digest, program.answer(merge_of(parts[2:])).digest]
    assert program.merge(parts) == program.merge(early) == program.truth()


@both
def test_a_wrong_order_a_gap_and_a_double_are_not_the_truth(program: Program) -> None:
    one, two, three, four = (program.answer(task(start, 50)).digest for start in (0, 50, 100, 150))
    for wrong in ((two, one, three, four), (one, two, four), (one, one, two, three, four)):
        digest = program.merge(wrong)
        assert digest != program.truth()
        value = program.value(digest)
        assert value is not None
        assert not value.is_contiguous


@both
def test_a_lie_differs_in_the_leaf_it_is_told_in_and_is_known_for_one(program: Program) -> None:
    honest, lie = program.answer(task(0, 10)), program.lie(task(0, 10), b"salt", 4)
    assert [a == b for a, b in zip(honest.leaves, lie.leaves, strict=True)] == [leaf != 4 for leaf in range(10)]
    assert lie.digest == merkle.root(lie.leaves)
    assert lie.fuel == honest.fuel
    value = program.value(lie.digest)
    assert value is not None
    assert (value.start, value.chunks, value.wrong) == (0, 10, 1)


@both
def test_equal_salts_tell_equal_lies(program: Program) -> None:
    assert program.lie(task(0, 10), b"us", None) == program.lie(task(0, 10), b"us", None)
    assert program.lie(task(0, 10), b"us", None) != program.lie(task(0, 10), b"them", None)


@both
def test_a_lie_spoils_the_result_however_early_it_was_merged(program: Program) -> None:
    parts = [program.lie(task(0, 100), b"salt", 1).digest, program.answer(task(100, 100)).digest]
    for digests in (parts, [program.answer(merge_of(parts)).digest]):
        digest = program.merge(digests)
        value = program.value(digest)
        assert digest != program.truth()
        assert value is not None
        assert value.wrong == 1


@both
def test_a_lie_about_a_merge_counts(program: Program) -> None:
    parts = [program.answer(task(0, 100)).digest, program.answer(task(100, 100)).digest]
    value = program.value(program.lie(merge_of(parts), b"salt", None).digest)
    assert value is not None
    assert value.wrong == 1


@both
def test_what_nobody_computed_is_wrong(program: Program) -> None:
    value = program.value(program.merge([b"never seen"]))
    assert value is not None
    assert value.wrong == 1


@both
def test_fuel_is_a_function_of_the_task_alone(program: Program) -> None:
    assert program.answer(task(0, 10)).fuel == program.answer(task(50, 10)).fuel == pytest.approx(10**9, rel=1e-6)
    assert program.work(task(0, 10)) == pytest.approx(1.0)


def test_the_result_is_real_bytes() -> None:
    program = content()
    digests = [program.answer(task(start, 50)).digest for start in (0, 50, 100, 150)]
    assert program.result(program.merge(digests)) == program.serial() == b"".join(map(shout, CHUNKS))


def test_a_lie_shows_in_the_bytes() -> None:
    program = content()
    digests = [program.lie(task(0, 50), b"salt", 3).digest, program.answer(task(50, 150)).digest]
    result = program.result(program.merge(digests))
    assert LIE in result
    assert result != program.serial()


def test_dear_chunks_cost_more_and_the_sum_stays() -> None:
    program = Synthetic(Scenario(chunks=1000, chunk_seconds=0.1, chunk_spread=10.0))
    costs = [program.work(task(index, 1)) for index in range(1000)]
    assert max(costs) / min(costs) == pytest.approx(10.0, rel=0.1)
    assert program.work(task(0, 1000)) == pytest.approx(100.0)
