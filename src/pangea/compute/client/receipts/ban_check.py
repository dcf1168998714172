"""Check the proof of a ban: whether the record was signed, under the spec that was signed, and isn't what the call gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pangea.compute.client.receipts.materials import within_caps
from pangea.compute.engine.engine import Engine
from pangea.compute.engine.prepared import prepare
from pangea.compute.engine.task import Task
from pangea.compute.engine.waiting import outcome_of
from pangea.compute.flow.chunks import sized
from pangea.compute.model import frames
from pangea.compute.model.errors import InputError, UnavailableError
from pangea.compute.model.ids import Function
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Failure, FailureKind, Outcome
from pangea.compute.model.tolerance import Tolerance
from pangea.compute.verification.ban_file import BanProof
from pangea.compute.verification.closeness import packs_outside
from pangea.compute.verification.digests import digest_of
from pangea.compute.verification.receipts import Record


@dataclass(frozen=True, slots=True)
class Said:
    """What a call gave, or is said to have given.

    Attributes:
        output: as in its record; empty for a failure.
        fuel: units.
        failure: a `FailureKind`, or "".
    """

    output: str
    fuel: int
    failure: str


def said_by(record: Record) -> Said:
    """What a worker signed."""
    return Said(record.output.hex(), record.fuel, record.failure)


def execute_again(proof: BanProof, engine: Engine, caps: Limits, on_compile: Callable[[str], None]) -> Said:
    """What the call of a proof gives on this machine, under limits of its own.

    Raises:
        InputError: the file hasn't the input or the module, or, under a tolerance, the worker's results.
        UnavailableError: this machine can't execute it, or not under these limits.
    """
    if proof.module is None or proof.input is None:
        missing = "module" if proof.module is None else "input"
        raise InputError(f"the {missing} isn't in the file: give it with --{missing} FILE")
    spec, record = proof.spec, proof.record
    if spec.meter != engine.meter:
        raise UnavailableError(f"the job's fuel was counted by {spec.meter}, and this machine counts by {engine.meter}")
    limits = within_caps(spec.options.limits, [record], caps)
    job = prepare(proof.module, limits, engine, on_compile, name="banned", associative=spec.options.associative_merge)
    function: Function = "merge" if record.function == "merge" else "execute"
    count = frames.count_of(proof.input) if function == "merge" else record.count
    try:
        packs = sized(proof.input, record.packs) if record.packs else ()
    except frames.FrameError as error:
        raise InputError(f"the input isn't of the packs that the record names: {error}") from error
    task = Task(job.guest_of(function), function, count, [proof.input], packs)
    tolerance = job.tolerance if function == "execute" else None
    outcome = outcome_of(engine.submit(task), limits, count + 1, record.task_id)
    if isinstance(outcome, Failure) and outcome.kind is FailureKind.OUT_OF_FUEL and limits.fuel < spec.options.limits.fuel:
        raise UnavailableError(
            f"{record.task_id} took more than the {limits.fuel:,} units of fuel a call that are allowed here",
            hint="allow more with --fuel: this says nothing about the ban",
        )
    return _said(proof, outcome, tolerance)


def _said(proof: BanProof, outcome: Outcome, tolerance: Tolerance | None) -> Said:
    record = proof.record
    if isinstance(outcome, Failure):
        if outcome.is_machine_fault:
            raise UnavailableError(
                f"{record.task_id} couldn't be executed again on this machine: {outcome.message}",
                hint="this says nothing about the ban",
            )
        return Said("", outcome.fuel, str(outcome.kind))
    output = digest_of(outcome.results, start=record.start, packs=record.packs)
    if tolerance is not None and output != record.output and not record.failure:
        if proof.output is None:
            raise InputError(f"the worker's results aren't in the file: whether they are within {tolerance} can't be said")
        if not packs_outside(tolerance, proof.output, outcome.results, record.packs):
            output = record.output  # near enough is what it signed
    return Said(output.hex(), outcome.fuel, "")
