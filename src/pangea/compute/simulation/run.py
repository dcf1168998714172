"""One run of the simulator: build the tree, submit the job, make trouble, heal, wait for the end, check, measure."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from time import perf_counter
from typing import IO, Final
from uuid import UUID

from pangea.compute.model.ids import JobId
from pangea.compute.model.packet import JobSpec
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob
from pangea.compute.orchestrator.core.events import ChunksReady, JobSubmitted
from pangea.compute.orchestrator.limits import BEAT_SECONDS, LEASE_SECONDS
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.simulation.answers import Program
from pangea.compute.simulation.checkers import CheckError
from pangea.compute.simulation.figures import Outcome, Tally
from pangea.compute.simulation.node import Mind, Node
from pangea.compute.simulation.program import Synthetic
from pangea.compute.simulation.scenario import Scenario
from pangea.compute.simulation.trace import Trace
from pangea.compute.simulation.tree import draw_liars, parents
from pangea.compute.simulation.trouble import Trouble
from pangea.compute.simulation.world import MakeMind, World

#: After the end descendants must have stopped within one lease, and learn of it by the next beat.
DRAIN_SECONDS: Final = LEASE_SECONDS + 2 * BEAT_SECONDS
#: Points of each curve, if the run takes as long as estimated.
_SAMPLES: Final = 200
#: Objects made between two looks for garbage: most of what a run makes stays until its end.
_GARBAGE_THRESHOLD: Final = 200_000


def run(
    scenario: Scenario,
    *,
    program: Program | None = None,
    trace: Trace | None = None,
    make_mind: MakeMind | None = None,
) -> Outcome:
    """Simulate a scenario from its seed.

    Args:
        scenario: what to simulate.
        program: what the job computes; results that name their ranges by default.
        trace: where to record; one's own shows the last lines after a failure, or writes all of them to a file.
        make_mind: gives each node its orchestrator; the real one by default.

    Raises:
        CheckError: a checker is violated; names it.
    """
    begun = perf_counter()
    with _little_garbage():
        world = World(scenario, program or Synthetic(scenario), trace or Trace(), make_mind or _minds(scenario))
        _build(world)
        gc.freeze()  # the nodes stay until the end
        start = world.clock.now
        tally = _execute(world)
        return _measure(world, tally, start, perf_counter() - begun)


def recorded(scenario: Scenario, file: IO[str] | None = None) -> tuple[Outcome | CheckError, Trace]:
    """Simulate, and return how it ended with its trace, violated or not."""
    trace = Trace(file)
    try:
        return run(scenario, trace=trace), trace
    except CheckError as error:
        return error, trace


def _minds(scenario: Scenario) -> MakeMind:
    """Real orchestrators, each with a stream of its own; a restarted one draws anew."""

    def make(node: Node) -> Mind:
        random = scenario.stream(f"mind {node.number}.{node.life}")
        return Orchestrator(node.peer, cores=node.cores, random=random, network=node.network)

    return make


def _build(world: World) -> None:
    """All nodes, their links, and time enough for the tree to know itself."""
    scenario = world.scenario
    above = parents(scenario.nodes, scenario.fan_out)
    liars = draw_liars(scenario, above)
    swarms: dict[int, int] = {}
    for number, parent in enumerate(above):
        kind = liars.get(number, "")
        swarms[number] = swarms[parent] if kind and liars.get(parent) == kind else number
        node = world.members.add(liar=kind, swarm=swarms[number])
        if parent >= 0:
            world.members.join(world.nodes[parent], node)
    world.run(BEAT_SECONDS * (world.tally.tree_depth + 1))
    world.speed = sum(node.cores * node.speed for node in world.nodes)


def _execute(world: World) -> Tally:
    """Submit the job, and let it end: through the safety phase, then the liveness phase, then to silence.

    Returns:
        The counters as they stood when the job ended.
    """
    scenario, start = world.scenario, world.clock.now
    trouble = Trouble(world)
    world.tally.watch(start, scenario.estimate_seconds / _SAMPLES)
    trouble.begin()
    _submit(world)
    world.run(start + scenario.safety_seconds, is_enough=world.has_ended)
    trouble.end()
    if not world.has_ended():
        world.run(world.clock.now + scenario.liveness_seconds, is_enough=world.has_ended)
    world.checkers.ended(world.finish, scenario.liveness_seconds, world.progress())
    if isinstance(world.finish, FinishJob):
        world.checkers.finished(world.finish, world.tally.wrong)
    tally = copy(world.tally)
    world.run(world.clock.now + DRAIN_SECONDS)
    world.checkers.idle(world.nodes)
    return tally


def _submit(world: World) -> None:
    scenario, owner = world.scenario, world.owner
    spec = job_spec(scenario)
    world.note(owner, "submits", f"{scenario.chunks} chunks")
    world.tell(owner, JobSubmitted(spec=spec))
    for batch in range(scenario.batches):
        first, end = (index * scenario.chunks // scenario.batches for index in (batch, batch + 1))
        ready = ChunksReady(
            job_id=spec.job_id,
            count=end - first,
            size_bytes=(end - first) * scenario.chunk_bytes,
            is_last=batch == scenario.batches - 1,
        )
        moment = world.clock.now + batch * scenario.estimate_seconds / (4 * scenario.batches)
        world.clock.call(moment, world.tell, owner, ready)


def job_spec(scenario: Scenario) -> JobSpec:
    """The job that a scenario submits. Its deadline lies beyond what the checkers allow: it is they who complain."""
    random = scenario.stream("job")
    return JobSpec(
        job_id=JobId(str(UUID(int=random.getrandbits(128), version=4))),
        module=random.randbytes(32).hex(),
        verification=scenario.verification,
        confidence=scenario.confidence,
        redundancy=scenario.redundancy,
        retry_count=scenario.retry_count,
        timeout=2.0 * (scenario.safety_seconds + scenario.liveness_seconds),
        attempt_timeout=scenario.attempt_seconds,
        associative=scenario.associative,
        has_check=scenario.check_share > 0,
    )


def _measure(world: World, tally: Tally, start: float, wall_seconds: float) -> Outcome:
    scenario, finish = world.scenario, world.finish
    assert finish is not None
    assert world.ended is not None
    report = finish.report
    ideal = scenario.work_seconds / world.speed
    makespan = world.ended - start
    return Outcome(
        seed=scenario.seed,
        end="finished" if isinstance(finish, FinishJob) else f"failed ({finish.cause}): {finish.message}",
        nodes=scenario.nodes,
        chunks=scenario.chunks,
        tasks=report.tasks,
        makespan_seconds=makespan,
        ideal_seconds=ideal,
        verified_ideal_seconds=ideal * max(1.0, report.executions_per_task),
        utilisation=tally.utilisation(makespan),
        tree_depth=tally.tree_depth,
        depth=tally.depth,
        fan_out=tally.fan_out,
        messages=tally.messages,
        message_bytes=tally.message_bytes,
        executions=tally.executions,
        merges=tally.merges,
        checks=tally.checks,
        executions_per_chunk=tally.chunks_executed / scenario.chunks if scenario.chunks else 0.0,
        executions_per_task=report.executions_per_task,
        local=report.local,
        audits=report.audits,
        planted=report.planted,
        planted_wrong=report.planted_wrong,
        disputes=report.disputes,
        withdrawn=report.withdrawn,
        retries=report.retries,
        backups=report.backups,
        wrong_accepted=tally.wrong,
        banned_guilty=tally.guilty,
        banned_innocent=tally.innocent,
        guilty=sum(node.liar is not None for node in world.nodes),
        confidence=report.confidence,
        lowest_confidence=report.lowest_confidence,
        below_target=report.below_target_count,
        result="" if isinstance(finish, FailJob) else finish.digest.hex(),
        events=world.trace.events,
        virtual_seconds=world.clock.now,
        wall_seconds=wall_seconds,
        trace_hash=world.trace.digest(),
        notes=report.notes,
        samples=tuple(tally.samples),
    )


@contextmanager
def _little_garbage() -> Iterator[None]:
    """Look for garbage rarely: a run makes millions of objects, and few circles."""
    threshold = gc.get_threshold()
    gc.set_threshold(_GARBAGE_THRESHOLD, 50, 100)
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
