from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import TaskPacket, TaskResult, TaskStatus
from pangea.compute.orchestrator.core.messages import Answers, Beat
from pangea.compute.simulation.answers import Answer
from pangea.compute.simulation.liars import LIARS, Deceit, Forged, Gossip, Liar
from pangea.compute.simulation.program import Synthetic
from pangea.compute.simulation.scenario import Scenario

PROGRAM = Synthetic(Scenario(chunks=10_000))


def liar(kind: str, *, rate: float = 1.0, gossip: Gossip | None = None, sleep_tasks: int = 0, seed: int = 1) -> Liar:
    return LIARS[kind](PROGRAM, Random(seed), gossip or Gossip(), rate=rate, sleep_tasks=sleep_tasks)


def task(start: int = 0, count: int = 10) -> TaskPacket:
    return TaskPacket(task_id=TaskId(f"j:{start}"), start=start, count=count, size_bytes=count, packs=(1,) * count)


def merge() -> TaskPacket:
    inputs = (PROGRAM.answer(task()).digest, PROGRAM.answer(task(10)).digest)
    return TaskPacket(task_id=TaskId("j:m1.0"), function="merge", start=0, count=1, size_bytes=1, inputs=inputs)


def lie_of(one: Liar, packet: TaskPacket) -> Answer:
    deceit = one.plan(packet)
    assert deceit is not None
    assert deceit.answer is not None
    return deceit.answer


def answers(*digests: bytes) -> Answers:
    results = (TaskResult(task_id=TaskId(f"j:{n}"), worker=PeerId(f"n{n}"), digest=digest) for n, digest in enumerate(digests))
    return Answers(results=tuple(enumerate(results)))


@pytest.mark.parametrize("kind", ["random", "lazy", "constant", "copier", "sleeper", "clique", "sybil"])
def test_the_answer_is_wrong(kind: str) -> None:
    assert lie_of(liar(kind), task()).digest != PROGRAM.answer(task()).digest


@pytest.mark.parametrize("kind", ["random", "lazy", "clique", "underreporter", "accuser", "sybil"])
def test_it_lies_as_often_as_it_should(kind: str) -> None:
    one = liar(kind, rate=0.3)
    lies = sum(one.plan(task(start)) is not None for start in range(2000))
    assert lies / 2000 == pytest.approx(0.3, rel=0.2)


@pytest.mark.parametrize("kind", list(LIARS))
def test_an_honest_rate_and_a_long_sleep_leave_only_the_incorrigible(kind: str) -> None:
    plan = liar(kind, rate=0.0, sleep_tasks=100).plan(task())
    assert (plan is not None) == (kind in ("constant", "copier", "withholder"))


def test_a_random_liar_changes_one_leaf() -> None:
    honest, lie = PROGRAM.answer(task()), lie_of(liar("random"), task())
    assert sum(a != b for a, b in zip(honest.leaves, lie.leaves, strict=True)) == 1


@pytest.mark.parametrize("kind", ["lazy", "constant", "copier", "accuser"])
def test_who_skips_the_work_is_quick(kind: str) -> None:
    plan = liar(kind).plan(task())
    assert plan is not None
    assert plan.effort < 0.1


def test_a_constant_says_the_same_to_everything() -> None:
    one = liar("constant")
    assert lie_of(one, task(0)).digest == lie_of(one, task(50)).digest


def test_two_lone_liars_never_agree() -> None:
    assert lie_of(liar("lazy", seed=1), task()) != lie_of(liar("lazy", seed=2), task())


@pytest.mark.parametrize("kind", ["clique", "sybil"])
def test_colluders_agree_on_when_and_what(kind: str) -> None:
    one, other = liar(kind, rate=0.5, seed=1), liar(kind, rate=0.5, seed=2)
    assert [one.plan(task(start)) for start in range(100)] == [other.plan(task(start)) for start in range(100)]


def test_a_copier_says_what_was_revealed() -> None:
    gossip = Gossip()
    gossip.hear(answers(b"revealed"))
    assert lie_of(liar("copier", gossip=gossip), task(0)).digest == b"revealed"
    assert lie_of(liar("copier", gossip=gossip), task(5)).digest != b"revealed"


def test_a_copier_learns_nothing_from_commitments() -> None:
    gossip = Gossip()
    gossip.hear(answers(b""))
    assert gossip.said(task(0)) is None


def test_a_sleeper_lies_when_it_is_trusted() -> None:
    one = liar("sleeper", sleep_tasks=3)
    assert [one.plan(task(start)) is not None for start in range(6)] == [False, False, False, True, True, True]


def test_an_under_reporter_gives_the_right_result_for_less() -> None:
    honest, lie = PROGRAM.answer(task()), lie_of(liar("underreporter"), task())
    assert lie.digest == honest.digest
    assert lie.fuel < honest.fuel


def test_an_accuser_blames_the_job() -> None:
    plan = liar("accuser").plan(task())
    assert plan is not None
    assert plan.failure is FailureKind.GUEST_ERROR


def test_a_withholder_never_answers() -> None:
    assert liar("withholder").plan(task()) == Deceit(None)


def test_a_secretive_one_commits_and_shows_nothing_of_that() -> None:
    one = liar("secretive")
    assert one.plan(task()) is None
    assert one.plan(replace(task(), commit_first=True)) is not None
    open_answer = answers(b"one")
    assert one.relay(open_answer) == open_answer
    ((number, shown),) = open_answer.results
    promise = Answers(results=((number, replace(shown, status=TaskStatus.COMMITTED)),))
    assert one.relay(promise) == promise
    assert one.relay(open_answer) is None


def test_a_wrong_merger_lies_about_merges_alone() -> None:
    one = liar("merger")
    assert one.plan(task()) is None
    assert lie_of(one, merge()).digest != PROGRAM.answer(merge()).digest


def test_a_tamperer_cannot_hide_that_it_changed_results() -> None:
    changed = liar("tamperer").relay(answers(b"one", b"two"))
    assert isinstance(changed, Forged)
    assert isinstance(changed.message, Answers)
    assert b"one" not in [result.digest for _, result in changed.message.results]


def test_a_dropper_swallows_results_and_nothing_else() -> None:
    one, beat = liar("dropper"), Beat(cores=1, window=1, nodes=1, height=0)
    assert one.relay(answers(b"one", b"two")) is None
    assert one.relay(beat) is beat


@pytest.mark.parametrize("kind", [kind for kind in LIARS if not LIARS[kind].is_middle and kind != "secretive"])
def test_others_pass_on_what_they_get(kind: str) -> None:
    message = answers(b"one")
    assert liar(kind).relay(message) is message
