"""What must hold in every run, by name. Each checker looks at one thing and raises `CheckError` when it doesn't hold.

A run that checks less than everything promises less: with verification off, or a kind of lie that a mode doesn't catch by
design, wrong results are counted, not forbidden. What is never tolerated: a chunk lost or merged twice, a run without end, a
task that goes on for nobody, a budget overdrawn, an honest worker banned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pangea.compute.model.errors import PangeaError
from pangea.compute.model.ids import PeerId
from pangea.compute.model.options import VerificationMode
from pangea.compute.orchestrator.core.commands import FailJob, FinishJob, KeepTrust, MergeJob
from pangea.compute.orchestrator.core.messages import Delegate
from pangea.compute.orchestrator.limits import BATCH_MAX, DEPTH_MAX, FAN_OUT_MAX
from pangea.compute.orchestrator.machine import Orchestrator
from pangea.compute.orchestrator.rules.trust import TrustRecord
from pangea.compute.simulation.answers import Program, Value
from pangea.compute.simulation.liars import LIARS
from pangea.compute.simulation.node import Node
from pangea.compute.simulation.program import join
from pangea.compute.simulation.scenario import Scenario

#: Liars up to this share must be found out in every single run.
_MINORITY: Final = 0.5
#: … if they lie about as many of their tasks at least.
_OFTEN: Final = 0.1


class CheckError(PangeaError, AssertionError):
    """A checker is violated.

    Attributes:
        checker: its name.
    """

    code = "CHECK_VIOLATED"

    def __init__(self, checker: str, message: str) -> None:
        """Say which checker, and what it saw."""
        super().__init__(f"{checker}: {message}", checker=checker)
        self.checker = checker


class ExactResult:
    """The job's result is the serial one, byte for byte."""

    name: Final = "exact result"

    def __init__(self, *, is_promised: bool) -> None:
        """Demand it, or (with lies that the mode doesn't catch by design) only that the result is of what was accepted."""
        self._is_promised = is_promised

    def finished(self, command: FinishJob, program: Program, wrong: int) -> None:
        """Compare."""
        if wrong and self._is_promised:
            raise CheckError(self.name, f"{wrong} wrong results were accepted")
        if not wrong and command.digest != program.truth():
            raise CheckError(self.name, f"the result is {command.digest.hex()[:16]}, it should be {program.truth().hex()[:16]}")


class NothingLost:
    """What is merged covers all chunks, from the first to the last, without a gap."""

    name: Final = "nothing lost"

    def merged(self, values: list[Value | None], chunks: int) -> None:
        """Walk over what is merged."""
        at: int | None = 0
        for value in values:
            if value is None:
                at = None
                continue
            if at is not None and value.start > at:
                raise CheckError(self.name, f"chunks {at} to {value.start - 1} are not in the result")
            at = value.start + value.chunks
        if at is not None and at < chunks:
            raise CheckError(self.name, f"chunks {at} to {chunks - 1} are not in the result")


class NothingTwice:
    """No chunk is merged twice, nor out of order."""

    name: Final = "nothing merged twice"

    def merged(self, values: list[Value | None]) -> None:
        """Walk over what is merged."""
        at = 0
        for value in values:
            if value is None:
                continue
            if value.start < at or not value.is_contiguous:
                raise CheckError(self.name, f"chunk {value.start} comes again, or too late, after {at}")
            at = value.start + value.chunks


class Convergence:
    """When all is healed, the job ends well, in bounded time."""

    name: Final = "convergence"

    def __init__(self, *, is_promised: bool) -> None:
        """Demand success, or (with liars who are believed) only an end."""
        self._is_promised = is_promised

    def ended(self, finish: FinishJob | FailJob | None, bound: float, state: str) -> None:
        """See how the job ended, if it did; `state` says how far it was."""
        if finish is None:
            raise CheckError(self.name, f"the job has not ended {bound:.0f} s after all was healed: {state}")
        if isinstance(finish, FailJob) and self._is_promised:
            raise CheckError(self.name, f"the job failed ({finish.cause}): {finish.message}")


class NoHungTask:
    """One lease after the job's end nobody works for it, and nobody remembers it."""

    name: Final = "no hung task"

    def idle(self, nodes: Iterable[Node]) -> None:
        """Look at every node."""
        for node in nodes:
            if not node.is_up:
                continue
            if node.runs:
                run = next(iter(node.runs.values()))
                raise CheckError(self.name, f"n{node.number} still executes {run.packet.task_id} for nobody")
            core = node.mind.core if isinstance(node.mind, Orchestrator) else None
            if core is not None and (core.jobs or core.attempts or core.by_origin):
                raise CheckError(self.name, f"n{node.number} still has {len(core.jobs)} jobs, {len(core.attempts)} attempts")


class BudgetKept:
    """Delegations go at most so deep and so wide, never in circles, and not in batches larger than agreed."""

    name: Final = "budget kept"

    def __init__(self) -> None:
        """Nobody has delegated anything yet."""
        self._used: dict[tuple[int, int], dict[PeerId, None]] = {}

    def delegated(self, node: Node, peer: PeerId, message: Delegate) -> None:
        """Look at a delegation."""
        budget = message.budget
        if budget.depth < 0 or len(budget.ancestors) > DEPTH_MAX or budget.depth + len(budget.ancestors) > DEPTH_MAX:
            raise CheckError(self.name, f"n{node.number} delegates {len(budget.ancestors)} deep, with {budget.depth} to go")
        if peer in budget.ancestors or peer == node.peer:
            raise CheckError(self.name, f"n{node.number} delegates in a circle, to {peer}")
        if len(message.tasks) > BATCH_MAX:
            raise CheckError(self.name, f"n{node.number} delegates {len(message.tasks)} tasks at once")
        used = self._used.setdefault((node.number, node.life), {})
        used[peer] = None
        if len(used) > FAN_OUT_MAX:  # those that have gone count no more
            used = self._used[node.number, node.life] = {child: None for child in used if child in node.links}
        if len(used) > FAN_OUT_MAX:
            raise CheckError(self.name, f"n{node.number} uses {len(used)} children at once")


class TrustMonotone:
    """Trust falls by lies alone, and then to nothing; bans are never forgotten. An honest worker's only grows."""

    name: Final = "trust monotone"

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._known: dict[tuple[PeerId, str], TrustRecord] = {}

    def trusted(self, command: KeepTrust, *, is_liar: bool) -> None:
        """Compare a record with the one before."""
        new, old = command.record, self._known.get((command.worker, command.runtime), TrustRecord())
        self._known[command.worker, command.runtime] = new
        if new.bans < old.bans:
            raise CheckError(self.name, f"{command.worker} had {old.bans} bans, now {new.bans}")
        if new.bans > old.bans and new.passes:
            raise CheckError(self.name, f"{command.worker} was caught, and keeps {new.passes} passes")
        if new.bans == old.bans and new.passes < old.passes:
            raise CheckError(self.name, f"{command.worker} fell from {old.passes} to {new.passes} passes without a lie")
        if new.bans and not is_liar:
            raise CheckError(self.name, f"{command.worker} is honest, and its record says {new.bans} bans")


class NoInnocentBanned:
    """Nobody honest is banned or turned away."""

    name: Final = "no innocent banned"

    def banned(self, worker: PeerId, when: float, *, is_liar: bool) -> None:
        """Look at who is banned."""
        if not is_liar:
            raise CheckError(self.name, f"{worker} is honest, and was banned at {when:.3f} s")


class Checkers:
    """All of them, for one run."""

    def __init__(self, scenario: Scenario, program: Program) -> None:
        """Check a run of this scenario."""
        is_promised = promises_exactness(scenario)
        self._chunks = scenario.chunks
        self._program = program
        self._exact = ExactResult(is_promised=is_promised)
        self._convergence = Convergence(is_promised=is_promised)
        self._lost, self._twice, self._hung = NothingLost(), NothingTwice(), NoHungTask()
        trust, innocent = TrustMonotone(), NoInnocentBanned()
        self.delegated = BudgetKept().delegated
        self.trusted = trust.trusted
        self.banned = innocent.banned
        self.idle = self._hung.idle
        self.ended = self._convergence.ended

    def merged(self, command: MergeJob) -> None:
        """The owner merges: look at what."""
        values = [self._program.value(digest) for digest in command.digests]
        self._lost.merged(values, self._chunks)
        self._twice.merged(values)

    def finished(self, command: FinishJob, wrong: int) -> None:
        """The job has a result."""
        self._exact.finished(command, self._program, wrong)


def promises_exactness(scenario: Scenario) -> bool:
    """Whether every lie must be found out: always without liars, under `adaptive`, and by votes of those who don't collude.

    Where most nodes are liars, or lie rarely, a job says how sure it is, and that counts over many runs (`bench/confidence.py`).
    """
    if not scenario.kinds:
        return True
    if scenario.verification is VerificationMode.ADAPTIVE:
        return scenario.malicious <= _MINORITY and scenario.lie_rate >= _OFTEN
    colludes = any(LIARS[kind].is_colluding for kind in scenario.kinds)
    return scenario.verification is VerificationMode.REDUNDANCY and scenario.redundancy >= 2 and not colludes


def wrong_in(program: Program, command: MergeJob) -> int:
    """How many wrong results are in what the owner merges."""
    return join([program.value(digest) for digest in command.digests]).wrong
