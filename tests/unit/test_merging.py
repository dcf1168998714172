"""Results come together in order: in one merge at the owner, or, if merge is associative, level by level everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import pytest

from pangea.compute.flow.merging import FAN_IN, GROUP_PACKS
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.model.packet import TaskPacket
from pangea.compute.orchestrator.core.commands import FinishJob, MergeJob
from pangea.compute.orchestrator.core.events import JobMerged, PeerLost, PeerMisbehaved, TaskExecuted
from pangea.compute.orchestrator.core.records import Phase
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.rules.trust import work_of
from tests.fakes.node import Node, Puppet
from tests.fakes.packets import JOB, merge_of, packet_of, right, spec_of

NONE = VerificationMode.NONE
CHUNKS = 5 * GROUP_PACKS + 8


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as one:
        yield one


def digest(start: int) -> bytes:
    return right(packet_of(start), "x").digest


def level_of(inputs: list[bytes], level: int) -> list[bytes]:
    """The digests of one level of merge steps."""
    groups = ceil(len(inputs) / GROUP_PACKS)
    cuts = [*range(0, len(inputs), GROUP_PACKS), len(inputs)]
    packets = [
        TaskPacket(
            task_id=packet_of().task_id,
            function="merge",
            start=n,
            count=1,
            size_bytes=1,
            inputs=tuple(inputs[cuts[n] : cuts[n + 1]]),
        )
        for n in range(groups)
    ]
    assert level > 0
    return [right(packet, "x").digest for packet in packets]


def execute_all(node: Node, puppets: dict[str, Puppet]) -> MergeJob:
    """Play until the last merge is asked for."""
    for _ in range(200):
        heard = {peer: node.asked(peer) for peer in puppets}
        starts = node.started()
        for peer, asks in heard.items():
            for ask in asks:
                result = puppets[peer](ask.packet)
                if result is not None:
                    node.says(peer, ask, result)
        node.executes(*[start for start in starts if start.attempt not in node.stopped])
        if node.merges:
            return node.merges[-1]
        node.passes(0.1)
    raise AssertionError("no merge was asked for")


def test_all_results_are_merged_once_in_the_order_of_their_chunks_whatever_the_order_they_came_in(node: Node) -> None:
    node.join_child("a", cores=4)
    node.submit(6, verification=NONE, locality=Locality.ANY)
    asks = node.asked("a")
    starts = node.started()
    node.executes(*starts)
    for ask in reversed(asks):
        assert node.merges == []
        node.answers("a", ask)
    assert node.merges == [
        MergeJob(
            spec=spec_of(verification=NONE, locality=Locality.ANY), digests=tuple(digest(n) for n in range(6)), counts=(1,) * 6
        )
    ]
    node.merge()


def test_each_result_says_for_how_many_chunks_it_stands() -> None:
    with Node(chunk_seconds=0.05) as node:
        node.submit(30, verification=NONE)
        merge = execute_all(node, {})
        assert sum(merge.counts) == 30
        assert len(merge.counts) == len(merge.digests) < 30
        node.merge()


def test_what_is_not_declared_associative_is_never_merged_early(node: Node) -> None:
    node.join_child("a", cores=16)
    node.submit(CHUNKS, verification=NONE)
    merge = execute_all(node, node.honest("a"))
    assert merge.digests == tuple(digest(n) for n in range(CHUNKS))
    node.merge()


def test_an_associative_merge_goes_level_by_level_and_children_take_part(node: Node) -> None:
    node.join_child("a", cores=16)
    node.submit(CHUNKS, verification=NONE, associative=True, locality=Locality.ANY)
    merge = execute_all(node, node.honest("a"))
    assert list(merge.digests) == level_of([digest(n) for n in range(CHUNKS)], 1)
    assert len(merge.digests) == 6
    node.merge()
    end = node.ends[JOB]
    assert isinstance(end, FinishJob)
    assert end.digest == merge_of(merge.digests)
    assert end.report.chunks == CHUNKS


def test_no_merge_step_takes_more_than_the_fan_in(node: Node) -> None:
    node.join_child("a", cores=16)
    node.submit(CHUNKS, verification=NONE, associative=True)
    sizes = []
    puppet = node.honest("a")["a"]

    def seen(packet: TaskPacket) -> object:
        if packet.function == "merge":
            sizes.append(len(packet.inputs))
        return puppet(packet)

    execute_all(node, {"a": seen})  # type: ignore[dict-item]
    assert sizes
    assert max(sizes) <= GROUP_PACKS
    node.merge()


def test_few_results_are_merged_at_once_though_merge_is_associative(node: Node) -> None:
    node.join_child("a", cores=16)
    node.submit(FAN_IN, verification=NONE, associative=True)
    assert len(execute_all(node, node.honest("a")).digests) == FAN_IN
    node.merge()


def test_without_children_there_are_the_same_levels(node: Node) -> None:
    node.submit(FAN_IN + 5, verification=NONE, associative=True)
    assert len(execute_all(node, {}).digests) == ceil((FAN_IN + 5) / GROUP_PACKS)
    node.merge()


def test_a_merge_step_is_verified_like_any_task(node: Node) -> None:
    names = ["a", "b", "c"]
    for name in names:
        node.join_child(name, cores=16)
    node.submit(CHUNKS, associative=True)
    puppets = node.honest(*names) | {"c": node.liar("c", when=lambda packet: packet.function == "merge")}
    end = node.play(puppets)
    assert isinstance(end, FinishJob)
    assert end.digest == merge_of(tuple(level_of([digest(n) for n in range(CHUNKS)], 1)))


def test_who_executes_well_is_not_believed_when_it_merges(node: Node) -> None:
    names = ["a", "b", "c"]
    node.dice.loaded = 0.999  # nothing is checked that needn't be
    for name in names:
        node.trusts(**{name: 100_000})
        node.join_child(name, cores=16)
    node.submit(CHUNKS, associative=True, locality=Locality.ANY)
    lies = lambda packet: packet.function == "merge"  # noqa: E731
    end = node.play(node.honest("b", "c") | {"a": node.liar("a", when=lies)})
    assert isinstance(end, FinishJob)
    assert end.digest == merge_of(tuple(level_of([digest(n) for n in range(CHUNKS)], 1)))
    assert end.report.bans == ("a",)


def test_two_who_execute_well_and_lie_alike_in_merging_are_not_believed_either(node: Node) -> None:
    node.dice.loaded = 0.999  # nothing is checked that needn't be
    for name in ("a", "b"):
        node.trusts(**{name: 100_000})
        node.join_child(name, cores=16)
    node.submit(CHUNKS, associative=True, locality=Locality.ANY)
    lies = {name: node.liar(name, when=lambda packet: packet.function == "merge", lie=b"the same") for name in ("a", "b")}
    end = node.play(lies)
    assert isinstance(end, FinishJob)
    assert set(end.report.bans) == {"a", "b"}
    assert end.digest == merge_of(tuple(level_of([digest(n) for n in range(CHUNKS)], 1)))  # alone by then, in the same steps


def test_what_is_learned_of_who_merges_is_kept_apart(node: Node) -> None:
    node.join_child("a", cores=16)
    node.submit(CHUNKS, associative=True, locality=Locality.ANY)
    node.play(node.honest("a"))
    kept = {command.runtime: command.record.passes for command in node.kept}
    assert set(kept) == {"", work_of("", "merge")}
    assert 0 < kept[work_of("", "merge")] < kept[""]


def merging(node: Node) -> None:
    """A job whose tasks are accepted and whose merge steps are under way at `a` and `b`."""
    node.dice.loaded = 0.999
    for name in ("a", "b"):
        node.trusts(**{name: 100_000})
        node.join_child(name, cores=64)
    node.submit(FAN_IN + 10, associative=True, locality=Locality.ANY)
    while node.own().phase is not Phase.MERGING:
        for name in ("a", "b"):
            node.answers(name, *node.asked(name))
        node.executes(*node.started())
        node.passes(0.1)


def test_a_liar_caught_while_merging_reopens_what_only_it_vouched_for(node: Node) -> None:
    merging(node)
    own = node.own()
    node.dice.loaded = 0.0
    names = {attempt.peer.id for attempt in node.core.attempts.values()}
    liar = next(iter(names - {"me"}))
    other = "b" if liar == "a" else "a"
    alone = sum(1 for task in own.votes_of[liar] if task.case is not None and len(task.case.votes) == 1)
    assert alone > 0
    node.answers(liar, *node.asked(liar), lie=b"late lie")
    while liar not in node.dropped:
        node.answers(other, *node.asked(other))
        for start in node.started():
            node.tell(TaskExecuted(attempt=start.attempt, result=node.right(start.packet, "me")))
        node.passes(0.1)
    assert own.withdrawn >= alone
    assert own.phase is Phase.EXECUTING
    assert not [task for task in node.job().tasks.values() if task.packet.function == "merge"]
    end = node.play(node.honest(other))
    assert isinstance(end, FinishJob)
    assert end.report.bans == (liar,)
    assert end.digest == merge_of(tuple(level_of([digest(n) for n in range(FAN_IN + 10)], 1)))


def test_a_link_lost_while_merging_costs_only_the_steps_under_way(node: Node) -> None:
    merging(node)
    node.tell(PeerLost(peer=next(iter(node.core.children))))
    done = [task for task in node.job().tasks.values() if task.packet.function == "execute"]
    assert {task.state for task in done} == {TaskState.COMPLETE}
    (left,) = node.core.children
    assert isinstance(node.play(node.honest(left)), FinishJob)


def test_once_the_last_merge_runs_nothing_is_withdrawn_any_more(node: Node) -> None:
    node.join_child("a")
    node.submit(2, verification=NONE)
    execute_all(node, node.honest("a"))
    node.tell(PeerMisbehaved(peer=next(iter(node.core.children)), what="garbled"))
    assert len(node.merges) == 1
    node.merge()
    assert isinstance(node.ends[JOB], FinishJob)


def test_the_end_of_the_last_merge_counts_once(node: Node) -> None:
    node.submit(2)
    execute_all(node, {})
    node.merge()
    assert node.tell(JobMerged(job_id=JOB, digest=b"again")) == []
