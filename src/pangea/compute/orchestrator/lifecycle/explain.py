"""Why is my task where it is? Everything that decided, at any moment: score, candidates, votes, checks, waits."""

from __future__ import annotations

from dataclasses import dataclass, fields

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.orchestrator.core.records import Case, Peer, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.transitions import TaskState
from pangea.compute.orchestrator.judging.own_check import CHECK
from pangea.compute.orchestrator.limits import BACKUP_SECONDS_MIN, CHECK_SECONDS, LEASE_SECONDS, STUCK_SECONDS
from pangea.compute.orchestrator.rules.audit import first_difference
from pangea.compute.orchestrator.rules.score import Score
from pangea.compute.orchestrator.rules.trust import work_of
from pangea.compute.orchestrator.scheduling.offers import mark, room
from pangea.compute.orchestrator.scheduling.placement import objection, objection_to_job, reluctance

_CANDIDATES_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A peer that might get the task: its mark (higher is better), or why it can't have it."""

    peer: PeerId
    mark: float
    room: int
    objection: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.peer}: {self.objection}" if self.objection else f"{self.peer}: mark {self.mark:.3g}, room for {self.room}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An attempt under way."""

    number: int
    peer: PeerId
    seconds: float
    "since it began"
    expires_in: float
    "seconds"
    is_committed: bool

    def __str__(self) -> str:
        """One line."""
        sealed = ", has committed to an answer" if self.is_committed else ""
        return f"attempt {self.number} by {self.peer} for {self.seconds:.3g} s, {self.expires_in:.3g} s left{sealed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """An answer in hand."""

    worker: PeerId
    branch: PeerId
    network: str
    answer: str
    "first digits of the digest, and fuel"
    passes: int
    weight: float
    "odds that it is right"

    def __str__(self) -> str:
        """One line."""
        where = f" in network {self.network}" if self.network else ""
        return (
            f"{self.worker} (through {self.branch}{where}) says {self.answer};"
            f" {self.passes} checks passed, odds {self.weight:.3g} to 1"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a task is where it is, now."""

    task: TaskId
    state: TaskState
    seconds: float
    "since it came to this node"
    why: str
    waits_for: str
    until: float | None
    "seconds from now until something happens by itself at the latest"
    role: str
    "of this node for the job"
    score: Score | None
    tries: int
    failed_on: tuple[PeerId, ...]
    trials: tuple[Trial, ...]
    candidates: tuple[Candidate, ...]
    opinions: tuple[Opinion, ...]
    checks: tuple[str, ...]
    "drawn, and under way"
    disagreements: tuple[str, ...]
    confidence: float | None
    target: float

    def __str__(self) -> str:
        """A paragraph for people."""
        until = "" if self.until is None else f", {self.until:.3g} s at most"
        lines = [
            f"{self.task}: {self.state.value} for {self.seconds:.3g} s; waits for {self.waits_for}{until}",
            f"  {self.role}" + (f": {self.score}" if self.score is not None else ""),
        ]
        if self.why:
            reached = "" if self.confidence is None else f" (confidence {self.confidence:.6f}, target {self.target})"
            lines.append(f"  judged: {self.why}{reached}")
        if self.tries:
            lines.append(f"  {self.tries} tries failed, the last on {', '.join(self.failed_on)}")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple) and field.name != "failed_on":
                lines += [f"  {item}" for item in value]
        return "\n".join(lines)


def explain(core: Core, task: Task) -> Explanation:
    """Say why `task` is where it is. `core.now` must be now."""
    case, job = task.case, task.job
    waits_for, until = _wait(core, task)
    return Explanation(
        task=task.packet.task_id,
        state=task.state,
        seconds=core.now - task.since,
        why=case.why if case is not None else "",
        waits_for=waits_for,
        until=until,
        role=job.role.value if job.own is None else f"owner, {job.role.value}",
        score=job.score,
        tries=task.tries,
        failed_on=task.failed_on,
        trials=tuple(
            Trial(
                number=attempt.number,
                peer=attempt.peer.id,
                seconds=core.now - attempt.since,
                expires_in=attempt.expires - core.now,
                is_committed=attempt.is_committed,
            )
            for attempt in task.attempts
        ),
        candidates=_candidates(core, task),
        opinions=() if case is None else _opinions(core, task, case),
        checks=() if case is None else _checks(core, task, case),
        disagreements=() if case is None else _disagreements(case),
        confidence=case.confidence if case is not None else None,
        target=job.spec.confidence,
    )


def _wait(core: Core, task: Task) -> tuple[str, float | None]:
    """What the task waits for, and within how many seconds something happens by itself."""
    case = task.case
    if task.state is TaskState.COMPLETE:
        return "nothing: it is done, unless one of its workers is caught lying before the merge", None
    if case is not None and case.probes:
        return f"{case.probes} executions by this node itself", task.job.spec.attempt_timeout
    if task.is_queued:
        return "a peer with room that may have it", STUCK_SECONDS + CHECK_SECONDS
    if task.held is not None:
        return "the owner's word to reveal what was committed to", task.job.deadline - core.now
    if task.attempts:
        names = ", ".join(attempt.peer.id for attempt in task.attempts)
        soonest = min(attempt.expires for attempt in task.attempts) - core.now
        return f"an answer from {names} (a backup copy may start after {BACKUP_SECONDS_MIN:g} s or more)", soonest
    if task.not_before > core.now:
        return "another try", task.not_before - core.now
    own = task.job.own
    if own is not None and case is not None:
        accused = [vote.worker for vote in case.votes if vote.worker in own.accused]
        if accused:
            return f"the finding on {', '.join(accused)} in another dispute", LEASE_SECONDS
        return "its workers' credibility to grow, or a second opinion once nothing fresh is left", task.job.deadline - core.now
    return "this node's next step", CHECK_SECONDS


def _candidates(core: Core, task: Task) -> tuple[Candidate, ...]:
    if task.state is TaskState.COMPLETE:
        return ()
    peers = [core.me, *core.children.values()]
    found = [_candidate(core, task, peer) for peer in peers]
    return tuple(sorted(found, key=lambda one: (bool(one.objection), -one.mark))[:_CANDIDATES_MAX])


def _candidate(core: Core, task: Task, peer: Peer) -> Candidate:
    reason = objection_to_job(core, task.job, peer) or objection(core, task, peer)
    if not reason and room(core, peer) <= 0:
        reason = f"no room: {len(peer.attempts)} of {peer.window} attempts under way"
    if not reason and not peer.is_near:
        reason = reluctance(core, task.job)
    return Candidate(peer=peer.id, mark=mark(core, peer), room=max(0, room(core, peer)), objection=reason)


def _opinions(core: Core, task: Task, case: Case) -> tuple[Opinion, ...]:
    work = work_of(task.job.spec.runtime, task.packet.function)
    return tuple(
        Opinion(
            worker=vote.worker,
            branch=vote.branch,
            network=vote.network,
            answer=f"{vote.digest.hex()[:12]} with {vote.fuel:,} fuel",
            passes=core.trust.passes(vote.worker, work),
            weight=float("inf") if vote.is_trusted else core.trust.weight(vote.worker, work),
        )
        for vote in case.votes
    )


def _checks(core: Core, task: Task, case: Case) -> tuple[str, ...]:
    checks = []
    if case.needed > 1:
        checks.append("a check was drawn: a second, independent answer is wanted")
    if case.is_sampled:
        checks.append(f"{case.sampled} of {task.packet.runs} packs were drawn for the owner to execute")
    checks += [f"refused by the job's own check: answer {digest.hex()[:12]}" for digest in case.refused]
    if case.passed:
        checks.append(f"passed by it: {', '.join(case.passed)}")
    running = [attempt.task for attempt in core.attempts.values() if attempt.task.probe_of is task]
    for probe in [*running, *(probe for probe in core.local if probe.probe_of is task)]:
        if probe.packet.function == CHECK:
            checks.append(f"the job's own check looks at answer {probe.packet.inputs[0].hex()[:12]}: {probe.state.value}")
            continue
        if probe.is_planted:
            checks.append(f"its answer is known, and a worker was given it all the same: {probe.state.value}")
            continue
        part = "all of it" if probe.leaf is None else f"leaf {probe.leaf}"
        checks.append(f"the owner executes {part} itself: {probe.state.value}")
    return tuple(checks)


def _disagreements(case: Case) -> tuple[str, ...]:
    if not case.votes:
        return ()
    first = case.votes[0]
    return tuple(
        f"{vote.worker} disagrees with {first.worker}"
        + ("" if (leaf := first_difference(first, vote)) is None else f", first in leaf {leaf}")
        for vote in case.votes[1:]
        if not vote.agrees(first)
    )
