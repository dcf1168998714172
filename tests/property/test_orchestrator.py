"""One orchestrator under any events in any order: its invariants hold, it commands nothing absurd, and it comes to rest."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.options import Locality, Priority, VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import Budget, JobSpec, TaskPacket, TaskResult, TaskStatus
from pangea.compute.orchestrator.core.commands import DropPeer, FailJob, FinishJob, MergeJob, Send, StartTask, StopTask
from pangea.compute.orchestrator.core.events import (
    ChunksReady,
    Event,
    JobCancelled,
    JobMerged,
    JobSubmitted,
    MessageReceived,
    PeerJoined,
    PeerLost,
    PeerMisbehaved,
    Relation,
    TaskExecuted,
    TimerFired,
)
from pangea.compute.orchestrator.core.messages import Answers, Beat, Cancel, Delegate, Exclude, Lease, Message, Recall, Reveal
from pangea.compute.orchestrator.limits import BATCH_MAX, LEASE_SECONDS
from pangea.compute.orchestrator.machine import Orchestrator
from tests.examples import share_of
from tests.fakes.packets import ME, failed, merge_of, packet_of, right, sealed, spec_of, wrong

CHILDREN = [PeerId(f"c{index}") for index in range(5)]
PARENTS = [PeerId(f"p{index}") for index in range(2)]
STRANGER = PeerId("stranger")
JOBS = [JobId(f"j{index}") for index in range(3)]
WORKERS = [*CHILDREN, PeerId("far"), PeerId("further"), ME]
#: Every job's, so that a history can be played to its end.
TIMEOUT = 100.0

children = st.sampled_from(CHILDREN)
parents = st.sampled_from(PARENTS)
anybody = st.sampled_from([*CHILDREN, *PARENTS, STRANGER])
jobs = st.sampled_from(JOBS)
numbers = st.integers(0, 200)


class History(RuleBasedStateMachine):
    """Puppets that may say anything at any time; what they were told is remembered for good, stale or not."""

    def __init__(self) -> None:
        super().__init__()
        self.orchestrator = Orchestrator(ME, cores=2, random=Random(7))
        self.now = 0.0
        self.packets: dict[int, TaskPacket] = {}
        "by attempt: all that were ever handed out"
        self.running: dict[int, TaskPacket] = {}
        self.merges: list[MergeJob] = []
        self.open: set[JobId] = set()
        "own jobs that haven't ended"
        self.number = 0

    def tell(self, event: Event) -> None:
        for command in self.orchestrator.handle(event, now=self.now):
            match command:
                case Send(peer=peer, message=message):
                    self.sent(peer, message)
                case StartTask(attempt=attempt, packet=packet):
                    assert attempt not in self.packets
                    self.packets[attempt] = self.running[attempt] = packet
                case StopTask(attempt=attempt):
                    del self.running[attempt]
                case MergeJob():
                    self.merges.append(command)
                case FinishJob(job_id=job_id) | FailJob(job_id=job_id):
                    assert job_id in self.open, "a job ended twice"
                    self.open.remove(job_id)
                case DropPeer(peer=peer):
                    assert peer not in self.orchestrator.core.children
                case _:
                    pass
        assert len(self.running) <= 2

    def sent(self, peer: PeerId, message: Message) -> None:
        assert peer in CHILDREN or peer in PARENTS
        if isinstance(message, Delegate):
            assert len(message.tasks) <= BATCH_MAX
            assert message.budget.ancestors[-1] == ME
            assert peer not in message.budget.ancestors
            for attempt, packet in message.tasks:
                assert attempt not in self.packets
                assert peer not in packet.avoid
                self.packets[attempt] = packet
        elif isinstance(message, Answers):
            assert len(message.results) <= BATCH_MAX

    def hears(self, peer: PeerId, message: Message) -> None:
        self.tell(MessageReceived(peer=peer, message=message))

    # Neighbours.

    @initialize(names=st.frozensets(children), shared=st.booleans())
    def begins_with_children(self, names: frozenset[PeerId], shared: bool) -> None:
        for name in sorted(names):
            network = "shared" if shared else f"net-{name}"
            self.tell(PeerJoined(peer=name, relation=Relation.CHILD, network=network, round_trip=0.01, cores=2))
        self.tell(PeerJoined(peer=PARENTS[0], relation=Relation.PARENT))

    @initialize(mode=st.sampled_from(VerificationMode), associative=st.booleans(), count=st.sampled_from([0, 5, 90]))
    def begins_with_a_job(self, mode: VerificationMode, associative: bool, count: int) -> None:
        if count:
            spec = spec_of("j0", timeout=TIMEOUT, verification=mode, associative=associative, locality=Locality.ANY, redundancy=3)
            self.open.add(spec.job_id)
            self.tell(JobSubmitted(spec=spec))
            self.tell(ChunksReady(job_id=spec.job_id, count=count, size_bytes=1_000 * count, is_last=True))

    @rule(peer=children, cores=st.integers(0, 4), network=st.sampled_from(["", "n0", "n1", "n2"]), round_trip=st.floats(0, 2))
    def child_joins(self, peer: PeerId, cores: int, network: str, round_trip: float) -> None:
        self.tell(PeerJoined(peer=peer, relation=Relation.CHILD, network=network, round_trip=round_trip, cores=cores))

    @rule(peer=parents)
    def parent_joins(self, peer: PeerId) -> None:
        self.tell(PeerJoined(peer=peer, relation=Relation.PARENT))

    @rule(peer=anybody)
    def is_lost(self, peer: PeerId) -> None:
        self.tell(PeerLost(peer=peer))

    @rule(peer=anybody)
    def misbehaves(self, peer: PeerId) -> None:
        self.tell(PeerMisbehaved(peer=peer, what="something"))

    @rule(peer=anybody, cores=st.integers(-1, 1_000), window=st.integers(-1, 10_000), height=st.integers(-1, 9))
    def beats(self, peer: PeerId, cores: int, window: int, height: int) -> None:
        self.hears(peer, Beat(cores=cores, window=window, nodes=cores, height=height))

    # Clients.

    @rule(
        job=jobs,
        mode=st.sampled_from(VerificationMode),
        redundancy=st.integers(1, 7),
        associative=st.booleans(),
        priority=st.sampled_from(Priority),
        locality=st.sampled_from(Locality),
        is_light=st.booleans(),
        is_expected=st.booleans(),
        retry_count=st.integers(0, 2),
    )
    def submits(
        self,
        job: JobId,
        mode: VerificationMode,
        redundancy: int,
        associative: bool,
        priority: Priority,
        locality: Locality,
        is_light: bool,
        is_expected: bool,
        retry_count: int,
    ) -> None:
        spec: JobSpec = replace(
            spec_of(job, timeout=TIMEOUT),
            verification=mode,
            redundancy=redundancy,
            associative=associative,
            priority=priority,
            locality=locality,
            estimated_flops=0.0 if is_light else 1e15,
            expected=b"what it should be" if is_expected else b"",
            retry_count=retry_count,
            attempt_timeout=5.0,
        )
        self.open.add(job)
        self.tell(JobSubmitted(spec=spec))

    @rule(job=jobs, count=st.sampled_from([0, 1, 3, 20, 200]), is_last=st.booleans())
    def has_chunks(self, job: JobId, count: int, is_last: bool) -> None:
        self.tell(ChunksReady(job_id=job, count=count, size_bytes=1_000 * count, is_last=is_last))

    @rule(job=jobs)
    def is_cancelled(self, job: JobId) -> None:
        self.tell(JobCancelled(job_id=job))

    @rule(is_expected=st.booleans())
    def merges_what_was_asked(self, is_expected: bool) -> None:
        if self.merges:
            merge = self.merges.pop()
            self.tell(
                JobMerged(job_id=merge.spec.job_id, digest=b"what it should be" if is_expected else merge_of(merge.digests))
            )

    @rule(job=jobs)
    def merges_unasked(self, job: JobId) -> None:
        self.tell(JobMerged(job_id=job, digest=b"spurious"))

    # Parents.

    @rule(
        peer=st.sampled_from([*PARENTS, *PARENTS, *CHILDREN, STRANGER]),
        job=jobs,
        count=st.integers(1, 6),
        first=st.integers(0, 9),
        depth=st.sampled_from([*range(-1, 9), 4, 4, 4, 4, 4]),
        fan_out=st.integers(0, 3),
        ancestors=st.lists(st.sampled_from([*PARENTS, *PARENTS, *CHILDREN, ME]), max_size=3, unique=True),
        commit_first=st.booleans(),
        avoid=st.frozensets(st.sampled_from(WORKERS), max_size=2),
        is_repeated=st.booleans(),
    )
    def is_delegated(
        self,
        peer: PeerId,
        job: JobId,
        count: int,
        first: int,
        depth: int,
        fan_out: int,
        ancestors: list[PeerId],
        commit_first: bool,
        avoid: frozenset[PeerId],
        is_repeated: bool,
    ) -> None:
        budget = Budget(depth=depth, fan_out=fan_out, seconds=TIMEOUT, ancestors=tuple(ancestors))
        tasks = []
        for start in range(first, first + count):
            packet = packet_of(start, job=job, commit_first=commit_first, avoid=avoid)
            self.number += not is_repeated
            tasks.append((self.number, packet))
        self.hears(peer, Delegate(spec=spec_of(job, timeout=TIMEOUT), budget=budget, tasks=tuple(tasks)))

    @rule(peer=anybody, attempts=st.lists(numbers, max_size=4))
    def parent_cancels(self, peer: PeerId, attempts: list[int]) -> None:
        self.hears(peer, Cancel(attempts=tuple(attempts)))

    @rule(peer=anybody, attempts=st.lists(numbers, max_size=4))
    def parent_asks_to_reveal(self, peer: PeerId, attempts: list[int]) -> None:
        self.hears(peer, Reveal(attempts=tuple(attempts)))

    @rule(peer=anybody, count=st.integers(-1, 20))
    def parent_recalls(self, peer: PeerId, count: int) -> None:
        self.hears(peer, Recall(count=count))

    @rule(peer=anybody, job=jobs, workers=st.lists(st.sampled_from(WORKERS), max_size=3))
    def parent_shuns(self, peer: PeerId, job: JobId, workers: list[PeerId]) -> None:
        self.hears(peer, Exclude(job_id=job, workers=tuple(workers)))

    @rule(peer=anybody, wanted=st.lists(jobs, max_size=3, unique=True))
    def parent_leases(self, peer: PeerId, wanted: list[JobId]) -> None:
        self.hears(peer, Lease(jobs=tuple(wanted)))

    # Answers.

    def result(self, attempt: int, worker: PeerId, kind: str) -> TaskResult:
        packet = self.packets.get(attempt, packet_of(0))
        result = right(packet, worker, chunk_seconds=0.5)
        match kind:
            case "wrong":
                return wrong(result, lie=worker.encode())
            case "clique":
                return wrong(result, lie=b"clique")
            case "padded":
                return replace(result, fuel=result.fuel + 1)
            case "no leaves":
                return replace(result, leaves=())
            case "sealed":
                return sealed(result)
            case "of another task":
                return replace(result, task_id=TaskId("j0:99"))
            case "machine failed":
                return failed(packet, worker, FailureKind.WORKER_LOST)
            case "job failed":
                return failed(packet, worker, FailureKind.GUEST_ERROR)
            case "refused" | "returned":
                return TaskResult(task_id=packet.task_id, worker=worker, status=TaskStatus(kind))
        return result

    @precondition(lambda self: self.orchestrator.core.children)
    @rule(
        which=st.integers(0, 10**6),
        kinds=st.lists(
            st.sampled_from(
                ["right"] * 4
                + [
                    "wrong",
                    "clique",
                    "padded",
                    "no leaves",
                    "sealed",
                    "sealed",
                    "machine failed",
                    "job failed",
                    "refused",
                    "returned",
                ]
            ),
            min_size=1,
            max_size=4,
        ),
        worker=st.sampled_from([None, None, None, *WORKERS]),
    )
    def child_answers(self, which: int, kinds: list[str], worker: PeerId | None) -> None:
        """What it has under way, rightly or not."""
        live = [attempt for attempt in self.orchestrator.core.attempts.values() if attempt.peer.id != ME]
        if live:
            first = which % len(live)
            peer = live[first].peer.id
            mine = [attempt.number for attempt in live[first:] if attempt.peer.id == peer]
            pairs = zip(mine, kinds, strict=False)
            results = tuple((number, self.result(number, worker or peer, kind)) for number, kind in pairs)
            self.hears(peer, Answers(results=results))

    @rule(
        liars=st.frozensets(children, max_size=3),
        lie=st.sampled_from(["wrong", "clique", "padded", "job failed"]),
        rounds=st.integers(1, 8),
    )
    def everybody_works_for_a_while(self, liars: frozenset[PeerId], lie: str, rounds: int) -> None:
        """Children and engine end what they have (or commit to it, where that comes first), time after time."""
        for _ in range(rounds):
            for attempt in [attempt for attempt in self.orchestrator.core.attempts.values() if attempt.peer.id != ME]:
                peer = attempt.peer.id
                result = self.result(attempt.number, peer, lie if peer in liars else "right")
                if attempt.task.packet.commit_first and not attempt.is_committed:
                    result = sealed(result)
                self.hears(peer, Answers(results=((attempt.number, result),)))
            for number in list(self.running):
                if number in self.running:
                    self.running.pop(number)
                    self.tell(TaskExecuted(attempt=number, result=self.result(number, ME, "right")))
            self.merges_what_was_asked(is_expected=False)
            self.orchestrator.check()
            self.time_passes(0.1)

    @rule(
        peer=anybody,
        attempt=numbers,
        kind=st.sampled_from(["right", "wrong", "sealed", "of another task", "job failed", "machine failed", "refused"]),
        worker=st.sampled_from(WORKERS),
    )
    def somebody_answers_something(self, peer: PeerId, attempt: int, kind: str, worker: PeerId) -> None:
        self.hears(peer, Answers(results=((attempt, self.result(attempt, worker, kind)),)))

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 10), kind=st.sampled_from(["right", "right", "right", "job failed", "machine failed"]))
    def engine_ends_a_task(self, which: int, kind: str) -> None:
        attempt = list(self.running)[which % len(self.running)]
        del self.running[attempt]
        self.tell(TaskExecuted(attempt=attempt, result=self.result(attempt, ME, kind)))

    # Time.

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.1, 0.3, 1.0]))
    def time_passes(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(2_000):
            due = self.orchestrator.next_timer()
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            self.tell(TimerFired())
        raise AssertionError("timers fire without end")

    @precondition(lambda self: self.now < TIMEOUT / 2)
    @rule()
    def everybody_is_silent_for_a_lease(self) -> None:
        self.time_passes(LEASE_SECONDS + 1.0)

    @rule()
    def a_timer_fires_for_no_reason(self) -> None:
        self.tell(TimerFired())

    @invariant()
    def holds(self) -> None:
        self.orchestrator.check()

    @invariant()
    def knows_what_the_engine_runs(self) -> None:
        assert set(self.running) == set(self.orchestrator.core.me.attempts)

    @invariant()
    def has_every_own_job_that_has_not_ended(self) -> None:
        assert {job for source, job in self.orchestrator.core.jobs if source is None} == self.open

    def teardown(self) -> None:
        """Whatever happened: when nobody does anything any more, all jobs end in time and nothing is left."""
        for _ in range(10):
            self.time_passes(TIMEOUT / 8)
            self.orchestrator.check()
        core = self.orchestrator.core
        assert not self.open
        assert not core.jobs
        assert not core.attempts
        assert not core.by_origin
        assert not core.local
        assert not core.listed


TestAnyHistory = History.TestCase
TestAnyHistory.settings = settings(max_examples=share_of(100), stateful_step_count=40, deadline=None)
