"""Task sizes: one chunk at first, then as many as fill a quarter of a second, and fewer towards the end."""

from __future__ import annotations

import pytest

from pangea.compute.model.units import GIB, KIB, MIB, PYTHON_MEMORY_BYTES
from pangea.compute.orchestrator.rules.packing import (
    GROWTH,
    LOCAL_PACE,
    TASK_BYTES_MAX,
    TaskSizer,
)

MUCH = 1 << 40


def sizer(*, workers: int = 2, min_bytes: int = 64 * KIB, memory_bytes: int = 256 * MIB) -> TaskSizer:
    return TaskSizer(workers=workers, min_bytes=min_bytes, memory_bytes=memory_bytes)


def seen(one: TaskSizer, *, chunks: int, seconds: float, size_bytes: int = 0, times: int = 1) -> TaskSizer:
    for _ in range(times):
        one.observe(chunks=chunks, size_bytes=size_bytes or 100 * chunks, seconds=seconds)
    return one


def test_the_first_tasks_hold_one_chunk_each() -> None:
    assert sizer().next_size(MUCH).chunks == 1


def test_tasks_grow_sixteenfold_at_most_over_the_largest_seen() -> None:
    cheap = seen(sizer(), chunks=1, seconds=1e-6)
    assert cheap.next_size(MUCH).chunks == GROWTH
    assert seen(cheap, chunks=GROWTH, seconds=16e-6).next_size(MUCH).chunks == GROWTH**2


def test_a_task_is_to_last_about_its_target() -> None:
    chunks = seen(sizer(), chunks=100, seconds=0.1, times=9).next_size(MUCH).chunks
    assert chunks == pytest.approx(LOCAL_PACE.target / 0.001, abs=1)


def test_a_dear_chunk_travels_alone() -> None:
    assert seen(sizer(), chunks=1, seconds=5.0).next_size(MUCH).chunks == 1


def test_tasks_shrink_towards_the_end_so_that_workers_finish_together() -> None:
    one = seen(sizer(workers=4, min_bytes=1), chunks=1000, seconds=1.0, size_bytes=100_000)
    sizes = [one.next_size(left).chunks for left in (MUCH, 100_000, 40_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert one.next_size(100_000).chunks == 100_000 // (2 * 4) // 100


def test_the_last_task_still_holds_a_chunk() -> None:
    assert seen(sizer(), chunks=1, seconds=0.2).next_size(0).chunks == 1


def test_cheap_chunks_fill_the_smallest_task_even_at_the_end() -> None:
    one = seen(sizer(min_bytes=64 * KIB), chunks=1000, seconds=0.001, size_bytes=64_000)
    assert one.next_size(0).chunks >= 1024


def test_the_smallest_task_is_not_filled_with_dear_chunks() -> None:
    one = seen(sizer(min_bytes=MIB), chunks=10, seconds=0.1)
    assert one.next_size(0).chunks == int(LOCAL_PACE.fill / 0.01)


def test_what_was_seen_lately_counts_most() -> None:
    one = seen(seen(sizer(), chunks=100, seconds=10.0), chunks=100, seconds=0.1, times=12)
    assert one.next_size(MUCH).chunks > 0.9 * LOCAL_PACE.target / 0.001


@pytest.mark.parametrize("seconds", [0.0, 1e-300])
def test_chunks_that_cost_nothing_are_no_division_by_zero(seconds: float) -> None:
    assert seen(sizer(), chunks=1, seconds=seconds, size_bytes=0).next_size(MUCH).chunks == GROWTH


def test_empty_chunks_are_no_division_by_zero() -> None:
    one = sizer()
    one.observe(chunks=3, size_bytes=0, seconds=0.001)
    assert one.next_size(0).chunks >= 1


@pytest.mark.parametrize("memory_bytes", [64 * KIB, PYTHON_MEMORY_BYTES, 64 * MIB, 256 * MIB, 4 * GIB])
def test_a_task_s_bytes_fit_its_guest_six_times(memory_bytes: int) -> None:
    size = sizer(memory_bytes=memory_bytes).next_size(MUCH).size_bytes
    assert 64 * KIB <= size <= TASK_BYTES_MAX
    assert size == 64 * KIB or size * 6 + PYTHON_MEMORY_BYTES <= memory_bytes
