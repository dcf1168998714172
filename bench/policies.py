"""What checking costs and what it catches: trials of the verification modes against liars, on a flat pool of workers.

    python bench/policies.py [--tasks N] [--seeds N] [--only TEXT]

Each trial plays one job: the owner's loop of `orchestrator/rules/audit.py`, with the real `TrustBook`, `check_is_due` and
`judge`, and workers that only say right or wrong. Shown are tasks that are wrong in the end, and executions per task: all
answers of workers, withdrawn ones too, and what the owner executed itself (a probe counts as a whole task: upper bound).

A fifth of the workers are liars, but for the first column. Independent ones each invent their own wrong answers. A clique tells
one wrong answer, and all its members lie about the same tasks: the worst that can be done to voting. Nobody joins or leaves.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from random import Random

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.packet import JobSpec
from pangea.compute.orchestrator.rules import audit
from pangea.compute.orchestrator.rules.audit import Action, Vote
from pangea.compute.orchestrator.rules.trust import TrustBook, TrustRecord

#: Leaves of each task.
LEAVES = 20
RIGHT, WRONG = b"right", b"wrong"
OWNER = Vote(PeerId("owner"), PeerId("owner"), "", RIGHT, 1, (RIGHT,) * LEAVES, is_trusted=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Liars:
    """The liars of a trial.

    Attributes:
        share: of all workers, 0 to 1.
        rate: share of the tasks that they lie about, 0 to 1.
        is_clique: whether all tell the same lie about the same tasks.
        honest_for: tasks that each does right before it turns.
        wrong_leaves: how many of a task's leaves are wrong when they lie, 1 to `LEAVES`.
    """

    share: float = 0.2
    rate: float = 0.3
    is_clique: bool = False
    honest_for: int = 0
    wrong_leaves: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """How a trial went.

    Attributes:
        wrong: tasks that are accepted with a wrong answer in the end.
        executions: per task, the owner's own included.
        local: share of tasks that the owner executed itself, in whole or in part.
        caught: liars banned.
        banned_honest: honest workers banned.
        withdrawn: answers taken back.
    """

    wrong: int
    executions: float
    local: float
    caught: int
    banned_honest: int
    withdrawn: int


@dataclass(slots=True)
class Task:
    """A task, as the owner sees it."""

    votes: list[Vote] = field(default_factory=list)
    needed: int = 1
    passed: list[PeerId] = field(default_factory=list)
    answer: bytes | None = None
    is_parked: bool = False
    pair: tuple[PeerId, ...] = ()


class Trial:
    """One job's life, from a seed."""

    def __init__(self, spec: JobSpec, liars: Liars, *, workers: int, tasks: int, seed: int) -> None:
        """Set up `workers` workers, `tasks` tasks."""
        self.spec, self.liars = spec, liars
        self.pick_rng, self.lie_rng, self.audit_rng = (Random(f"{seed} {purpose}") for purpose in ("pick", "lie", "audit"))
        self.book = TrustBook()
        self.alive = [PeerId(f"worker-{index}") for index in range(workers)]
        self.right = {worker: _vote(worker, RIGHT, 0) for worker in self.alive}
        self.wrong: dict[PeerId, Vote] = {}
        for worker in self.lie_rng.sample(self.alive, round(workers * liars.share)):
            self.wrong[worker] = _vote(worker, WRONG if liars.is_clique else worker.encode(), liars.wrong_leaves)
        self.is_target = [self.lie_rng.random() < liars.rate for _ in range(tasks)]
        self.tasks = [Task() for _ in range(tasks)]
        self.voted: dict[PeerId, list[int]] = {worker: [] for worker in self.alive}
        self.fresh, self.parked = deque(range(tasks)), deque[int]()
        self.closed: set[int] = set()
        self.between: Counter[tuple[PeerId, ...]] = Counter()
        self.executions = 0.0
        self.local = self.caught = self.banned_honest = self.withdrawn = 0
        self.is_eager = False

    def run(self) -> TrialResult:
        """Do the job."""
        self.work()
        while self.close():
            self.work()
        return TrialResult(
            wrong=sum(task.answer != RIGHT for task in self.tasks),
            executions=self.executions / len(self.tasks),
            local=self.local / len(self.tasks),
            caught=self.caught,
            banned_honest=self.banned_honest,
            withdrawn=self.withdrawn,
        )

    def work(self) -> None:
        """Go on until no task is open: fresh ones first, then the parked ones, in order."""
        while self.fresh or self.parked:
            if self.fresh:
                self.settle(self.fresh.popleft(), is_final=False)
                continue
            index = self.parked.popleft()
            if self.tasks[index].is_parked:
                self.tasks[index].is_parked = False
                self.settle(index, is_final=True)

    def close(self) -> bool:
        """Have each worker's last unchecked answer checked, under `adaptive`; whether that opened tasks again."""
        if self.spec.verification is not VerificationMode.ADAPTIVE:
            return False
        for worker in list(self.alive):
            last = next((index for index in reversed(self.voted.get(worker, ())) if worker not in self.tasks[index].passed), None)
            if last is not None and last not in self.closed:
                self.closed.add(last)
                self.tasks[last].needed = audit.CHECKED_VOTES
                self.settle(last, is_final=True)
        return bool(self.fresh or self.parked)

    def settle(self, index: int, *, is_final: bool) -> None:
        """Do what `judge` says about a task, until it is accepted or parked."""
        task = self.tasks[index]
        task.answer = None
        while True:
            self.credit(task)
            decision = audit.judge(
                self.spec,
                task.votes,
                self.book,
                needed=task.needed,
                can_ask_more=len(task.votes) < len(self.alive),
                is_final=is_final or self.is_eager,
                can_prove=self.local * (len(self.alive) + 1) <= self.executions,  # the owner is as fast as a worker
                mutual=self.mutual(task),
            )
            if decision.answer is not None:
                task.answer = decision.answer[0]
                return
            if decision.action is Action.PARK:
                task.is_parked = True
                self.parked.append(index)
                return
            if decision.action is Action.MORE:
                self.ask(index)
            elif decision.action is Action.SAMPLE:
                self.sample(task)
            else:
                self.execute_here(task)

    def note_agreement(self, task: Task) -> None:
        """Keep count of the tasks for which nobody but the same two have spoken."""
        workers = tuple(sorted(vote.worker for vote in task.votes))
        pair = workers if len(workers) == 2 and task.passed else ()
        if pair != task.pair:
            self.between[task.pair] -= 1
            self.between[pair] += 1
            task.pair = pair

    def mutual(self, task: Task) -> int:
        """Checks that a task's voters have passed by nobody's word but each other's."""
        workers = sorted(vote.worker for vote in task.votes)
        return sum(2 * self.between[pair] for pair in combinations(workers, 2))

    def ask(self, index: int) -> None:
        """Have a worker answer that hasn't yet."""
        task = self.tasks[index]
        asked = [vote.worker for vote in task.votes]
        worker = self.pick_rng.choice(self.alive)
        while worker in asked:
            worker = self.pick_rng.choice(self.alive)
        vote = self.wrong[worker] if self.lies(worker, index) else self.right[worker]
        is_first = not self.voted[worker]
        self.voted[worker].append(index)
        self.executions += 1
        task.votes.append(vote)
        if audit.check_is_due(self.spec, vote, self.book, self.audit_rng, is_first_of_worker=is_first):
            task.needed = audit.CHECKED_VOTES

    def lies(self, worker: PeerId, index: int) -> bool:
        """Whether the worker lies about the task."""
        if worker not in self.wrong or len(self.voted[worker]) < self.liars.honest_for:
            return False
        return self.is_target[index] if self.liars.is_clique else self.lie_rng.random() < self.liars.rate

    def execute_here(self, task: Task) -> None:
        """Execute a task on the owner's own machine, and ban who lied about it."""
        self.executions += 1
        self.local += 1
        task.votes.append(OWNER)
        self.ban(audit.liars(task.votes, OWNER))

    def sample(self, task: Task) -> None:
        """Execute some leaves of each answer on the owner's own machine."""
        self.local += 1
        for vote in list(task.votes):
            leaves = audit.sample_leaves(self.spec, vote, self.book, self.audit_rng)
            self.executions += len(leaves) / LEAVES
            if any(audit.liars_at([vote], leaf, RIGHT) for leaf in leaves):
                self.ban([vote.worker])
            elif len(leaves) == LEAVES:
                self.book.passed(vote.worker, self.spec.runtime, 0.0)
        task.needed = 0 if task.votes else 1

    def credit(self, task: Task) -> None:
        """Count the checks that a task's votes pass, once a worker."""
        if len(task.votes) > 1:
            for worker in audit.agreed(task.votes):
                if worker not in task.passed:
                    task.passed.append(worker)
                    self.book.passed(worker, self.spec.runtime, 0.0)
        self.note_agreement(task)

    def ban(self, workers: Iterable[PeerId]) -> None:
        """Ban liars, take back all their answers, and open the tasks that had been settled with them."""
        for worker in workers:
            self.book.ban(worker, self.spec.runtime, 0.0)
            self.alive.remove(worker)
            self.caught += worker in self.wrong
            self.banned_honest += worker not in self.wrong
            for index in self.voted.pop(worker):
                self.withdraw(worker, index)

    def withdraw(self, worker: PeerId, index: int) -> None:
        """Take one answer back."""
        task = self.tasks[index]
        task.votes = [vote for vote in task.votes if vote.worker != worker]
        self.withdrawn += 1
        if not task.votes:
            task.needed = 1
        if task.answer is not None or task.is_parked:
            task.answer, task.is_parked = None, False
            self.fresh.append(index)


def _vote(worker: PeerId, digest: bytes, wrong_leaves: int) -> Vote:
    leaves = (digest,) * wrong_leaves + (RIGHT,) * (LEAVES - wrong_leaves)
    return Vote(worker, worker, "", digest, 1, leaves)


def trial(
    liars: Liars,
    *,
    workers: int,
    tasks: int,
    mode: VerificationMode = VerificationMode.ADAPTIVE,
    confidence: float = 0.999,
    redundancy: int = 2,
    seed: int = 0,
    is_eager: bool = False,
    passes: int = 0,
) -> TrialResult:
    """Play one job.

    Args:
        liars: who lies, and how.
        workers: in the pool.
        tasks: of the job.
        mode: how it is verified.
        confidence: target, under `adaptive`.
        redundancy: votes per task, under `redundancy`.
        seed: all chance comes from it.
        is_eager: never park: buy replicas at once.
        passes: checks that each worker has passed before this job.
    """
    spec = JobSpec(job_id=JobId("job"), module="", verification=mode, confidence=confidence, redundancy=redundancy)
    job = Trial(spec, liars, workers=workers, tasks=tasks, seed=seed)
    job.is_eager = is_eager
    for worker in job.alive if passes else ():
        job.book.restore(worker, spec.runtime, TrustRecord(passes=passes))
    return job.run()


# The table.

COLUMNS: dict[str, Liars] = {
    "all honest": Liars(share=0.0),
    "lie 5 %": Liars(rate=0.05),
    "lie 30 %": Liars(rate=0.3),
    "lie always": Liars(rate=1.0),
    "sleepers": Liars(rate=1.0, honest_for=60),
    "clique 5 %": Liars(rate=0.05, is_clique=True),
    "clique 30 %": Liars(rate=0.3, is_clique=True),
    "clique always": Liars(rate=1.0, is_clique=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    mode: VerificationMode
    per_worker: int
    confidence: float = 0.999
    redundancy: int = 2
    is_eager: bool = False
    passes: int = 0
    wrong_leaves: int = 1


def rows() -> list[Row]:
    """The lines of the table."""
    adaptive, merkle = VerificationMode.ADAPTIVE, VerificationMode.MERKLE
    found = []
    for per_worker in (10, 50, 500):
        found += [
            Row(name="none", mode=VerificationMode.NONE, per_worker=per_worker),
            Row(name="hash, 5 % sampled", mode=VerificationMode.HASH, per_worker=per_worker),
            Row(name="merkle, a leaf is wrong", mode=merkle, per_worker=per_worker),
            Row(name="merkle, half are wrong", mode=merkle, per_worker=per_worker, wrong_leaves=LEAVES // 2),
            Row(name="redundancy 2", mode=VerificationMode.REDUNDANCY, per_worker=per_worker),
            Row(name="redundancy 3", mode=VerificationMode.REDUNDANCY, per_worker=per_worker, redundancy=3),
            Row(name="adaptive 99 %", mode=adaptive, per_worker=per_worker, confidence=0.99),
            Row(name="adaptive 99.9 %", mode=adaptive, per_worker=per_worker),
            Row(name="… eager", mode=adaptive, per_worker=per_worker, is_eager=True),
            Row(name="… trusted (1,000 passes)", mode=adaptive, per_worker=per_worker, passes=1_000),
        ]
    return found


def cell(row: Row, liars: Liars, *, tasks: int, seeds: int) -> str:
    """Wrong results of all seeds together, and mean executions per task."""
    liars = Liars(
        share=liars.share,
        rate=liars.rate,
        is_clique=liars.is_clique,
        honest_for=liars.honest_for,
        wrong_leaves=row.wrong_leaves,
    )
    results = [
        trial(
            liars,
            workers=max(10, tasks // row.per_worker),
            tasks=tasks,
            mode=row.mode,
            confidence=row.confidence,
            redundancy=row.redundancy,
            seed=seed,
            is_eager=row.is_eager,
            passes=row.passes,
        )
        for seed in range(seeds)
    ]
    unjust = sum(result.banned_honest for result in results)
    share = sum(result.wrong for result in results) / (seeds * tasks)
    cost = sum(result.executions for result in results) / seeds
    return f"{f'{share:.1e}' if share else '0'} @{cost:.2f}" + (f" {unjust} unjust" if unjust else "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="what checking costs and what it catches")
    parser.add_argument("--tasks", type=int, default=100_000, help="tasks of each trial [default: 100000]")
    parser.add_argument("--seeds", type=int, default=1, help="trials of each cell [default: 1]")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose name has TEXT")
    given = parser.parse_args()
    started = time.perf_counter()
    print(f"share of {given.tasks:,} tasks wrong in the end @ executions per task; {given.seeds} trials a cell, mean\n")
    print(f"{'':<26}{'tasks/worker':>13}" + "".join(f"{name:>16}" for name in COLUMNS))
    for row in rows():
        if given.only in row.name:
            cells = [cell(row, liars, tasks=given.tasks, seeds=given.seeds) for liars in COLUMNS.values()]
            print(f"{row.name:<26}{row.per_worker:>13}" + "".join(f"{text:>16}" for text in cells), flush=True)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
