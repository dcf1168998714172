"""Packs follow from the manifest and the data alone: the same whoever drives a job, however it is cut into tasks."""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import ceil
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.flow import merging
from pangea.compute.flow.chunks import ChunkQueue, TaskSize, packs_in, sized
from pangea.compute.flow.packs import INPUT_PACKS, SEGMENT_PACKS, Pack, PackRule
from pangea.compute.model import frames
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.options import JobOptions, SplitStrategy
from pangea.compute.model.packet import LEAVES_MAX, JobSpec, TaskPacket, TaskResult
from pangea.compute.node.jobs.chunks import Chunks, frames_in
from pangea.compute.orchestrator.core.commands import Command, FinishJob, MergeJob, StartTask
from pangea.compute.orchestrator.core.events import ChunksReady, Event, FinishedTask, JobMerged, JobSubmitted, TaskExecuted
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.verification.merkle import root
from tests.fakes.tree import OWNER, Tree

ME, JOB = PeerId("me"), JobId("job")
SIZES = st.lists(st.integers(0, 60), max_size=120)
RULES = st.builds(PackRule, st.integers(1, 200), st.integers(1, 20), st.integers(0, 9))
SEGMENTS = st.lists(st.lists(st.integers(0, 30), max_size=40), min_size=1, max_size=5)


def naive(sizes: list[int], rule: PackRule) -> list[Pack]:
    """The rule, word for word."""
    most, packs, pack = ceil(len(sizes) / rule.per_segment), [], list[int]()
    for size in sizes:
        pack.append(size)
        is_full = len(pack) == rule.chunks if rule.chunks else sum(pack) >= rule.bytes_min or len(pack) == most
        if is_full:
            packs.append(Pack(len(pack), sum(pack)))
            pack = []
    return [*packs, *([Pack(len(pack), sum(pack))] if pack else [])]


@given(SIZES, RULES)
def test_a_pack_holds_so_many_bytes_or_so_many_chunks_whichever_comes_first(sizes: list[int], rule: PackRule) -> None:
    packs = rule.packs(sizes)
    assert packs == naive(sizes, rule)
    assert sum(pack.count for pack in packs) == len(sizes)
    assert sum(pack.size_bytes for pack in packs) == sum(sizes)


def test_few_chunks_are_a_pack_each_and_a_million_lines_a_few_hundred() -> None:
    options = JobOptions()
    assert PackRule.of(options).packs([1] * INPUT_PACKS) == [Pack(1, 1)] * INPUT_PACKS
    assert len(PackRule.of(options).packs([20] * 1_000_000)) == ceil(1_000_000 / ceil(64 * 1024 / 20))
    rows = PackRule.of(JobOptions(split_strategy=SplitStrategy.ROW_BASED))
    assert rows.packs([1] * SEGMENT_PACKS) == [Pack(1, 1)] * SEGMENT_PACKS
    assert rows.packs([1] * 160) == [Pack(10, 10)] * SEGMENT_PACKS
    assert PackRule.of(JobOptions(isolate=True)).packs([0, 5, 100_000]) == [Pack(1, 0), Pack(1, 5), Pack(1, 100_000)]
    assert [pack.count for pack in PackRule.of(JobOptions(chunks_per_pack=4)).packs([70_000] * 10)] == [4, 4, 2]


def frame_of(sizes: list[int]) -> bytes:
    return frames.pack([b"x" * size for size in sizes])


@given(SIZES, RULES)
def test_a_frame_has_the_packs_of_its_chunks_and_they_are_found_again_by_their_counts(sizes: list[int], rule: PackRule) -> None:
    packs = rule.packs(sizes)
    assert packs_in(frame_of(sizes), rule) == packs
    assert list(sized(frame_of(sizes), tuple(pack.count for pack in packs))) == packs


@given(SEGMENTS, RULES, st.data())
def test_the_packs_of_a_job_are_the_same_embedded_on_a_node_after_a_crash_and_in_a_re_execution(
    segments: list[list[int]], rule: PackRule, data: st.DataObject
) -> None:
    expected = [pack.count for segment in segments for pack in rule.packs(segment)]
    body = frames.pack([frame_of(segment) for segment in segments])
    node = Chunks(rule)
    for frame in frames_in(body):
        node.add_frame(body, frame, None)
    assert list(node.pack_counts(0)) == expected
    embedded = ChunkQueue(rule)
    for segment in segments:
        embedded.add_frame(memoryview(frame_of(segment)))
    found = []
    while embedded:
        most = TaskSize(chunks=data.draw(st.integers(1, 50)), size_bytes=data.draw(st.integers(1, 500)))
        found += [pack.count for pack in embedded.take(most).packs]
    assert found == expected
    first = tasks_of(expected, data, [])
    assert [count for task in first for count in task.packs] == expected
    kept = [task for task in first if data.draw(st.booleans())]
    again = tasks_of(expected, data, kept)
    everything = sorted([*kept, *again], key=lambda task: task.start)
    assert [count for task in everything for count in task.packs] == expected, "after a crash"
    replayed = ChunkQueue(rule)
    for segment in segments:
        replayed.add_frame(memoryview(frame_of(segment)))
    for task in first:  # as a receipt names them
        run = replayed.take(TaskSize(chunks=task.count, size_bytes=1 << 60))
        assert (run.first, tuple(pack.count for pack in run.packs)) == (task.start, task.packs)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=150), st.integers(0, 2), st.integers(1, 3), st.booleans(), st.data())
def test_the_packs_of_a_job_are_the_same_in_a_tree_of_nodes_and_when_some_of_them_die(
    packs: list[int], levels: int, fan_out: int, associative: bool, data: st.DataObject
) -> None:
    tree = Tree(levels=levels, fan_out=fan_out, chunk_seconds=data.draw(st.sampled_from([0.01, 0.3])))
    tree.submit(sum(packs), packs=packs, associative=associative)
    for name in data.draw(st.lists(st.sampled_from(sorted(tree.below(OWNER) or [OWNER])), max_size=2)):
        tree.passes(data.draw(st.floats(0.05, 2)))
        if name != OWNER:
            tree.kill(name, notice=data.draw(st.booleans()))
    assert isinstance(tree.finish(within=3600), FinishJob)
    assert packs_executed(tree, packs) == len(packs)


def test_several_nodes_of_a_tree_execute_packs_of_one_job() -> None:
    tree, packs = Tree(levels=2), [1 + number % 7 for number in range(120)]
    tree.submit(sum(packs), packs=packs)
    assert isinstance(tree.finish(), FinishJob)
    assert packs_executed(tree, packs) == len(packs)
    assert sum(bool(member.packets) for member in tree.members.values()) > 4


def packs_executed(tree: Tree, packs: list[int]) -> int:
    """How many different packs the engines of all nodes were given; an assertion fails at one that is none of the job's."""
    bounds = [0, *accumulate(packs)]
    places = {start: number for number, start in enumerate(bounds)}
    done: set[int] = set()
    for member in tree.members.values():
        for packet in member.packets:
            if packet.function == "execute":
                first, end = places[packet.start], places[packet.start + packet.count]
                assert list(packet.packs or [1] * packet.count) == packs[first:end]
                done |= set(range(first, end))
    return len(done)


def tasks_of(packs: list[int], data: st.DataObject, kept: list[TaskPacket], *, associative: bool = False) -> list[TaskPacket]:
    """The tasks that an orchestrator cuts, whatever chunks are said to cost; `kept` were complete before a restart."""
    finished = [FinishedTask(packet=task, digest=b"old %d" % task.start, fuel=1) for task in kept]
    return play(packs, data, finished, associative=associative)[0]


def play(
    packs: list[int], data: st.DataObject, finished: list[FinishedTask], *, associative: bool
) -> tuple[list[TaskPacket], list[TaskPacket]]:
    """Tasks of execute and of merge, in order."""
    core = Orchestrator(ME, cores=data.draw(st.integers(1, 4)), random=Random(1))
    commands: list[Command] = []
    now = 0.0

    def tell(event: Event) -> None:
        nonlocal now
        now += 0.01
        commands.extend(core.handle(event, now=now))
        core.check()

    tell(JobSubmitted(spec=JobSpec(job_id=JOB, module="m", associative=associative), finished=tuple(finished)))
    left = list(packs)
    while True:
        batch = [left.pop(0) for _ in range(min(len(left), data.draw(st.integers(1, 60))))]
        tell(ChunksReady(job_id=JOB, count=sum(batch), size_bytes=sum(batch), is_last=not left, packs=batch))
        if not left:
            break
    executes, merges = list[TaskPacket](), list[TaskPacket]()
    while commands:
        match commands.pop(0):
            case StartTask(attempt=attempt, packet=packet):
                (merges if packet.function == "merge" else executes).append(packet)
                leaves = tuple(b"%s %d %d" % (packet.function.encode(), packet.start, leaf) for leaf in range(packet.runs))
                digest = root((packet.task_id.encode(), *leaves))
                fuel = data.draw(st.sampled_from([1, 10**9, 10**11]))
                answer = TaskResult(task_id=packet.task_id, worker=ME, digest=digest, leaves=leaves, fuel=fuel)
                tell(TaskExecuted(attempt=attempt, result=answer))
            case MergeJob():
                tell(JobMerged(job_id=JOB, digest=b"result"))
            case FinishJob():
                return executes, merges
            case _:
                pass
    raise AssertionError("the job never ends")


@given(st.lists(st.integers(1, 3), min_size=1, max_size=200), st.data())
def test_what_is_merged_with_what_does_not_depend_on_the_cut_into_tasks(packs: list[int], data: st.DataObject) -> None:
    executes, merges = play(packs, data, [], associative=True)
    starts = {task.start: task for task in executes}
    ends = list(accumulate(packs))
    spans, at = [], iter(sorted(starts))
    for merge in merges:
        if merge.task_id.startswith(f"{JOB}:m1."):
            group = [starts[next(at)] for _ in merge.inputs]
            spans.append((group[0].start, group[-1].start + group[-1].count))
    counts = merging.first_groups(len(packs), 0)
    bounds = [0, *(ends[last - 1] for last in accumulate(counts))]
    assert spans == list(pairwise(bounds))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=300), st.data())
def test_a_task_is_of_whole_packs_and_of_no_more_than_its_answer_has_leaves(packs: list[int], data: st.DataObject) -> None:
    executes, _ = play(packs, data, [], associative=False)
    assert all(1 <= len(task.packs) <= LEAVES_MAX and sum(task.packs) == task.count for task in executes)
    assert [count for task in sorted(executes, key=lambda task: task.start) for count in task.packs] == packs
    assert all(task.task_id == TaskId(f"{JOB}:{task.start}") for task in executes)


@given(st.lists(st.integers(0, 1 << 22), max_size=300), st.integers(0, 1 << 30))
def test_later_groups_are_of_neighbours_small_enough_and_fewer_than_before(sizes: list[int], before: int) -> None:
    counts = merging.next_groups(sizes, before)
    if not counts:
        assert len(sizes) <= merging.FAN_IN or max(sizes) > 0
        return
    assert sum(counts) == len(sizes) > len(counts)
    bounds = [0, *accumulate(counts)]
    for first, end in pairwise(bounds):
        assert 1 <= end - first <= merging.FAN_IN
        assert end - first == 1 or sum(sizes[first:end]) <= merging.GROUP_BYTES
