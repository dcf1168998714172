"""Over real links: a child that guesses at a task whose answer the node knows, and one that does it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pangea.compute.engine.engine import Engine
from pangea.compute.engine.task import Task
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.outcome import Outcome
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.orchestrator.judging import planting
from pangea.compute.orchestrator.rules.trust import Verdict
from tests.attackers import Asked, Attacker
from tests.deadlines import comes_true
from tests.victims import GatedCalls, Scene, Victim
from tests.victims import play as played

Play = Callable[[Scene], None]
pytestmark = pytest.mark.timeout(120)
#: More than this node and one child can have begun at once.
DATA = bytes(range(256)) * 64


@pytest.fixture
def play(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Play:
    monkeypatch.setattr(planting, "PLANTED_SHARE", 1.0)
    return partial(played, tmp_path, engine)


class OneOnly(GatedCalls):
    """The node's engine, whose gate falls shut behind the first that have come through."""

    async def execute(self, task: Task) -> Outcome:
        outcome = await super().execute(task)
        if not self.is_over:
            self.gate.clear()
        return outcome

    is_over = False


def is_known(on: Victim, asked: Asked) -> bool:
    """Whether the node has planted it: nothing that the child is sent says so."""
    attempt = on.node.driver.core.core.attempts.get(asked.attempt)
    return attempt is not None and attempt.task.is_planted


def goes_on(on: Victim) -> None:
    """The gate stays open from now on."""
    assert isinstance(on.own, OneOnly)
    on.own.is_over = True
    on.own.gate.set()


def handed_back(asked: Asked) -> TaskResult:
    """Taken, and not begun."""
    return TaskResult(task_id=asked.packet.task_id, status=TaskStatus.RETURNED, worker=PeerId(""))


async def planted(on: Victim) -> tuple[Attacker, JobId, Asked]:
    """A child, the job, and the task with the known answer that it was given."""
    child = await Attacker().join(on.address, cores=1)
    await comes_true(lambda: child.peer in on.children)
    on.own = on.node.driver.calls = OneOnly(on.node.engine)  # what is left is for the child
    job = await on.submit(DATA, verification_mode="adaptive", locality="any", chunks_per_pack=8)
    jobs = on.node.driver.core.core.jobs
    await comes_true(lambda: any(each.own and each.own.known_answers for each in jobs.values()))
    fresh = [(each.attempt, handed_back(each)) for each in await child.gets() if not is_known(on, each)]
    await child.says(*fresh)  # and so it has room for more
    await comes_true(lambda: any(is_known(on, each) for each in child.asked))
    return child, job, next(each for each in child.asked if is_known(on, each))


def test_who_guesses_is_shut_out_with_a_proof_once_the_node_has_looked_again(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, known = await planted(on)
        await child.says((known.attempt, child.result(known)))
        goes_on(on)
        await comes_true(lambda: on.is_banned(child.peer))
        assert on.node.trust.verdict(child.peer) in {Verdict.FAULTY, Verdict.LIED}
        await comes_true(lambda: on.node.driver.proofs.path_of(child.peer) is not None)
        assert await on.result(job) == DATA

    play(scene)


def test_who_does_it_is_left_in_peace(play: Play) -> None:
    async def scene(on: Victim) -> None:
        child, job, known = await planted(on)
        chunks = [DATA[16 * at : 16 * (at + 1)] for at in range(known.packet.start, known.packet.start + known.packet.count)]
        (owned,) = on.node.driver.core.core.jobs.values()
        own, truth = owned.own, owned.tasks[known.packet.task_id]
        assert own is not None
        assert truth.case is not None
        right = child.result(known, chunks, fuel=truth.case.votes[0].fuel)
        assert right.digest == truth.case.votes[0].digest
        await child.says((known.attempt, right))
        await comes_true(lambda: own.planted == 1)
        assert own.planted_wrong == 0
        assert not on.is_banned(child.peer)
        child.leave()
        goes_on(on)
        assert await on.result(job) == DATA

    play(scene)
