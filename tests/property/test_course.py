"""The course of a job, alone: in whatever order its calls end, whatever the machine does, and however tasks are sized."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import accumulate
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute.flow import course, merging
from pangea.compute.flow.chunks import TaskSize
from pangea.compute.flow.counts import Counts
from pangea.compute.flow.course import Call, Course, Plan
from pangea.compute.flow.feed import Feed
from pangea.compute.flow.packs import PackRule
from pangea.compute.flow.recorded import Recorded
from pangea.compute.flow.retry import Next
from pangea.compute.flow.sized import Sized
from pangea.compute.model import frames
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.outcome import Failure, FailureKind, Finished, Outcome
from pangea.compute.verification.receipt_job import ReceiptJob
from pangea.compute.verification.receipt_tree import Node, Receipt
from pangea.compute.verification.receipts import Record
from tests.examples import share_of

RETRIES = 2
SEGMENTS = st.lists(st.text("ab,x", max_size=30).map(str.encode), max_size=10)
RULES = st.builds(PackRule, bytes_min=st.integers(1, 12), per_segment=st.integers(1, 4), chunks=st.integers(0, 3))
MACHINE = [FailureKind.WORKER_LOST, FailureKind.TIMED_OUT]


@pytest.fixture(autouse=True, scope="module")
def _small_groups() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("WHOLE_BYTES", 24), ("FAN_IN", 6), ("GROUP_PACKS", 2), ("GROUP_BYTES", 32), ("_GROUP_BYTES_MIN", 8)):
            patch.setattr(merging, name, value)
        patch.setattr(course, "CHUNKS_WAITING_BYTES_MAX", 24)
        yield


@dataclass
class Sizes:
    """Sizes that somebody draws."""

    draw: Callable[[int], int]

    def next_size(self, remaining_bytes: int) -> TaskSize:
        assert remaining_bytes >= 0
        return TaskSize(chunks=1 + self.draw(4), size_bytes=1 + self.draw(40))

    def observe(self, *, chunks: int, size_bytes: int, seconds: float) -> None:
        assert size_bytes >= 0
        assert (chunks > 0, seconds) == (True, 1.0)


@dataclass
class Machine:
    """Makes a course's calls, and lets them end in any order and by any of the machine's faults."""

    draw: Callable[[int], int]
    segments: list[bytes]
    rule: PackRule
    has_split: bool = True
    has_merge: bool = True
    is_associative: bool = False
    fails: Callable[[Call], Failure | None] = lambda _call: None
    accepted: list[Call] = field(default_factory=list)
    ends: int = 0

    def __post_init__(self) -> None:
        self.plan = Sized(
            splits=Sizes(self.draw),
            executes=Sizes(self.draw),
            has_split=self.has_split,
            has_merge=self.has_merge,
            is_associative=self.is_associative,
        )
        self.course = self.course_of(self.plan)

    def course_of(self, plan: Plan, *, ends_at_failure: bool = True) -> Course:
        """The job, cut by `plan`."""
        feed = Feed(iter(self.segments), self.rule, Counts(), input_bytes=sum(map(len, self.segments)))
        return Course(plan, feed, has_split=self.has_split, retry_count=RETRIES, ends_at_failure=ends_at_failure)

    def run(self) -> None:
        """Drive the course to its end, which comes."""
        under_way, most = self.course.under_way, 1 + self.draw(5)
        while True:
            while (call := self.course.next(most)) is not None:
                assert under_way[call.number] is call
            assert len(under_way) <= most
            if self.course.is_over:
                return
            assert under_way, "it isn't over, and there is nothing to wait for"
            self._end(list(under_way.values())[self.draw(len(under_way) - 1)])

    def _end(self, call: Call) -> None:
        self.ends += 1
        failure = self.fails(call)
        if failure is None and call.attempt <= RETRIES and self.draw(7) == 7:
            failure = failed(MACHINE[self.draw(1)])
        outcome = failure or self._outcome(call)
        if self.course.ended(call, outcome) is Next.ACCEPT and call.told is None:
            self.accepted.append(call)

    def _outcome(self, call: Call) -> Outcome:
        items = list(frames.unpack(b"".join(call.run.parts)))
        assert len(items) == call.run.count
        made = {"split": split_frame, "execute": shout}.get(call.function)
        results = [b"+".join(items) if not self.is_associative else b"".join(items)] if made is None else [*map(made, items)]
        return Finished(results=frames.pack(results), fuel=len(results), seconds=1.0)

    def chunks(self) -> list[list[bytes]]:
        """The job's chunks, segment by segment."""
        return [commas(segment) if self.has_split else [segment] for segment in self.segments]

    def serial(self) -> bytes:
        """The reference semantics."""
        results = [shout(chunk) for chunks in self.chunks() for chunk in chunks]
        return b"+".join(results) if self.has_merge and not self.is_associative else b"".join(results)

    def of(self, function: str) -> list[Call]:
        """The calls of a function that count, in the order of the job."""
        return sorted((call for call in self.accepted if call.function == function), key=lambda call: call.number)


def failed(kind: FailureKind, index: int = 0) -> Failure:
    return Failure(kind=kind, message=str(kind), index=index)


def commas(segment: bytes) -> list[bytes]:
    return segment.split(b",") if segment else []


def split_frame(segment: bytes) -> bytes:
    return frames.pack(commas(segment))


def shout(chunk: bytes) -> bytes:
    return chunk.upper() * (1 + len(chunk) % 3) + b"."


def drawn(data: st.DataObject) -> Callable[[int], int]:
    return lambda most: data.draw(st.integers(0, most))


@given(st.data(), SEGMENTS, RULES, st.booleans(), st.booleans(), st.booleans())
def test_any_order_and_any_faults_give_the_serial_result_of_the_same_packs(
    data: st.DataObject, segments: list[bytes], rule: PackRule, has_split: bool, has_merge: bool, is_associative: bool
) -> None:
    machine = Machine(
        drawn(data), segments, rule, has_split=has_split, has_merge=has_merge, is_associative=is_associative and has_merge
    )
    machine.run()
    assert machine.course.failed is None
    assert machine.plan.result() == machine.serial()
    # Nothing is lost, and nothing done twice: calls are of all segments, and of all chunks, one after the other.
    counts, chunks = machine.course.counts, machine.chunks()
    total = sum(map(len, chunks))
    for function, count in (("split", len(segments) if has_split else 0), ("execute", total)):
        runs = [call.run for call in machine.of(function)]
        assert [run.first for run in runs] == [0, *accumulate(run.count for run in runs)][: len(runs)]
        assert sum(run.count for run in runs) == count
    packs = [pack.count for call in machine.of("execute") for pack in call.run.packs]
    assert packs == [pack.count for each in chunks for pack in rule.packs(map(len, each))]
    assert (counts.segments, counts.chunks) == (len(segments), total)
    assert machine.course.bytes_done == sum(len(chunk) for each in chunks for chunk in each)
    # What the machine failed was tried again, and nothing else.
    assert counts.tasks == len(machine.accepted)
    is_checked = machine.course.independence.place is not None
    assert machine.ends == counts.tasks + counts.retries + is_checked
    assert machine.course.independence.warning == ""


@settings(max_examples=share_of(300))
@given(st.data(), st.lists(st.sampled_from([2, 1, 0, 2, 2]), min_size=6, max_size=24), st.booleans())
def test_what_fails_first_in_the_job_is_its_failure_in_any_order(data: st.DataObject, bad: list[int], has_split: bool) -> None:
    """A chunk fails if its number is 0, a segment, of three chunks, if its first is 1."""
    names = [b"%d" % each for each in bad]
    segments = [b",".join(names[start : start + 3]) for start in range(0, len(names), 3)] if has_split else names

    def fails(call: Call) -> Failure | None:
        items = list(frames.unpack(b"".join(call.run.parts)))
        bad = [item.startswith(b"1") if call.function == "split" else item == b"0" for item in items]
        return failed(FailureKind.GUEST_ERROR, bad.index(True)) if any(bad) and call.function != "merge" else None

    machine = Machine(drawn(data), segments, PackRule(1, chunks=1), has_split=has_split, fails=fails)
    machine.run()
    bad_split = next((number for number, each in enumerate(segments) if has_split and each.startswith(b"1")), len(segments))
    before = [chunk for segment in segments[:bad_split] for chunk in (commas(segment) if has_split else [segment])]
    function, place = ("execute", before.index(b"0")) if b"0" in before else ("split", bad_split)
    if machine.course.failed is None:
        assert (function, place) == ("split", len(segments))
        assert machine.plan.result() == machine.serial()
    else:
        call, failure = machine.course.failed
        assert (call.function, call.run.first + (failure.index or 0)) == (function, place)


def test_no_chunk_from_behind_a_segment_that_cannot_be_split_is_executed() -> None:
    def fails(call: Call) -> Failure | None:
        items = list(frames.unpack(b"".join(call.run.parts)))
        return failed(FailureKind.GUEST_ERROR, items.index(b"bad")) if b"bad" in items else None

    # Two segments a task of split, and whatever began last ends first: the second task is split when the first fails.
    machine = Machine(lambda most: {4: 1, 7: 0}.get(most, most), [b"a", b"bad", b"c", b"d"], PackRule(1), fails=fails)
    machine.run()
    assert machine.course.failed is not None
    assert machine.course.failed[0].function == "split"
    assert [call.run.first for call in machine.of("split")] == [0, 2]
    assert [call.run.count for call in machine.of("execute")] == [1]


@given(st.data(), SEGMENTS, st.integers(1, 30))
def test_a_call_that_is_cancelled_or_never_gets_through_ends_the_job(
    data: st.DataObject, segments: list[bytes], after: int
) -> None:
    kind = [FailureKind.CANCELLED, FailureKind.WORKER_LOST, FailureKind.BAD_MODULE][data.draw(st.integers(0, 2))]
    machine = Machine(drawn(data), segments, PackRule(4))
    machine.fails = lambda call: failed(kind) if call.told is None and machine.ends >= after else None
    machine.run()
    if machine.course.failed is None:
        assert machine.plan.result() == machine.serial()
        return
    call, failure = machine.course.failed
    assert failure.kind in (kind, *MACHINE)
    assert call.attempt == (RETRIES + 1 if failure.is_machine_fault else call.attempt)
    assert machine.ends >= after


# Over recorded calls


def record(function: str, name: str, start: int, count: int, given: bytes = b"", packs: tuple[int, ...] = ()) -> Record:
    return Record(
        job_id=JobId("j"),
        owner=PeerId("o"),
        task_id=TaskId(f"j:{name}"),
        function=function,
        module="",
        runtime="",
        spec=b"",
        start=start,
        count=count,
        input=sha256(given).digest(),
        output=b"",
        fuel=0,
        worker=PeerId("w"),
        packs=packs,
    )


def receipt_of(machine: Machine, fan_in: int) -> Receipt:
    """What a run's workers would have signed, its results merged in steps of `fan_in` tasks, if that isn't 0."""
    splits, executes = ([of_call(call) for call in machine.of(function)] for function in ("split", "execute"))
    nodes, results = [Node(each) for each in executes], [shout(chunk) for chunks in machine.chunks() for chunk in chunks]
    if fan_in:
        groups = [nodes[first : first + fan_in] for first in range(0, len(nodes), fan_in)]
        nodes, rest, results = [], iter(results), []
        for number, group in enumerate(groups):
            given = [next(rest) for node in group if node.record is not None for _ in range(node.record.count)]
            nodes.append(Node(record("merge", f"m1.{number}", number, 1, frames.pack(given)), tuple(group)))
            results.append(b"".join(given))
    last = record("merge", "merge", 0, 1, frames.pack(results))
    return Receipt(job=cast(ReceiptJob, None), splits=tuple(splits), tree=Node(last, tuple(nodes)), root=b"", signature=b"")


def of_call(call: Call) -> Record:
    run, name = call.run, f"s{call.run.first}" if call.function == "split" else f"{call.run.first}"
    return record(call.function, name, run.first, run.count, b"".join(run.parts), tuple(pack.count for pack in run.packs))


@dataclass
class Repeating(Machine):
    """Makes the calls of a receipt again."""

    receipt: Receipt = field(kw_only=True)
    wanted: set[TaskId] = field(kw_only=True)
    missing: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.repeated = Recorded(
            self.receipt, self.wanted, has_split=self.has_split, on_missing=lambda each, _count: self.missing.append(each)
        )
        self.course = self.course_of(self.repeated, ends_at_failure=False)


@given(st.data(), SEGMENTS, RULES, st.booleans(), st.integers(0, 3))
def test_a_recorded_run_is_repeated_call_by_call_in_any_order(
    data: st.DataObject, segments: list[bytes], rule: PackRule, has_split: bool, fan_in: int
) -> None:
    first = Machine(drawn(data), segments, rule, has_split=has_split, is_associative=True)
    first.run()
    receipt = receipt_of(first, fan_in)
    names = [each.task_id for each in receipt.records()]
    sample = data.draw(st.sets(st.sampled_from(names)))
    for wanted in ({*names}, sample):
        again = Repeating(drawn(data), segments, rule, has_split=has_split, is_associative=True, receipt=receipt, wanted=wanted)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(course, "CHUNKS_WAITING_BYTES_MAX", 3)  # less than a recorded task may need
            again.run()
        made = {call.record.task_id: call for call in again.accepted if call.record is not None}
        assert len(made) == len(again.accepted), "a call was made twice"
        assert wanted <= {*made}
        assert again.missing == []
        for call in made.values():
            assert call.record is not None
            assert sha256(b"".join(call.run.parts)).digest() == call.record.input
            assert tuple(pack.count for pack in call.run.packs) == call.record.packs or call.function == "split"
        if wanted == {*names}:
            assert {*made} == wanted
            assert [bytes(merging.only_result(body)) for body in again.repeated.results.values()] == [again.serial()]
        # Nothing is made that isn't needed: of execute, only what was drawn, or is below a merge that was.
        tops = [top for top, each in receipt.nodes() if each.task_id in wanted]
        below = {node.record.task_id for top in tops for node in top.walk() if node.record is not None}
        assert {each.task_id for each in receipt.executes()} & below == {*made} & {each.task_id for each in receipt.executes()}


@given(st.data(), st.integers(1, 4))
def test_records_of_other_packs_are_told_and_the_rest_is_repeated(data: st.DataObject, count: int) -> None:
    segments, rule = [b"a,b,c,d,e,f"] * count, PackRule(1, chunks=3)
    first = Machine(lambda most: most, segments, rule, is_associative=True)
    first.run()
    receipt = receipt_of(first, 0)
    executes = receipt.executes()
    assert {each.packs for each in executes} == {(3,)}
    at = data.draw(st.integers(0, len(executes) - 2))
    one, other = executes[at : at + 2]
    moved = [replace(one, count=one.count - 1), replace(other, start=other.start - 1, count=other.count + 1)]
    lies = [*executes[:at], *moved, *executes[at + 2 :]]
    liars = replace(receipt, tree=Node(receipt.tree.record, tuple(map(Node, lies))))
    wanted = {each.task_id for each in liars.records()}
    again = Repeating(drawn(data), segments, rule, is_associative=True, receipt=liars, wanted=wanted)
    again.run()
    assert again.missing == moved
    made = [call.record.task_id for call in again.accepted if call.record is not None]
    assert sorted(made) == sorted({each.task_id for each in (*receipt.splits, *lies)} - {each.task_id for each in moved})


def test_what_a_split_that_fails_again_would_have_made_is_missing_and_the_rest_is_repeated() -> None:
    segments, rule = [b"a,b,c", b"d,e,f", b"g,h,i"], PackRule(1, chunks=3)
    first = Machine(lambda most: most if most != 4 else 0, segments, rule, is_associative=True)
    first.run()
    receipt = receipt_of(first, 0)
    wanted = {each.task_id for each in receipt.records()}
    again = Repeating(lambda most: 0, segments, rule, is_associative=True, receipt=receipt, wanted=wanted)
    again.fails = lambda call: failed(FailureKind.GUEST_ERROR) if call.function == "split" and call.run.first == 1 else None
    again.run()
    assert [call.run.first for call in again.of("split")] == [0, 2]
    assert [call.run.first for call in again.of("execute")] == [0, 3]
    assert [each.task_id for each in again.missing] == ["j:6"]
    assert again.of("merge") == []


def test_segments_that_are_not_there_are_told_where_they_are_needed_and_passed_over_where_not() -> None:
    rule = PackRule(1, chunks=3)
    first = Machine(lambda most: most if most != 4 else 0, [b"a,b,c", b"d,e,f", b"g,h,i"], rule, is_associative=True)
    first.run()
    receipt = receipt_of(first, 0)
    for wanted, missing in (
        ({each.task_id for each in receipt.records()}, ["j:s1", "j:s2", "j:3", "j:6"]),
        ({TaskId("j:0")}, []),
    ):
        again = Repeating(lambda _most: 0, [b"a,b,c"], rule, is_associative=True, receipt=receipt, wanted=wanted)
        again.run()
        assert [each.task_id for each in again.missing] == missing
        assert [call.record.task_id for call in again.accepted if call.record is not None] == ["j:s0", "j:0"]


def test_without_what_one_call_would_have_given_the_others_are_repeated_and_no_merge_of_it() -> None:
    segments, rule = [b"a,b,c", b"d,e,f", b"g,h,i"], PackRule(1, chunks=3)
    first = Machine(lambda most: most if most != 4 else 0, segments, rule, is_associative=True)
    first.run()
    receipt = receipt_of(first, 0)
    wanted = {each.task_id for each in receipt.records()}
    again = Repeating(lambda _most: 0, segments, rule, is_associative=True, receipt=receipt, wanted=wanted)
    again.fails = lambda call: failed(FailureKind.GUEST_ERROR) if call.function == "execute" and call.run.first == 3 else None
    again.run()
    assert [call.run.first for call in again.of("execute")] == [0, 6]
    assert (again.of("merge"), again.missing) == ([], [])


def test_chunks_behind_those_that_are_needed_are_let_go() -> None:
    segments, rule = [b"a,b,c,d,e,f"], PackRule(1, chunks=3)
    first = Machine(lambda most: most, segments, rule, is_associative=True)
    first.run()
    receipt = receipt_of(first, 0)
    again = Repeating(lambda _most: 0, segments, rule, is_associative=True, receipt=receipt, wanted={TaskId("j:0")})
    again.run()
    assert [call.record.task_id for call in again.accepted if call.record is not None] == ["j:s0", "j:0"]
    assert (again.course.feed.known, again.course.feed.chunks.count) == (6, 0)
