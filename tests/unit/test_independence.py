"""One chunk of each job that packs any is executed alone as well, and a difference is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pangea.compute.client.submission.run import JobRun
from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.engine.task import Guest
from pangea.compute.flow.independence import Independence
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind
from tests.fakes.engine import FakeEngine, FakeGuest, GuestError
from tests.runs import run_of


def test_the_last_chunk_of_the_first_pack_of_several_is_chosen_once() -> None:
    independence = Independence()
    assert independence.choose(0, [1, 1]) is None
    place = independence.choose(2, [1, 3, 2])
    assert place is not None
    assert (place.chunk, place.pack, place.position) == (5, 1, 3)
    assert independence.choose(8, [5]) is None
    assert independence.place is place


def chosen() -> Independence:
    independence = Independence()
    independence.choose(0, [3])
    return independence


@pytest.mark.parametrize("is_first", [False, True])
def test_equal_bytes_say_nothing_and_others_name_the_chunk_the_place_and_the_remedy(is_first: bool) -> None:
    for alone, says in ((b"same", False), (b"some", True)):
        independence = chosen()
        if is_first:
            independence.in_pack(b"same")
        independence.alone(alone)
        if not is_first:
            independence.in_pack(b"same")
        assert bool(independence.warning) is says
    assert "chunk 2 gives 4 bytes in its pack and 4 alone, which differ from byte 1 on: b'ame', b'ome'" in independence.warning
    assert "isolate=True" in independence.warning


def test_a_chunk_that_fails_alone_is_influenced_and_one_that_the_machine_failed_is_unknown() -> None:
    independence = chosen()
    independence.in_pack(b"good")
    independence.alone(Failure(kind=FailureKind.GUEST_ERROR, message="it needs its neighbour"))
    assert "chunk 2 fails alone: it needs its neighbour" in independence.warning
    independence.alone(Failure(kind=FailureKind.WORKER_LOST, message="gone"))
    assert independence.warning.startswith("whether chunks influence each other isn't known")
    independence.alone(b"good")
    assert independence.warning == ""


def run_with(execute: Callable[[bytes], bytes], **options: Any) -> JobRun:
    guest = FakeGuest(lambda data: data.split(b","), execute, b"".join)
    engine = FakeEngine(guest, 2, lambda _most: 0)
    job = PreparedJob("fake", Guest("", b"", Limits(fuel=1)), True, True, False, 1 << 30)
    return run_of(engine, job, [b",".join(b"%d" % n for n in range(12))], is_cancelled=engine.step, **options)


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def execute(self, chunk: bytes) -> bytes:
        self.calls += 1
        return b"%d" % self.calls


def test_a_run_executes_one_chunk_more_which_nobody_pays_for() -> None:
    run = run_with(lambda chunk: chunk, chunks_per_pack=4)
    run.result()
    assert run.independence.place is not None
    assert (run.independence.place.chunk, run.independence.warning) == (3, "")
    assert (run.counts.chunks, run.counts.fuel) == (12, 12 + 1 + 1)


def test_a_run_whose_chunks_influence_each_other_says_so_and_has_its_result() -> None:
    run = run_with(Counting().execute, chunks_per_pack=4)
    assert run.result()
    assert "chunks influence each other: chunk 3 " in run.independence.warning


def test_a_run_that_packs_nothing_checks_nothing() -> None:
    run = run_with(Counting().execute, isolate=True)
    run.result()
    assert (run.independence.place, run.independence.warning) == (None, "")


def test_a_failure_of_the_chunk_alone_does_not_fail_the_run() -> None:
    seen: list[bytes] = []

    def execute(chunk: bytes) -> bytes:
        seen.append(chunk)
        if chunk == b"3" and b"2" not in seen[-2:]:
            raise GuestError("it needs its neighbour")
        return chunk

    run = run_with(execute, chunks_per_pack=4)
    assert run.result() == b"01234567891011"
    assert "chunk 3 fails alone: it needs its neighbour" in run.independence.warning
