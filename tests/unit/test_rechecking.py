"""Computing again: the same packs, in fresh sandboxes, and every byte compared."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pangea.compute.client.receipts.rechecking import Part, Rechecks
from pangea.compute.client.submission.run import JobRun
from pangea.compute.engine.prepared import PreparedJob
from pangea.compute.engine.task import Guest
from pangea.compute.flow.chunks import Run
from pangea.compute.flow.course import Call
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.frames import pack
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind, Finished
from pangea.compute.model.trace import Check
from tests.fakes.engine import FakeEngine, FakeGuest
from tests.runs import run_of

SEGMENTS = [b"a,b,c", b"", b"d", b",".join(b"%d" % n for n in range(100))]
CHUNKS = 104


def commas(data: bytes) -> list[bytes]:
    return data.split(b",") if data else []


def shout(chunk: bytes) -> bytes:
    return chunk.upper() + b"!"


def checked_run(
    *,
    split: Callable[[bytes], list[bytes]] = commas,
    execute: Callable[[bytes], bytes] = shout,
    merge: Callable[[list[bytes]], bytes] = b"+".join,
    faults: int = 0,
    **options: object,
) -> tuple[JobRun, Rechecks]:
    rechecks = Rechecks()
    engine = FakeEngine(FakeGuest(split, execute, merge), 2, lambda _most: 0, faults)
    job = PreparedJob("fake", Guest("", b"", Limits(fuel=1)), True, True, False, 1 << 30)
    return run_of(engine, job, SEGMENTS, is_cancelled=engine.step, rechecks=rechecks, **options), rechecks


class Forgetful:
    """A function whose answer depends on how often it was called: it keeps something from one chunk for the next."""

    def __init__(self, wrong_from: int) -> None:
        self.calls, self.wrong_from = 0, wrong_from

    def execute(self, chunk: bytes) -> bytes:
        self.calls += 1
        return shout(chunk) + (b"?" if self.calls > self.wrong_from else b"")

    def split(self, data: bytes) -> list[bytes]:
        self.calls += 1
        return [*commas(data), *([b"extra"] if self.calls > self.wrong_from else [])]

    def merge(self, results: list[bytes]) -> bytes:
        self.calls += 1
        return b"%d" % self.calls


def test_everything_is_computed_again_and_nothing_shows_in_the_result() -> None:
    run, rechecks = checked_run()
    plain, _ = checked_run()
    plain.rechecks = None
    assert run.result() == plain.result()
    assert rechecks.calls == {"split": len(SEGMENTS), "execute": CHUNKS, "merge": 1}
    assert (rechecks.count, rechecks.differences) == (0, [])
    assert (run.counts.chunks, run.counts.tasks, run.counts.fuel) == (
        plain.counts.chunks,
        plain.counts.tasks,
        plain.counts.fuel,
    )
    assert {span.check for span in run.trace.spans} == {Check.AGAIN}
    assert {span.check for span in plain.trace.spans} == {Check.HERE}
    assert rechecks.in_words().endswith("4 segments, 104 chunks, 1 group; all equal, byte for byte")


def test_each_pack_is_executed_again_as_a_whole() -> None:
    run, rechecks = checked_run(min_chunk_size=1 << 20, chunks_per_pack=10)
    run.result()
    assert rechecks.calls["execute"] == CHUNKS
    assert rechecks.sandboxes == len(SEGMENTS) + (1 + 1 + 10) + 1


def test_a_function_that_remembers_is_found_out() -> None:
    run, rechecks = checked_run(execute=Forgetful(CHUNKS).execute)
    run.result()
    assert rechecks.count > 0
    told = r"execute of chunk \d+ gave (\d) bytes, and (\d) when it was executed again; they differ from byte \1 on"
    assert all(re.fullmatch(told, text) for text in rechecks.differences)
    assert "differ" in rechecks.in_words()


def test_split_and_merge_are_compared_too() -> None:
    run, rechecks = checked_run(split=Forgetful(len(SEGMENTS)).split)
    run.result()
    assert any(text.startswith("split of segment 0 gave ") for text in rechecks.differences)
    run, rechecks = checked_run(merge=Forgetful(1).merge)
    run.result()
    assert rechecks.differences == ["merge of group 0 gave 1 bytes, and 1 when it was executed again; they differ from byte 0 on"]


def test_of_many_differences_the_first_are_told_and_all_counted() -> None:
    rechecks = Rechecks()
    for number in range(25):
        rechecks.compare(part(number, b"X"), Finished(results=pack([b"Y"]), fuel=1, seconds=0.0))
    assert (len(rechecks.differences), rechecks.count) == (20, 25)


def test_a_machine_s_fault_is_no_difference() -> None:
    run, rechecks = checked_run(faults=3, retry_count=5)
    run.result()
    assert rechecks.count == 0


def part(first: int, *results: bytes) -> Part:
    run = Run(first, len(results), len(results), [pack([b"x"] * len(results))])
    return Part.of(Call(0, "execute", run), pack(results))


def test_a_machine_that_fails_for_good_says_nothing_about_the_result() -> None:
    rechecks, first = Rechecks(), part(7, b"X", b"Y")
    with pytest.raises(UnavailableError, match=r"execute of chunk 7 couldn't be executed again: the worker was lost"):
        rechecks.compare(first, Failure(kind=FailureKind.WORKER_LOST, message="the worker was lost"))


def test_a_function_that_fails_the_second_time_is_a_difference() -> None:
    rechecks, first = Rechecks(), part(7, b"X", b"Y")
    rechecks.compare(first, Failure(kind=FailureKind.GUEST_ERROR, message="told to"))
    assert rechecks.differences == ["execute of chunk 7 failed when it was executed again: told to"]


def test_what_is_traced_is_what_the_run_did() -> None:
    run, _ = checked_run()
    run.result()
    spans = run.trace.spans
    by = {name: [span for span in spans if span.function == name] for name in ("split", "execute", "merge")}
    assert sum(span.count for span in by["split"]) == len(SEGMENTS)
    assert sorted(span.start for span in by["split"])[0] == 0
    assert sum(span.count for span in by["execute"]) == CHUNKS
    covered = sorted(number for span in by["execute"] for number in range(span.start, span.start + span.count))
    assert covered == list(range(CHUNKS))
    assert [(span.start, span.count) for span in by["merge"]] == [(0, 1)]
    assert sum(span.fuel for span in spans) == run.counts.fuel
    assert len(spans) == run.counts.tasks
    assert {span.worker for span in spans} == {"1"}
