"""What a run is measured by: counters while it lasts, figures and curves at its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.packet import TaskPacket, TaskStatus
from pangea.compute.orchestrator.core.messages import Answers, Delegate
from pangea.compute.orchestrator.judging.own_check import CHECK
from pangea.compute.simulation.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The state of things at one moment.

    Attributes:
        seconds: since the job was submitted.
        tasks: answered at least once, as the owner knows.
        busy: cores.
        cores: of nodes that are up.
        executions: ended so far.
        bans: so far.
    """

    seconds: float
    tasks: int
    busy: int
    cores: int
    executions: int
    bans: int


class Tally:
    """Counters of a run."""

    def __init__(self) -> None:
        """All zero; sampling begins with `watch`."""
        self.messages: int = 0
        self.message_bytes: int = 0
        self.executions: int = 0
        self.merges: int = 0
        self.checks: int = 0
        self.chunks_executed: int = 0
        self.busy: int = 0
        self.cores: int = 0
        self.busy_seconds: float = 0.0
        self.depth: int = 0
        self.fan_out: int = 0
        self.tree_depth: int = 0
        self.wrong: int = 0
        self.bans: dict[PeerId, float] = {}
        self.guilty: int = 0
        self.innocent: int = 0
        self.samples: list[Sample] = []
        self.next_sample: float = float("inf")
        self._every = 0.0
        self._started = 0.0
        self._answered: set[TaskId] = set()
        self._used: dict[int, dict[int, None]] = {}

    def watch(self, now: float, every: float) -> None:
        """Forget what was before, and sample each so many seconds from now on."""
        self.messages = self.message_bytes = 0
        self._started, self._every = now, every
        self.sample(now)

    def stop_watching(self, now: float) -> None:
        """Take the last sample."""
        self.sample(now)
        self.next_sample = float("inf")

    def utilisation(self, seconds: float) -> float:
        """Share of all cores' time, over so many seconds, that was spent executing."""
        cores = sum(sample.cores for sample in self.samples) / max(1, len(self.samples))
        return self.busy_seconds / (seconds * cores) if seconds and cores else 0.0

    def sample(self, now: float) -> None:
        """Note the state of things."""
        self.next_sample = now + self._every
        sample = Sample(
            seconds=now - self._started,
            tasks=len(self._answered),
            busy=self.busy,
            cores=self.cores,
            executions=self.executions,
            bans=len(self.bans),
        )
        self.samples.append(sample)

    def linked(self, child: Node) -> None:
        """A node has got a parent."""
        self.tree_depth = max(self.tree_depth, child.depth())

    def delegated(self, node: Node, target: Node, message: Delegate) -> None:
        """A node has given work to a child."""
        used = self._used.setdefault(node.number, {})
        used[target.number] = None
        self.fan_out = max(self.fan_out, len(used))
        self.depth = max(self.depth, len(message.budget.ancestors))

    def answered(self, message: Answers) -> None:
        """Results have reached the owner."""
        self._answered.update([result.task_id for _, result in message.results if result.status is TaskStatus.DONE])

    def begun(self) -> None:
        """An execution has begun."""
        self.busy += 1

    def stopped(self, seconds: float) -> None:
        """An execution has ended or was stopped, after so many seconds."""
        self.busy -= 1
        self.busy_seconds += seconds

    def executed(self, packet: TaskPacket) -> None:
        """An execution has ended."""
        if packet.function == CHECK:
            self.checks += 1
        elif packet.function == "merge":
            self.merges += 1
        else:
            self.executions += 1
            self.chunks_executed += packet.count

    def banned(self, worker: PeerId, when: float, *, is_liar: bool) -> None:
        """A key has been banned."""
        self.bans[worker] = when
        self.guilty += is_liar
        self.innocent += not is_liar


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run went. Times are virtual but `wall_seconds`.

    Attributes:
        end: "finished", or why the job failed.
        makespan_seconds: from submission to result.
        ideal_seconds: all work, once, on all cores at their speeds, without a network.
        verified_ideal_seconds: the same for as many executions as were bought.
        utilisation: share of all cores' time, while the job lasted, that was spent executing.
        tree_depth: hops from the owner to the deepest node.
        depth: hops that work was delegated.
        fan_out: most children that one node gave work to.
        messages: sent, beats and leases included, while the job lasted.
        message_bytes: of these.
        executions: that ended, wherever, for whatever reason.
        merges: merge steps that ended on nodes.
        checks: calls of the job's own check that ended.
        executions_per_chunk: chunks executed over chunks of the job, all waste included.
        executions_per_task: answers that the owner bought per task.
        planted: answers to tasks that the owner had executed before …
        planted_wrong: … and those that were wrong.
        wrong_accepted: results in the job's result that are not the true ones.
        banned_guilty: keys of liars that were banned.
        banned_innocent: keys of honest nodes that were banned.
        guilty: keys of liars there were.
        confidence: that every accepted answer is right; None where nothing is said.
        lowest_confidence: of any accepted task, by what is known of its workers alone.
        below_target: tasks accepted below target.
        result: digest of the job's result, in hex.
        events: handled by orchestrators and engines.
        wall_seconds: that the simulation took.
        trace_hash: equal for equal runs.
        notes: of the job's report.
        samples: the curves.
    """

    seed: int
    end: str
    nodes: int
    chunks: int
    tasks: int
    makespan_seconds: float
    ideal_seconds: float
    verified_ideal_seconds: float
    utilisation: float
    tree_depth: int
    depth: int
    fan_out: int
    messages: int
    message_bytes: int
    executions: int
    merges: int
    checks: int
    executions_per_chunk: float
    executions_per_task: float
    local: int
    audits: int
    planted: int
    planted_wrong: int
    disputes: int
    withdrawn: int
    retries: int
    backups: int
    wrong_accepted: int
    banned_guilty: int
    banned_innocent: int
    guilty: int
    confidence: float | None
    lowest_confidence: float | None
    below_target: int
    result: str
    events: int
    virtual_seconds: float
    wall_seconds: float
    trace_hash: str
    notes: tuple[str, ...]
    samples: tuple[Sample, ...]

    @property
    def messages_per_chunk(self) -> float:
        """Messages over chunks."""
        return self.messages / self.chunks if self.chunks else 0.0

    @property
    def bytes_per_chunk(self) -> float:
        """Bytes sent over chunks."""
        return self.message_bytes / self.chunks if self.chunks else 0.0

    def to_json(self) -> dict[str, Any]:
        """All figures, JSON types only."""
        return {**asdict(self), "messages_per_chunk": self.messages_per_chunk, "bytes_per_chunk": self.bytes_per_chunk}
