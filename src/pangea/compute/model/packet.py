"""What travels between nodes about one task: the job it belongs to, the packet going down, the result coming up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.options import Locality, Priority, VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.units import KIB, MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What every node on a task's way needs to know about the job.

    Attributes:
        job_id: the job.
        module: SHA-256 of the module or job archive, in hex.
        runtime: determinism class: results and fuel are comparable within one class only.
        operation_type: kind of work, for predicting cost before anything ran ("" if unknown).
        estimated_flops: floating-point operations of the whole job; 0 if unknown.
        verification: how results are checked, by the owner alone.
        confidence: target probability that a task's result is right.
        redundancy: votes per task under `redundancy`.
        expected: digest the job's result must have, under `hash`; empty if unknown.
        priority: which jobs go first.
        locality: where tasks are placed.
        retry_count: tries of a task after the first, when machines fail.
        timeout: seconds for the job.
        attempt_timeout: seconds for one attempt of one task.
        associative: whether merge may be applied early.
        min_task_bytes: tasks of cheap chunks are filled up to this.
        memory: bytes of one sandbox: a task's chunks and results must fit.
        needs_adapter: whether its execute is a shader, which only nodes with an adapter can run.
        has_check: whether the job says how a result of execute is checked; its owner's own business, like `verification`.
        tolerance: by how much answers to a task of execute may differ and be the same, in words; "": by nothing. For the owner.
        signed: hash of the job's spec as its owner signed it (`verification.signed_spec`); empty in a simulation.
    """

    job_id: JobId
    module: str
    runtime: str = ""
    operation_type: str = ""
    estimated_flops: float = 0.0
    verification: VerificationMode = VerificationMode.ADAPTIVE
    confidence: float = 0.999
    redundancy: int = 1
    expected: bytes = b""
    priority: Priority = Priority.NORMAL
    locality: Locality = Locality.PREFER_LOCAL
    retry_count: int = 3
    timeout: float = 300.0
    attempt_timeout: float = 30.0
    associative: bool = False
    min_task_bytes: int = 64 * KIB
    memory: int = 256 * MIB
    needs_adapter: bool = False
    has_check: bool = False
    tolerance: str = ""
    signed: bytes = b""

    def has_shader(self, function: str) -> bool:
        """Whether a function of the job is a shader: only execute can be."""
        return self.needs_adapter and function == "execute"

    def is_checkable(self, function: str) -> bool:
        """Whether the job's own check says whether a result of this function is right; under `none` nobody asks."""
        return self.has_check and function == "execute" and self.verification is not VerificationMode.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a delegation may still use. Each hop passes on less: that ends loops and bombs.

    Attributes:
        depth: further hops allowed.
        fan_out: children that one node may use for the job.
        seconds: until the job's deadline, counted from arrival.
        ancestors: the nodes above, owner first.
    """

    depth: int
    fan_out: int
    seconds: float
    ancestors: tuple[PeerId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPacket:
    """One task: a run of chunks for `execute`, or a run of results for `merge`; `check` looks at answers, on the owner's machine.

    Attributes:
        task_id: the task.
        function: `execute` or `merge`, or, of what never travels, `check`.
        start: index of the first chunk (of the first result of the level below, for merge).
        count: how many.
        size_bytes: bytes that must reach the worker.
        inputs: digests of what is merged, in order; of what is checked, one; empty for execute.
        avoid: workers whose answer would not count.
        commit_first: whether the worker answers with a commitment and reveals when asked.
        packs: chunks of each pack, in order: each is executed in a fresh sandbox instance, and is a leaf of the answer. None: all
            of it is one, as a merge is.
        input: SHA-256 of the framed list of what the task works on; empty on the owner's machine, where it is at hand.
        input_bytes: size of that list.
        only: the one worker whose answer is wanted, as it has answered before; None: anybody's.
    """

    task_id: TaskId
    function: str = "execute"
    start: int
    count: int
    size_bytes: int
    inputs: tuple[bytes, ...] = ()
    avoid: frozenset[PeerId] = frozenset()
    commit_first: bool = False
    packs: tuple[int, ...] = ()
    input: bytes = b""
    input_bytes: int = 0
    only: PeerId | None = None

    @property
    def runs(self) -> int:
        """How many leaves the answer has."""
        return len(self.packs) or 1

    def spans(self) -> list[tuple[int, int]]:
        """First chunk and number of chunks of each pack."""
        return list(zip(accumulate(self.packs, initial=self.start), self.packs or (self.count,), strict=False))


class TaskStatus(StrEnum):
    """What an answer to a packet says."""

    DONE = "done"
    #: The result exists; this is its commitment, the rest follows when asked.
    COMMITTED = "committed"
    FAILED = "failed"
    #: Not taken: a loop, an empty budget, a full queue.
    REFUSED = "refused"
    #: Taken, not begun, handed back.
    RETURNED = "returned"


#: Digests of other answers, and the number of leaves that aren't the same.
Apart = tuple[tuple[bytes, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """An answer. Who `worker` is has been proven by its signature before the orchestrator sees it.

    Attributes:
        task_id: the task.
        status: what kind of answer.
        worker: who executed it.
        network: where the worker says it is (such as its address prefix): votes of one network count once.
        digest: Merkle root over `leaves`.
        leaves: hashes of the results of each pack, in order.
        commitment: hash of worker, task and digest, before the digest is revealed.
        fuel: fuel units used; part of the answer, so a wrong figure is a lie like any other.
        seconds: time in the sandbox, as the worker says.
        failure: why there is no result. A failure that isn't the machine's fault is an answer like any other.
        message: the failure in words, or what the guest printed.
        body: SHA-256 of the framed list of results, by which whoever is above fetches it.
        body_bytes: size of that list; of an answer that the owner has in hand, as it has found itself.
        signature: the worker's, over the record of what it did (or over its commitment); checked at each hop.
        apart: under a tolerance, other answers to the task by their digests, each with the number of leaves that aren't within it
            of this one's: as the owner has found, who has them all in hand. Of two answers, the later one names the earlier.
    """

    task_id: TaskId
    status: TaskStatus = TaskStatus.DONE
    worker: PeerId
    network: str = ""
    digest: bytes = b""
    leaves: tuple[bytes, ...] = ()
    commitment: bytes = b""
    fuel: int = 0
    seconds: float = 0.0
    failure: FailureKind | None = None
    message: str = ""
    body: bytes = b""
    body_bytes: int = 0
    signature: bytes = b""
    apart: Apart = ()


#: Packs of one task, and so hashes in one answer, at most: 2 KiB of them.
LEAVES_MAX = 64
