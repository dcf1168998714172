"""Try a job on a sample, to find out what would go wrong later.

All of it is executed packed and isolated, twice each, given to the job's own check, and merged in random groups. What is found is
data, with the chunk and the bytes that differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from random import Random
from typing import Any

from pangea.compute.engine.engine import Engine
from pangea.compute.engine.engines import embedded
from pangea.compute.engine.failures import error_of
from pangea.compute.engine.prepared import PreparedJob, prepare
from pangea.compute.engine.task import Task
from pangea.compute.engine.waiting import outcome_of
from pangea.compute.flow import merging, own_check
from pangea.compute.flow.chunks import packs_in
from pangea.compute.flow.independence import difference
from pangea.compute.flow.packs import Pack, PackRule
from pangea.compute.inputs.cutting import cut
from pangea.compute.inputs.preprocessor import prepare_input
from pangea.compute.model import frames
from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import Function
from pangea.compute.model.options import JobOptions
from pangea.compute.model.outcome import Failure, Finished
from pangea.compute.model.units import human_bytes

#: Chunks of the sample that are looked at, and random groupings of their results.
CHUNKS_MAX = 1_000
_GROUPINGS = 8
#: Of the job's own check.
_SEEDS = (b"\0" * own_check.SEED_BYTES, b"\1" * own_check.SEED_BYTES)


@dataclass(slots=True)
class Validation:
    """What was tried, and what was found.

    Attributes:
        exports: functions that the job has.
        segments, chunks, packs: of the sample.
        fuel: by function, of one execution.
        seconds: by function, in the sandbox.
        findings: what is wrong, one sentence each; none if all is well.
    """

    exports: tuple[str, ...]
    segments: int = 0
    chunks: int = 0
    packs: int = 0
    fuel: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "exports": list(self.exports),
            "segments": self.segments,
            "chunks": self.chunks,
            "packs": self.packs,
            "fuel": self.fuel,
            "seconds": self.seconds,
            "findings": self.findings,
        }

    def lines(self, limits_memory: int) -> list[str]:
        """For people: what the job has, needs and costs."""
        costs = [f"{name} {fuel:,} fuel, {self.seconds[name]:.3f} s" for name, fuel in self.fuel.items()]
        return [
            f"functions: {', '.join(self.exports)}; imports nothing; {human_bytes(limits_memory)} of memory at most",
            f"sample: {self.segments:,} segments, {self.chunks:,} chunks in {self.packs:,} packs",
            f"cost: {'; '.join(costs)}",
        ]


def validate_job(job: Any, input_data: object, options: JobOptions) -> Validation:
    """Try a job on a sample of its input, in this process.

    Raises:
        PangeaError: the job doesn't run on it at all; the error says why.
    """
    engine, _ = embedded.engine()
    prepared = prepare(job.archive(), options.limits, engine, lambda _what: None, name=job.name, associative=job.associative)
    with prepare_input(input_data, job.input_kind, options) as inputs:
        segments = [*islice(cut(inputs, options, custom_max=prepared.custom_bytes_max), CHUNKS_MAX)]
        return _Trial(engine, prepared, options).of(segments)


class _Trial:
    """Tries one job."""

    def __init__(self, engine: Engine, job: PreparedJob, options: JobOptions) -> None:
        self._engine = engine
        self._job = job
        self._is_associative = job.associative or options.associative_merge
        self._rule = PackRule.of(options)
        has = {"split": job.has_split, "execute": True, "merge": job.has_merge, "check": job.checker is not None}
        self._found = Validation(tuple(name for name, is_there in has.items() if is_there))

    def of(self, segments: Sequence[Buffer]) -> Validation:
        """Try it on these segments."""
        found = self._found
        found.segments = len(segments)
        results: list[memoryview] = []
        for frame, packs in self._packed(segments):
            found.packs += len(packs)
            body = self._twice("execute", frame, packs)
            alone = self._twice("execute", frame, _ones(frame), counts=False)
            self._compare(len(results), body, alone)
            self._check(len(results), frame, body, packs)
            results += merging.items([body])
            if len(results) >= CHUNKS_MAX:
                break
        found.chunks = len(results)
        if self._job.has_merge:
            self._merge(results)
        return found

    def _frame(self, segment: Buffer) -> bytes:
        """A segment's chunks, as a framed list."""
        if not self._job.has_split:
            return frames.pack([segment])
        return bytes(merging.only_result(self._twice("split", frames.pack([segment]), [])))

    def _packed(self, segments: Sequence[Buffer]) -> Iterator[tuple[bytes, list[Pack]]]:
        for segment in segments:
            frame = self._frame(segment)
            if packs := packs_in(frame, self._rule):
                yield frame, packs

    def _twice(self, function: Function, frame: bytes, packs: Sequence[Pack], *, counts: bool = True) -> bytes:
        """What a call gives; that it gives the same twice is checked."""
        one, other = (self._call(function, frame, packs) for _ in range(2))
        found = self._found
        if counts:
            found.fuel[function] = found.fuel.get(function, 0) + one.fuel
            found.seconds[function] = found.seconds.get(function, 0.0) + one.seconds
        if one.fuel != other.fuel:
            found.findings.append(f"{function} used {one.fuel:,} units of fuel, and {other.fuel:,} the second time")
        if one.results != other.results:
            where = difference(one.results, other.results, names=("at first", "then"))
            found.findings.append(f"{function} isn't repeatable: it {where}")
        return one.results

    def _call(self, function: Function, frame: bytes, packs: Sequence[Pack]) -> Finished:
        count = frames.count_of(frame)
        task = Task(self._job.guest_of(function), function, count, [frame], packs)
        outcome = outcome_of(self._engine.submit(task), self._job.guest.limits, count + 1, f"a task of {function}")
        if isinstance(outcome, Failure):
            raise error_of(outcome, function=function, chunk_index=outcome.index if function == "execute" else None)
        return outcome

    def _check(self, first: int, chunks: bytes, results: bytes, packs: Sequence[Pack]) -> None:
        """Note results that the job's own check refuses or fails on, with two seeds: what is right must pass with any."""
        if self._job.checker is None:
            return
        for seed in _SEEDS:
            pairs = list(own_check.pairs(seed, merging.items([chunks]), merging.items([results])))
            frame, of_pairs = own_check.frame_of(pairs, [pack.count for pack in packs])
            task = Task(self._job.checker, "execute", len(pairs), [frame], of_pairs)
            outcome = outcome_of(self._engine.submit(task), self._job.checker.limits, len(pairs) + 1, "a task of check")
            found = self._found
            if isinstance(outcome, Failure):
                self._found.findings.append(f"check fails on chunk {first + (outcome.index or 0):,}: {outcome.message}")
                return
            found.fuel["check"] = found.fuel.get("check", 0) + outcome.fuel // len(_SEEDS)
            found.seconds["check"] = found.seconds.get("check", 0.0) + outcome.seconds / len(_SEEDS)
            refused = own_check.first_refused(outcome.results)
            if refused is not None:
                found.findings.append(f"check refuses what execute gives for chunk {first + refused:,}")
                return

    def _compare(self, first: int, packed: bytes, alone: bytes) -> None:
        """Note chunks that give something else alone than in their packs."""
        pairs = enumerate(zip(merging.items([packed]), merging.items([alone]), strict=True), first)
        self._found.findings += [
            f"chunks influence each other: chunk {number:,} {difference(one, other)}; isolate=True executes each by itself"
            for number, (one, other) in pairs
            if one != other
        ]

    def _merge(self, results: list[memoryview]) -> None:
        whole = bytes(merging.only_result(self._twice("merge", frames.pack(results), [])))
        if not self._is_associative or len(results) < 2:
            return
        random = Random(0)  # noqa: S311  # the same groups every time
        for _ in range(_GROUPINGS):
            cuts = sorted({0, len(results), *(random.randrange(1, len(results)) for _ in range(random.randint(1, 4)))})
            parts = [self._call("merge", frames.pack(results[first:end]), []) for first, end in pairwise(cuts)]
            grouped = self._call("merge", frames.pack([merging.only_result(part.results) for part in parts]), [])
            if (given := bytes(merging.only_result(grouped.results))) != whole:
                groups = ", ".join(f"{first}-{end - 1}" for first, end in pairwise(cuts))
                where = difference(whole, given, names=("at once", "in groups"))
                self._found.findings.append(
                    f"merge is declared associative and isn't: of results {groups}, merged apart and then together, it {where}"
                )
                return


def _ones(frame: bytes) -> list[Pack]:
    """Each chunk a pack."""
    return [Pack(1, len(each)) for each in merging.items([frame])]
