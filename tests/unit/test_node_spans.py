"""Spans of a tree of real orchestrators: one trace, everything below what it belongs to, and nothing that stays open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import cast

import pytest

from pangea.compute.model.errors import JobFailedError, UnavailableError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskStatus
from pangea.compute.model.progress import JobState
from pangea.compute.model.trace_context import NO_SPAN, SpanKind, SpanRecord, TraceContext, trace_of
from pangea.compute.node.service.spans import NodeSpans, said_of
from pangea.compute.orchestrator.machine import Orchestrator
from tests.examples import first
from tests.fakes.packets import JOB, packet_of, right
from tests.fakes.tree import OWNER, Tree

CLIENT = TraceContext(bytes(range(16)), bytes(range(8)))
HEAVY = 1e13


class Sink:
    """Keeps what it is given."""

    def __init__(self, *, samples: bool = True) -> None:
        self.samples = samples
        self.records: list[SpanRecord] = []

    def is_sampled(self, trace: bytes) -> bool:
        return self.samples

    def emit(self, record: SpanRecord) -> None:
        self.records.append(record)


def traced(tree: Tree, sink: Sink, *, given: str = "", untraced: Iterable[str] = ()) -> dict[str, NodeSpans]:
    """Have all nodes of a tree but some make spans; these pass on what they were given."""
    spans: dict[str, NodeSpans] = {}

    def said(name: str, source: PeerId | None, job_id: JobId) -> str:
        if source is None:
            return given
        above = said(source, tree_parent(source), job_id)
        return spans[source].passed_on(tree_parent(source), job_id, above) if source in spans else above

    for name, member in tree.members.items():
        if name not in untraced:
            one = spans[name] = NodeSpans(PeerId(name), member.orchestrator, sink, lambda *key, name=name: said(name, *key))
            tree.observers[name] = one.saw
    return spans


def tree_parent(name: str) -> PeerId | None:
    above = name.rpartition(".")[0]
    return PeerId(above) if above else None


def ended(tree: Tree, spans: dict[str, NodeSpans], *, given: str = "") -> None:
    """Let the job end, and the nodes below hear of it."""
    tree.finish()
    if OWNER in spans:
        state = {"state": JobState.COMPLETE, "began": 0.0, "ended": tree.now, "about": {}, "error": ""}
        spans[OWNER].job_ended(JOB, given, **state)  # type: ignore[arg-type]
    tree.passes(120)
    for each in spans.values():
        each.close(tree.now)


def ids(records: list[SpanRecord]) -> set[bytes]:
    return {each.span for each in records}


@cache
def three_levels(given: str) -> tuple[Tree, Sink]:
    """A job on an owner, two managers and four workers, and its spans."""
    tree, sink = Tree(levels=2, fan_out=2), Sink()
    spans = traced(tree, sink, given=given)
    tree.submit(200, estimated_flops=HEAVY)
    ended(tree, spans, given=given)
    return tree, sink


@pytest.mark.parametrize("given", first(1, ["", str(CLIENT)]), ids=["client without", "client with a trace"])
def test_a_job_on_three_levels_is_one_trace_without_a_loose_end(given: str) -> None:
    tree, sink = three_levels(given)
    records = sink.records
    assert {each.parent.trace for each in records} == {CLIENT.trace if given else trace_of(JOB)}
    assert len(ids(records)) == len(records)
    top = {each.parent.span for each in records} - ids(records)
    assert top == {CLIENT.span if given else NO_SPAN}, "every other parent is there"
    names = Counter(each.name for each in records)
    assert names["pangea job"] == 1
    assert names["pangea lend"] == len({each for each in tree.members if tree.members[each].delegated})
    executed = [each for each in records if each.name == "pangea execute"]
    assert sum(member.executed for member in tree.members.values()) == sum(
        int(each.attributes["pangea.chunk.count"]) for each in executed
    )
    assert all(each.ended > each.began for each in executed)


def test_an_attempt_lies_below_its_giver_s_down_the_tree() -> None:
    _, sink = three_levels("")
    by_id = {each.span: each for each in sink.records}

    def way(record: SpanRecord) -> list[str]:
        above = by_id.get(record.parent.span)
        return [*(way(above) if above is not None else []), str(record.attributes.get("pangea.node", OWNER))]

    deep = [each for each in sink.records if each.attributes.get("pangea.node", "").count(".") == 2]  # type: ignore[union-attr]
    executed = [each for each in deep if each.name == "pangea execute"]
    assert executed
    for each in executed:
        node = str(each.attributes["pangea.node"])
        assert way(each) == [OWNER, OWNER, node.rpartition(".")[0], node], "job, the owner's attempt, the manager's, its own"
    assert {each.kind for each in sink.records if each.name == "pangea delegate"} == {SpanKind.CLIENT}


def test_a_node_without_spans_in_between_leaves_none_hanging() -> None:
    tree, sink = Tree(levels=2, fan_out=1), Sink()
    spans = traced(tree, sink, untraced=[f"{OWNER}.0"])
    tree.submit(200, estimated_flops=HEAVY)
    ended(tree, spans)
    assert {each.parent.span for each in sink.records} - ids(sink.records) == {NO_SPAN}
    assert any(each.attributes.get("pangea.node") == f"{OWNER}.0.0" for each in sink.records)


def test_a_lost_worker_s_attempts_end_with_its_link() -> None:
    tree, sink = Tree(levels=1, fan_out=2), Sink()
    spans = traced(tree, sink)
    tree.submit(200, estimated_flops=HEAVY)
    tree.passes(2)
    tree.kill(f"{OWNER}.0", notice=True)
    ended(tree, spans)
    lost = [each for each in sink.records if each.error.startswith("its link")]
    assert lost
    assert {each.attributes["pangea.worker"] for each in lost} == {f"{OWNER}.0"}


def test_what_is_no_longer_wanted_is_nobody_s_error() -> None:
    tree, sink = Tree(levels=1, fan_out=2), Sink()
    spans = traced(tree, sink)
    tree.submit(200, estimated_flops=HEAVY)
    tree.passes(2)
    tree.cancel()
    ended(tree, spans)
    open_then = [each for each in sink.records if each.attributes.get("pangea.attempt.status") not in ("done", None)]
    assert open_then
    assert not any(each.error for each in sink.records)


def test_a_trace_that_is_not_sampled_has_no_span_anywhere() -> None:
    for given, samples in (("", False), (str(TraceContext(CLIENT.trace, CLIENT.span, is_sampled=False)), True)):
        tree, sink = Tree(levels=1, fan_out=2), Sink(samples=samples)
        spans = traced(tree, sink, given=given)
        tree.submit(50, estimated_flops=HEAVY)
        ended(tree, spans, given=given)
        assert sink.records == []


@pytest.mark.parametrize(("kind", "is_told"), [(FailureKind.GUEST_ERROR, False), (FailureKind.WORKER_LOST, True)])
def test_what_a_job_s_code_says_is_not_for_the_node_s_collector(kind: FailureKind, is_told: bool) -> None:
    packet, sink = packet_of(), Sink()
    job = SimpleNamespace(key=(None, JobId(JOB)))
    task = SimpleNamespace(job=job, packet=packet, origin=0, since=0.0)
    core = SimpleNamespace(core=SimpleNamespace(attempts={1: SimpleNamespace(task=task, peer=SimpleNamespace(id=OWNER))}))
    spans = NodeSpans(PeerId(OWNER), cast(Orchestrator, core), sink, lambda *_: "")
    spans._begin(1, 1.0)
    spans._end(1, 2.0, "", replace(right(packet, OWNER), status=TaskStatus.FAILED, failure=kind, message="card 4111"))
    (record,) = sink.records
    assert record.error.startswith(kind.value)
    assert ("4111" in record.error) is is_told


def test_nor_is_what_it_says_of_a_job_that_fails() -> None:
    failed = JobFailedError("execute failed: ValueError: card 4111, at chunk 3", function="execute")
    assert said_of(failed) == "JOB_FAILED: execute of the job's failed"
    assert said_of(UnavailableError("the disk is full")) == "UNAVAILABLE: the disk is full"
    assert said_of(None) == ""
