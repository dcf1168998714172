"""The orchestrator of one node: events in, commands out, no clock and no I/O.

A node is manager, worker and owner at once, for many jobs: these are roles towards a job, not kinds of node. The driver feeds
`handle`, carries out what it returns, and sends `TimerFired` when `next_timer` comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from pangea.compute.model.errors import UnknownTaskError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.packet import TaskResult, TaskStatus
from pangea.compute.orchestrator.balancing import heartbeat, peers
from pangea.compute.orchestrator.balancing.balancer import balance, look_for_overdue, relieve
from pangea.compute.orchestrator.balancing.stuck import unstick
from pangea.compute.orchestrator.checks import check
from pangea.compute.orchestrator.core.commands import Command
from pangea.compute.orchestrator.core.events import (
    AnswersComing,
    ChunksReady,
    Event,
    JobBroken,
    JobCancelled,
    JobMerged,
    JobSubmitted,
    LendingChanged,
    MessageReceived,
    PeerBanned,
    PeerJoined,
    PeerLost,
    PeerMisbehaved,
    PeerPardoned,
    TaskExecuted,
    TimerFired,
)
from pangea.compute.orchestrator.core.messages import Answers, Beat, Cancel, Delegate, Exclude, Lease, Message, Recall, Reveal
from pangea.compute.orchestrator.core.records import Job, Parent, Peer, Task
from pangea.compute.orchestrator.core.state import Core
from pangea.compute.orchestrator.core.timers import Timer
from pangea.compute.orchestrator.judging.judging import contradicts
from pangea.compute.orchestrator.lifecycle import answers, intake, revealing
from pangea.compute.orchestrator.lifecycle.explain import Explanation, explain
from pangea.compute.orchestrator.lifecycle.finishing import Accepted, accepted, fail, forget, go_on, merged
from pangea.compute.orchestrator.rules.trust import TrustBook, Verdict
from pangea.compute.orchestrator.scheduling.offers import ask_again

if TYPE_CHECKING:
    from random import Random


class Orchestrator:
    """All decisions of one node."""

    def __init__(
        self,
        peer: PeerId,
        *,
        cores: int,
        random: Random,
        network: str = "",
        trust: TrustBook | None = None,
        adapters: int = 0,
    ) -> None:
        """Decide for `peer`, whose engine runs `cores` tasks at once (at least 1).

        Args:
            peer: this node's key.
            cores: tasks that the node's own engine may run at once.
            random: draws audits and jitter; nobody else may know its state.
            network: where this node says it is.
            trust: what is known of workers from earlier.
            adapters: that the node's own engine has for shaders.
        """
        me = Peer(peer, network, 0.0, max(1, cores), window=max(1, cores), adapters=adapters)
        self.core: Core = Core(me=me, random=random, trust=trust if trust is not None else TrustBook())

    def handle(self, event: Event, *, now: float) -> list[Command]:
        """Take in one event and say what to do about it. `now` is seconds, on a clock that never goes back."""
        core = self.core
        core.now = max(core.now, now)
        self._take_in(event)
        while core.due or core.dropped or core.suspects:
            if core.suspects:
                peers.relieve_suspect(core, core.suspects.pop())
            elif core.dropped:
                shut_out = core.dropped.pop()
                peers.drop(core, shut_out, f"it was wrong ({core.trust.verdict(shut_out)})")
            else:
                go_on(core, core.due.pop())
        balance(core)
        commands, core.out = core.out, []
        return commands

    def next_timer(self) -> float | None:
        """When to send `TimerFired`, in the same seconds; ask again after each `handle`."""
        return self.core.timers.next()

    def explain(self, task_id: TaskId, *, now: float) -> list[Explanation]:
        """Say why a task is where it is: one explanation per job that has it here (a node may hold it for two parents).

        Raises:
            UnknownTaskError: no job on this node has such a task (it may not be cut yet, or be done and gone).
        """
        core = self.core
        core.now = max(core.now, now)
        found = [explain(core, job.tasks[task_id]) for job in core.jobs.values() if task_id in job.tasks]
        if not found:
            raise UnknownTaskError(
                f"no task {task_id} on this node",
                hint="a chunk becomes a task when a worker has room for it; finished jobs leave nothing but their report",
            )
        return found

    def accepted(self, job_id: JobId) -> list[Accepted]:
        """What an own job's result is made of, while the job lives: each complete task and the answer that stands for it."""
        job = self.core.jobs.get((None, job_id))
        return accepted(job) if job is not None else []

    def contradicts(self, attempt: int, result: TaskResult) -> bool:
        """Whether this node's own execution, if it is the truth, gets somebody shut out: then make sure of it."""
        known = self.core.attempts.get(attempt)
        return known is not None and contradicts(known.task, result)

    def check(self) -> None:
        """Assert every invariant; for tests and simulations."""
        check(self.core)

    def _take_in(self, event: Event) -> None:
        core = self.core
        match event:
            case MessageReceived(peer=peer, message=message):
                if peers.heard(core, peer):
                    self._read(peer, message)
            case AnswersComing(peer=peer, results=results):
                revealing.coming(core, peer, results)
            case TaskExecuted():
                self._executed(event)
            case TimerFired():
                self._fire()
            case PeerJoined():
                peers.joined(core, event)
            case PeerLost(peer=peer):
                peers.lost(core, peer)
            case PeerMisbehaved(peer=peer, what=what):
                peers.shut_out(core, peer, what, Verdict.MISBEHAVED)
            case PeerBanned(peer=peer, why=why):
                peers.shut_out(core, peer, why, Verdict.BY_HAND)
            case PeerPardoned(peer=peer):
                peers.pardon(core, peer)
            case LendingChanged(is_paused=is_paused):
                intake.lending_changed(core, is_paused=is_paused)
            case _:
                self._hear_client(event)

    def _hear_client(self, event: JobSubmitted | ChunksReady | JobCancelled | JobBroken | JobMerged) -> None:
        core = self.core
        match event:
            case JobSubmitted():
                intake.submitted(core, event)
            case ChunksReady():
                intake.chunks_ready(core, event)
            case JobCancelled(job_id=job_id):
                intake.cancelled(core, job_id)
            case JobBroken(job_id=job_id, cause=cause, message=message):
                intake.broken(core, job_id, cause, message)
            case JobMerged(job_id=job_id, digest=digest):
                if (job := core.jobs.get((None, job_id))) is not None:
                    merged(core, job, digest)
            case _:
                assert_never(event)

    def _executed(self, event: TaskExecuted) -> None:
        core, result = self.core, event.result
        attempt = core.attempts.get(event.attempt)
        if result.status is TaskStatus.DONE:
            is_shader = attempt is not None and attempt.task.is_shader
            core.weights.measure(fuel=result.fuel, seconds=result.seconds, is_shader=is_shader)
        answers.settle(core, core.me.id, event.attempt, result)
        if attempt is not None:
            intake.reconsider_role(core, attempt.task.job)

    def _read(self, peer: PeerId, message: Message) -> None:
        core = self.core
        match message:
            case Answers(results=results):
                if peer in core.children:
                    for number, result in results:
                        answers.settle(core, peer, number, result)
            case Delegate():
                if peer in core.parents:
                    intake.delegated(core, peer, message)
            case Beat():
                peers.told_of_subtree(core, peer, message)
            case Lease(jobs=jobs):
                peers.leased(core, peer, jobs)
            case Cancel():
                intake.cancelled_by_parent(core, peer, message)
            case Recall():
                intake.recalled(core, peer, message)
            case Reveal(attempts=attempts, milliseconds=milliseconds):
                revealing.reveal(core, peer, attempts, milliseconds / 1000)
            case Exclude():
                intake.shunned(core, peer, message)
            case _:
                assert_never(message)

    def _fire(self) -> None:
        core = self.core
        while (due := core.timers.due(core.now)) is not None:
            match due:
                case (Timer.BEAT, _):
                    core.beat_due = None
                    heartbeat.beat(core)
                case (Timer.CHECK, _):
                    self._look_around()
                case (Timer.FLUSH, Parent() as parent):
                    answers.flush(core, parent)
                case (Timer.DEADLINE, Job() as job):
                    self._out_of_time(job)
                case (Timer.ATTEMPT, int(number)):
                    answers.attempt_timed_out(core, core.attempts[number])
                case (Timer.REVEAL, int(number)):
                    revealing.withheld(core, core.attempts[number])
                case (Timer.COMING, int(number)):
                    revealing.kept_back(core, core.attempts[number])
                case (Timer.RETRY, Task() as task):
                    answers.retry(core, task)
                case _:
                    raise AssertionError(f"timer {due} means nothing")

    def _look_around(self) -> None:
        core = self.core
        core.check_is_armed = False
        peers.look_for_silent(core)
        look_for_overdue(core)
        ask_again(core)
        balance(core)
        is_stuck = unstick(core)
        relieve(core)
        balance(core)
        is_manager = bool(core.children) and bool(core.attempts or core.listed)
        if is_stuck or is_manager or any(job.own is not None for job in core.jobs.values()):
            core.arm_check()

    def _out_of_time(self, job: Job) -> None:
        if job.own is None:
            forget(self.core, job)
        else:
            done = sum(1 for task in job.tasks.values() if task.state.value == "complete")
            message = f"{job.spec.timeout:g} s are over; {done:,} of {len(job.tasks):,} tasks begun were complete"
            fail(self.core, job, "timeout", message)
