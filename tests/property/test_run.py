"""`JobRun` against the reference semantics, over random jobs, sizes, orders of arrival and faults of the machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.engine.task import Guest
from pangea.compute.flow import course, merging
from pangea.compute.model import frames
from pangea.compute.model.errors import JobFailedError, LimitExceededError
from pangea.compute.model.limits import Limits
from tests.fakes.engine import FakeEngine, FakeGuest, GuestError
from tests.runs import error_of_run, run_of

SEGMENTS = st.lists(st.text("ab,x", max_size=30).map(str.encode), max_size=12)
RUNS = st.fixed_dictionaries(
    {"workers": st.integers(1, 4), "min_chunk_size": st.integers(1, 40), "has_split": st.booleans(), "has_merge": st.booleans()}
)
FEW = 4


@pytest.fixture(autouse=True, scope="module")
def _small_groups() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "GROUP_BYTES", 16)
        patch.setattr(course, "CHUNKS_WAITING_BYTES_MAX", 24)
        yield


def commas(data: bytes) -> list[bytes]:
    return data.split(b",") if data else []


def shout(chunk: bytes) -> bytes:
    return chunk.upper() * (1 + len(chunk) % 3) + b"."


def job(*, has_split: bool = True, has_merge: bool = True, associative: bool = False) -> PreparedJob:
    return PreparedJob("fake", Guest("", b"", Limits(fuel=1)), has_split, has_merge, associative, 1 << 30)


def no_choice(_most: int) -> int:
    return 0


def choices(data: st.DataObject) -> FakeEngine:
    guest = FakeGuest(commas, shout, b"+".join)
    return FakeEngine(guest, 1, lambda most: data.draw(st.integers(0, most)))


@given(st.data(), SEGMENTS, RUNS, st.integers(0, FEW))
def test_the_result_is_that_of_the_serial_run(
    data: st.DataObject, segments: list[bytes], shape: dict[str, int], faults: int
) -> None:
    engine = choices(data)
    engine.workers, engine.faults = shape["workers"], faults
    has_split, has_merge = bool(shape["has_split"]), bool(shape["has_merge"])
    run = run_of(
        engine,
        job(has_split=has_split, has_merge=has_merge),
        segments,
        is_cancelled=engine.step,
        min_chunk_size=shape["min_chunk_size"],
        retry_count=FEW,
    )
    assert run.result() == engine.guest.serial(segments, has_split=has_split, has_merge=has_merge)
    assert run.counts.retries <= faults
    assert run.counts.chunks == sum(len(commas(s)) if has_split else 1 for s in segments)
    assert not engine.waiting


@given(st.data(), SEGMENTS, RUNS, st.integers(0, FEW))
def test_an_associative_merge_may_run_in_groups_and_it_does_not_show(
    data: st.DataObject, segments: list[bytes], shape: dict[str, int], faults: int
) -> None:
    engine = choices(data)
    engine.guest.merge = b"".join
    engine.workers, engine.faults = shape["workers"], faults
    has_split = bool(shape["has_split"])
    run = run_of(engine, job(has_split=has_split, associative=True), segments, is_cancelled=engine.step, retry_count=FEW)
    assert run.result() == engine.guest.serial(segments, has_split=has_split, has_merge=True)


@given(st.data(), st.lists(st.booleans(), min_size=1, max_size=40), RUNS, st.integers(0, FEW))
def test_the_failure_reported_is_that_of_the_lowest_failing_chunk(
    data: st.DataObject, is_bad: list[bool], shape: dict[str, int], faults: int
) -> None:
    def execute(chunk: bytes) -> bytes:
        if is_bad[int(chunk)]:
            raise GuestError(f"no {chunk.decode()}")
        return chunk

    engine = choices(data)
    engine.guest = FakeGuest(commas, execute, b"".join)
    engine.workers, engine.faults = shape["workers"], faults
    names = [b"%d" % index for index in range(len(is_bad))]
    has_split = bool(shape["has_split"])
    segments = [b",".join(names[start : start + 5]) for start in range(0, len(names), 5)] if has_split else names
    run = run_of(engine, job(has_split=has_split), segments, is_cancelled=engine.step, retry_count=FEW)
    if not any(is_bad):
        assert run.result() == b"".join(names)
        return
    error = error_of_run(run)
    assert isinstance(error, JobFailedError)
    assert error.chunk_index == is_bad.index(True)
    assert error.message.startswith(f"no {is_bad.index(True)}")


def test_a_job_that_fails_in_split_and_in_execute_fails_the_same_way_in_any_order() -> None:
    def split(segment: bytes) -> list[bytes]:
        if segment == b"bad split":
            raise GuestError("split")
        return commas(segment)

    def execute(chunk: bytes) -> bytes:
        if chunk == b"bad":
            raise GuestError("execute")
        return chunk

    def how_it_ends(*order: int) -> str:
        turns = iter(order)
        engine = FakeEngine(FakeGuest(split, execute, b"".join), 2, lambda _most: next(turns, 0))
        segments = [b"bad,execute", b"good,long," + b"x" * 30, b"good", b"good", b"bad split"]
        return str(error_of_run(run_of(engine, job(), segments, is_cancelled=engine.step, min_chunk_size=1)))

    assert how_it_ends(0) == how_it_ends(1)


@given(st.data(), st.integers(0, 3))
def test_a_machine_that_always_fails_ends_the_job_after_its_retries(data: st.DataObject, retry_count: int) -> None:
    engine = FakeEngine(FakeGuest(commas, shout, b"".join), 2, lambda most: most, faults=1000)
    run = run_of(engine, job(has_split=False), [b"one"], is_cancelled=engine.step, retry_count=retry_count)
    error = error_of_run(run)
    assert isinstance(error, LimitExceededError)
    assert error.details["kind"] == "timed out"
    assert run.counts.retries == retry_count
    assert len(engine.started) == retry_count + 1


def test_a_million_small_chunks_cost_thousands_of_tasks() -> None:
    engine = FakeEngine(FakeGuest(commas, shout, b"".join), 2, no_choice)
    segment = b",".join([b"x"] * 100_000)
    run = run_of(engine, job(), [segment], is_cancelled=engine.step)
    assert len(run.result()) == 100_000 * len(shout(b"x"))
    assert run.counts.chunks == 100_000
    assert run.counts.tasks < 1000


def test_a_guest_that_failed_once_is_not_said_to_have_failed_in_each_attempt() -> None:
    def execute(_chunk: bytes) -> bytes:
        raise GuestError("broken")

    turns = iter([0, 1, 0, 0, 0])
    engine = FakeEngine(FakeGuest(commas, execute, b"".join), 1, lambda _most: next(turns, 0), faults=1)
    error = error_of_run(run_of(engine, job(has_split=False), [b"one"], is_cancelled=engine.step))
    assert "attempts" not in error.message


def test_a_cancelled_run_gives_up_the_tasks_on_their_way() -> None:
    engine = FakeEngine(FakeGuest(commas, shout, b"".join), 2, no_choice)
    error = error_of_run(run_of(engine, job(has_split=False), [b"one", b"two"], is_cancelled=lambda: True))
    assert error.code == "CANCELLED"
    assert engine.started
    assert not engine.waiting


def test_frames_are_the_only_thing_that_crosses() -> None:
    engine = FakeEngine(FakeGuest(commas, shout, b"".join), 2, no_choice)
    run_of(engine, job(), [b"a,b"], is_cancelled=engine.step).result()
    split, execute, *_ = engine.started
    assert b"".join(split.parts) == frames.pack([b"a,b"])
    assert b"".join(execute.parts) == frames.pack([b"a"])
