"""What a job's owner can say about how its result was checked."""

from __future__ import annotations

from dataclasses import dataclass

from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.options import VerificationMode


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """How a job went, as its owner saw it.

    Attributes:
        mode: how results were checked.
        confidence: probability that every accepted answer is right, 0 to 1; None under `none`.
        target: what was asked for.
        lowest_confidence: of any accepted task, by what is known of its workers alone, 0 to 1; None under `none`.
        chunks: chunks in accepted tasks.
        tasks: accepted tasks.
        executions: answers bought for them, audits included; a check of a part of a task counts as that part.
        executions_per_task: the price of checking; 1.0 is unchecked.
        local: answers of the owner's own machine among them.
        audits: tasks or parts of tasks that the owner executed again to check others.
        own_checks: answers that the job's own check has looked at …
        refusals: … and those that it refused.
        planted: answers to tasks that the owner had executed before, and gave to a worker all the same …
        planted_wrong: … and those of them that were wrong.
        disputes: tasks whose answers differed.
        withdrawn: accepted answers taken back because their worker was caught lying elsewhere.
        retries: attempts repeated because a machine failed.
        backups: second copies of stragglers.
        bans: workers that were found to be wrong and shut out, in order.
        below_target: (task, confidence reached, why) for each task accepted below target; at most 100 are listed.
        below_target_count: how many there were.
        notes: what else the user should know, such as "no worker could be reached: everything ran here".
    """

    mode: VerificationMode
    confidence: float | None
    target: float
    lowest_confidence: float | None
    chunks: int
    tasks: int
    executions: float
    local: int
    audits: int
    disputes: int
    withdrawn: int
    retries: int
    backups: int
    bans: tuple[PeerId, ...]
    below_target: tuple[tuple[TaskId, float, str], ...]
    below_target_count: int
    notes: tuple[str, ...]
    own_checks: int = 0
    refusals: int = 0
    planted: int = 0
    planted_wrong: int = 0

    @property
    def executions_per_task(self) -> float:
        """Answers bought per accepted task."""
        return self.executions / self.tasks if self.tasks else 0.0
