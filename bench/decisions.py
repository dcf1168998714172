"""What decisions cost: one real orchestrator with many children, and nothing around it (part of `make bench-sim`).

    python bench/decisions.py [--repeat N] [--scale N]

The children are puppets: each answers what it was given after about a second of virtual time, in answers of one result each,
and says that it is alive as a real one would. Timed is `handle`, and `next_timer` after it, which a driver always calls, for
every event in the steady state: answers, heartbeats, timers, the owner's own executions, the parent's batches. Three roles:

* owner, none: own jobs, unchecked;
* owner, adaptive: own jobs, checked as by default, all workers new and honest;
* manager: in the middle; its parent always has more.

One job may use 64 children, so there are as many jobs as it takes to use all of them. Figures are CPU time, which other programs
on the machine disturb little; reading that clock is in them, with about a microsecond. The garbage collector is off while events
are timed, as with `timeit`. Every figure is from the quietest of several rounds.

Memory is what `tracemalloc` finds per task, the packet and its id included: 100,000 tasks that wait in managers, as many under
way at children, and, for comparison, what an owner keeps of a complete one (it may have to be withdrawn).
"""

from __future__ import annotations

import argparse
import gc
import heapq
import statistics
import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import ceil, log10
from random import Random

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.options import Locality, VerificationMode
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult
from pangea.compute.orchestrator.core.commands import Command, Send, StartTask
from pangea.compute.orchestrator.core.events import (
    ChunksReady,
    Event,
    JobSubmitted,
    MessageReceived,
    PeerJoined,
    Relation,
    TaskExecuted,
    TimerFired,
)
from pangea.compute.orchestrator.core.messages import Answers, Beat, Cancel, Delegate, Lease, Message
from pangea.compute.orchestrator.limits import BATCH_MAX, DELEGATED_TASKS_MAX, DEPTH_MAX, FAN_OUT_MAX, LEASE_SECONDS
from pangea.compute.orchestrator.machine import Orchestrator

CHILDREN = (10, 30, 100, 300, 1_000)
#: Microseconds per event at so many children, at most; between them on a straight line over the logarithm.
TARGETS = {10: 50.0, 1_000: 100.0}
#: Bytes of memory per pending task, at most.
TARGET_BYTES = 2_048
#: Children per job: fewer than one job may use, so that all find one.
CHILDREN_PER_JOB = 50
CHUNK_SECONDS, FUEL_PER_SECOND = 0.01, 5e9
#: One way.
LATENCY = 0.01
PARENT, ME = PeerId("parent"), PeerId("me")
#: What the parent of a manager gives it.
BUDGET = Budget(depth=DEPTH_MAX - 1, fan_out=FAN_OUT_MAX, seconds=1e6, ancestors=(PARENT,))


def target(children: float) -> float:
    """Microseconds per event allowed."""
    (few, low), (many, high) = TARGETS.items()
    return low + (high - low) * log10(children / few) / log10(many / few)


def answer(packet: TaskPacket, worker: PeerId) -> TaskResult:
    """What an honest worker says: its bytes are new ones, as if from the wire."""
    leaves = tuple(b"%032d" % (packet.start + index) for index in range(packet.runs))
    seconds = packet.count * CHUNK_SECONDS
    return TaskResult(
        task_id=packet.task_id,
        worker=worker,
        network=worker,
        digest=b"%032d" % packet.count,
        leaves=leaves,
        fuel=int(seconds * FUEL_PER_SECOND),
        seconds=seconds,
    )


@dataclass(slots=True)
class Child:
    """A puppet with some cores, which gathers results into answers of `batch`."""

    name: PeerId
    cores: int
    batch: int
    pace: float
    free_at: list[float] = field(default_factory=list)
    done: list[tuple[int, TaskResult]] = field(default_factory=list)


class Bench:
    """One orchestrator, its puppets, and a virtual clock."""

    def __init__(self, children: int, *, cores: int = 1, batch: int = 1, seed: int = 0) -> None:
        """Introduce `children` children of `cores` cores, which answer `batch` results at once."""
        self.random = Random(seed)
        self.mind = Orchestrator(ME, cores=1, random=Random(seed + 1))
        self.now = 0.0
        self.jobs = ceil(children / CHILDREN_PER_JOB)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.answers = 0
        self.asked: set[PeerId] = set()
        self._queue: list[tuple[float, int, Callable[[], Event | None]]] = []
        self._serial = 0
        self._timer: float | None = None
        self._called_off: set[int] = set()
        self._children: dict[PeerId, Child] = {}
        for index in range(children):
            child = Child(PeerId(f"child-{index}"), cores, batch, self.random.uniform(0.8, 1.2))
            child.free_at = [0.0] * cores
            self._children[child.name] = child
            self.handle(
                PeerJoined(peer=child.name, relation=Relation.CHILD, network=child.name, round_trip=2 * LATENCY, cores=cores)
            )
            self._beat(child, after=self.random.random())

    def later(self, when: float, make: Callable[[], Event | None]) -> None:
        """Have an event made and handled at `when`; making it may turn out to be needless."""
        self._serial += 1
        heapq.heappush(self._queue, (when, self._serial, make))

    def run(self, events: int) -> None:
        """Go on for so many events."""
        for _ in range(events):
            if self._timer is not None and self._timer <= self._queue[0][0]:
                self.now = max(self.now, self._timer)
                self.handle(TimerFired())
                continue
            self.now, _, make = heapq.heappop(self._queue)
            event = make()
            if event is not None:
                self.handle(event)

    def handle(self, event: Event) -> None:
        """Time one event, and carry out what follows."""
        clock, mind = time.thread_time, self.mind
        started = clock()
        commands = mind.handle(event, now=self.now)
        timer = mind.next_timer()
        taken = clock() - started
        self._timer = timer
        self.seconds[kind_of(event)].append(taken)
        for command in commands:
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        match command:
            case Send(peer=peer, message=message) if peer in self._children:
                self._hear(self._children[peer], message)
            case Send(message=message):
                self.parent_hears(message)
            case StartTask(attempt=attempt, packet=packet):
                event = TaskExecuted(attempt=attempt, result=answer(packet, ME))
                self.later(self.now + packet.count * CHUNK_SECONDS, lambda: event)

    def parent_hears(self, message: Message) -> None:
        """Only a manager has a parent."""

    def _beat(self, child: Child, *, after: float = LEASE_SECONDS / 2) -> None:
        def make() -> Event:
            self._beat(child)
            is_subtree = child.cores > 1
            beat = Beat(cores=child.cores, window=child.cores, nodes=1 + child.cores * is_subtree, height=int(is_subtree))
            return MessageReceived(peer=child.name, message=beat)

        self.later(self.now + after, make)

    def _hear(self, child: Child, message: Message) -> None:
        if isinstance(message, Cancel):
            self._called_off.update(message.attempts)
        elif isinstance(message, Delegate):
            self.asked.add(child.name)
            for attempt, packet in message.tasks:
                started = max(self.now + LATENCY, heapq.heappop(child.free_at))
                seconds = packet.count * CHUNK_SECONDS * child.pace * self.random.uniform(0.95, 1.05)
                heapq.heappush(child.free_at, started + seconds)
                self.later(started + seconds + LATENCY, self._finish(child, attempt, packet))

    def _finish(self, child: Child, attempt: int, packet: TaskPacket) -> Callable[[], Event | None]:
        def make() -> Event | None:
            if attempt in self._called_off:
                self._called_off.discard(attempt)
                return None
            child.done.append((attempt, answer(packet, child.name)))
            if len(child.done) < child.batch:
                return None
            results, child.done = tuple(child.done), []
            self.answers += len(results)
            return MessageReceived(peer=child.name, message=Answers(results=results))

        return make


class Owner(Bench):
    """Jobs of its own."""

    def begin(self, mode: VerificationMode) -> None:
        """Submit them, each longer than the measurement."""
        chunks = 10_000_000
        for index in range(self.jobs):
            spec = JobSpec(job_id=JobId(f"job-{index}"), module=f"{index:064}", verification=mode, timeout=1e6)
            self.handle(JobSubmitted(spec=spec))
            self.handle(ChunksReady(job_id=spec.job_id, count=chunks, size_bytes=256 * chunks, is_last=True))


class Manager(Bench):
    """Parts of a parent's jobs."""

    def begin(self, *, per_child: int) -> None:
        """Have the parent keep `per_child` tasks per child with us."""
        self._next = self._number = 0
        self._job_of: dict[int, int] = {}
        self.handle(PeerJoined(peer=PARENT, relation=Relation.PARENT))
        count = per_child * len(self._children)
        assert count <= DELEGATED_TASKS_MAX
        for job in range(self.jobs):
            share = (job + 1) * count // self.jobs - job * count // self.jobs
            for first in range(0, share, BATCH_MAX):
                self.handle(MessageReceived(peer=PARENT, message=self.batch(job, min(BATCH_MAX, share - first))))

    def batch(self, job: int, count: int) -> Delegate:
        """`count` new tasks of a job."""
        tasks = []
        for _ in range(count):
            self._number += 1
            self._job_of[self._number] = job
            tasks.append((self._number, packet_of(job, self._next)))
            self._next += 100
        return Delegate(spec=part_of(job), budget=BUDGET, tasks=tuple(tasks))

    def parent_hears(self, message: Message) -> None:
        """Give a new task for each answer, and renew the lease."""
        if isinstance(message, Beat):
            lease = Lease(jobs=tuple(part_of(job).job_id for job in range(self.jobs)))
            self._parent_says(lease)
        elif isinstance(message, Answers):
            counts: dict[int, int] = defaultdict(int)
            for number, _ in message.results:
                counts[self._job_of.pop(number)] += 1
            for job, count in counts.items():
                self._parent_says(self.batch(job, count))

    def _parent_says(self, message: Message) -> None:
        event = MessageReceived(peer=PARENT, message=message)
        self.later(self.now + 2 * LATENCY, lambda: event)


def part_of(job: int) -> JobSpec:
    """A parent's job."""
    return JobSpec(job_id=JobId(f"job-{job}"), module=f"{job:064}", estimated_flops=1e18, timeout=1e6, locality=Locality.ANY)


def packet_of(job: int, start: int, count: int = 100) -> TaskPacket:
    """A task of `count` chunks."""
    task_id = TaskId(f"job-{job}:{start}")
    return TaskPacket(task_id=task_id, start=start, count=count, size_bytes=256 * count, packs=(1,) * count)


def kind_of(event: Event) -> str:
    """What to call an event in the table."""
    return type(event.message).__name__ if isinstance(event, MessageReceived) else type(event).__name__


# Measuring.


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Microseconds per event, of one role with so many children.

    Attributes:
        per_answer: all time, over the results that children gave.
        kinds: of each kind of event, its share of all events and its mean.
    """

    role: str
    children: int
    batch: int
    events: int
    median: float
    mean: float
    p99: float
    worst: float
    per_answer: float
    kinds: dict[str, tuple[float, float]]


def owner(mode: VerificationMode, children: int, batch: int) -> Bench:
    """An owner of jobs that are checked so."""
    bench = Owner(children, batch=batch, cores=batch)
    bench.begin(mode)
    return bench


def manager(children: int, batch: int) -> Bench:
    """A manager with enough to do for all children: what they have under way, and as much again."""
    bench = Manager(children, batch=batch, cores=batch)
    bench.begin(per_child=4 if batch == 1 else 2 * batch)
    return bench


ROLES: dict[str, Callable[[int, int], Bench]] = {
    "owner, none": partial(owner, VerificationMode.NONE),
    "owner, adaptive": partial(owner, VerificationMode.ADAPTIVE),
    "manager": manager,
}


def round_of(role: str, children: int, batch: int, scale: int) -> Cost:
    """Warm one up, then time it."""
    bench = ROLES[role](children, batch)
    per_child = 10 if batch == 1 else 3 * batch
    bench.run(max(3_000 // scale, per_child * children))
    assert len(bench.asked) == children, f"only {len(bench.asked)} of {children} children were used"
    bench.seconds.clear()
    bench.answers = 0
    gc.collect()
    gc.disable()
    try:
        bench.run(max(6_000 // scale, per_child * children))
    finally:
        gc.enable()
    bench.mind.check()
    micros = sorted(1e6 * taken for kind in bench.seconds.values() for taken in kind)
    return Cost(
        role=role,
        children=children,
        batch=batch,
        events=len(micros),
        median=statistics.median(micros),
        mean=statistics.fmean(micros),
        p99=micros[int(0.99 * len(micros))],
        worst=micros[-1],
        per_answer=sum(micros) / bench.answers,
        kinds={kind: (len(each) / len(micros), 1e6 * statistics.fmean(each)) for kind, each in sorted(bench.seconds.items())},
    )


def cost(role: str, children: int, batch: int, *, repeat: int, scale: int) -> Cost:
    """The quietest of several rounds."""
    return min((round_of(role, children, batch, scale) for _ in range(repeat)), key=lambda cost: cost.mean)


def bytes_each(make: Callable[[], tuple[object, int]]) -> float:
    """Bytes per task that what `make` returns keeps alive."""
    gc.collect()
    tracemalloc.start()
    try:
        kept, tasks = make()
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        del kept
    finally:
        tracemalloc.stop()
    return size / tasks


def waiting(tasks: int) -> tuple[object, int]:
    """Managers that hold so many tasks of a parent in their queues, as many each as one may."""
    kept = []
    for _ in range(ceil(tasks / DELEGATED_TASKS_MAX)):
        bench = Manager(0)
        bench.begin(per_child=0)
        for first in range(0, DELEGATED_TASKS_MAX, BATCH_MAX):
            delegate = bench.batch(0, min(BATCH_MAX, DELEGATED_TASKS_MAX - first))
            bench.mind.handle(MessageReceived(peer=PARENT, message=delegate), now=0.0)
        assert bench.mind.core.delegated == DELEGATED_TASKS_MAX
        kept.append(bench.mind)
    return kept, len(kept) * DELEGATED_TASKS_MAX


def under_way(tasks: int) -> tuple[object, int]:
    """An owner whose children have so many tasks; nothing has been answered."""
    mind = Orchestrator(ME, cores=1, random=Random(0))
    for index in range(FAN_OUT_MAX):
        mind.handle(PeerJoined(peer=PeerId(f"child-{index}"), relation=Relation.CHILD, network=f"{index}", cores=1_000), now=0.0)
    for index in range(ceil(tasks / (200 * FAN_OUT_MAX))):
        spec = JobSpec(job_id=JobId(f"job-{index}"), module="m", estimated_flops=1e18, timeout=1e6)
        mind.handle(JobSubmitted(spec=spec), now=0.0)
        mind.handle(ChunksReady(job_id=spec.job_id, count=10**6, size_bytes=10**9, is_last=True), now=0.0)
    return mind, len(mind.core.attempts)


def complete() -> tuple[object, int]:
    """An owner that knows the answers to 20,000 tasks of 64 chunks and more."""
    bench = owner(VerificationMode.ADAPTIVE, 20, 1)
    tasks = bench.mind.core.jobs[None, JobId("job-0")].tasks
    while len(tasks) < 20_000:
        bench.run(1_000)
        bench.seconds.clear()
    return bench.mind, len(tasks)


# Showing.

MARKS = {"owner, none": "o", "owner, adaptive": "a", "manager": "m"}


def show_costs(costs: list[Cost]) -> None:
    """The table."""
    header = f"{'role':<17}{'children':>9}{'events':>9}{'median':>9}{'mean':>8}{'p99':>8}{'worst':>9}{'target':>9}"
    print(f"{header}\n{'-' * len(header)}")
    for each in costs:
        allowed = target(each.children)
        verdict = "ok" if each.mean <= allowed else "MISSED"
        print(
            f"{each.role:<17}{each.children:>9,}{each.events:>9,}{each.median:>9.1f}{each.mean:>8.1f}{each.p99:>8.1f}"
            f"{each.worst:>9.0f}{f'≤ {allowed:.0f}':>9}  {verdict}"
        )


def show_kinds(costs: list[Cost]) -> None:
    """Which events cost what, at the most children."""
    print(f"\nmean µs of each kind of event at {CHILDREN[-1]:,} children (and its share of all events)")
    for each in costs:
        if each.children == CHILDREN[-1]:
            kinds = ", ".join(f"{kind} {mean:.0f} ({100 * share:.1f} %)" for kind, (share, mean) in each.kinds.items())
            print(f"  {each.role:<17}{kinds}")


def curve(costs: list[Cost]) -> list[str]:
    """Mean µs over children, both axes labelled; `-` is the target."""
    step, width = 10, 12
    top = max([*(each.mean for each in costs), *TARGETS.values()])
    rows = int(top / step) + 1
    grid = [[" "] * (width * len(CHILDREN)) for _ in range(rows + 1)]
    few, many = CHILDREN[0], CHILDREN[-1]
    columns = width * (len(CHILDREN) - 1)
    for column in range(columns + 1):
        grid[round(target(few * (many / few) ** (column / columns)) / step)][column] = "-"
    for each in costs:
        row = grid[round(each.mean / step)]
        column = CHILDREN.index(each.children) * width
        while row[column] not in " -":
            column += 1
        row[column] = MARKS[each.role]
    lines = [f"{step * index:>6} |{''.join(row).rstrip()}" for index, row in reversed(list(enumerate(grid)))]
    axis = "".join(f"{f'{children:,}':<{width}}" for children in CHILDREN)
    legend = ", ".join(f"{mark} {role}" for role, mark in MARKS.items())
    return [
        f"µs per event, mean   ({legend}, - target)",
        *lines,
        f"{'':>6} +{'-' * width * len(CHILDREN)}",
        f"{'':>8}{axis}children",
    ]


def show_batches(costs: list[Cost]) -> None:
    """What an answer costs when sixteen come together."""
    print(f"\nanswers of {costs[0].batch} results (children are subtrees): µs per result, all events counted")
    for each in costs:
        print(f"  {each.role:<17}{each.children:>6,} children{each.per_answer:>8.1f}   ({each.mean:.0f} per event)")


def memory() -> bool:
    """Print bytes per task; whether the target is met."""
    tasks = 10 * DELEGATED_TASKS_MAX
    found = {
        "waiting in a manager": bytes_each(lambda: waiting(tasks)),
        "under way at a child": bytes_each(lambda: under_way(tasks)),
    }
    print(f"\nbytes per pending task, {tasks:,} of them (target ≤ {TARGET_BYTES:,})")
    for name, size in found.items():
        print(f"  {name:<24}{size:>7,.0f}  {'ok' if size <= TARGET_BYTES else 'MISSED'}")
    print(f"  {'complete, 64 hashes':<24}{bytes_each(complete):>7,.0f}  (the owner keeps it until the end of the job)")
    return all(size <= TARGET_BYTES for size in found.values())


def main() -> None:
    """Measure and print; exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="what an orchestrator's decisions cost")
    parser.add_argument("--repeat", type=int, default=3, help="rounds of which the quietest counts [default: 3]")
    parser.add_argument("--scale", type=int, default=1, help="so many times fewer events [default: 1]")
    parser.add_argument("--only", default="", metavar="TEXT", help="only roles whose name has TEXT")
    given = parser.parse_args()
    roles = [role for role in ROLES if given.only in role]
    print("µs of CPU time per event (`handle` and `next_timer`), one result per answer; the target is for the mean\n")
    costs = [cost(role, children, 1, repeat=given.repeat, scale=given.scale) for role in roles for children in CHILDREN]
    show_costs(costs)
    print("\n" + "\n".join(curve(costs)))
    show_kinds(costs)
    show_batches([cost(role, n, 16, repeat=given.repeat, scale=given.scale) for role in roles for n in (10, 100, 300)])
    is_small = memory()
    sys.exit(0 if is_small and all(each.mean <= target(each.children) for each in costs) else 1)


if __name__ == "__main__":
    main()
