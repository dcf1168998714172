"""What a finished job says about itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from pangea.compute.model.answers import known
from pangea.compute.model.html import bundle, figures
from pangea.compute.model.trace import Trace
from pangea.compute.model.units import counted


def sandboxes_of(workers: int, place: str) -> str:
    """What executed a run's packs: so many worker processes on `place`."""
    return f"{counted(workers, 'worker process', 'worker processes')} on {place}, each pack in a fresh sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a result came about.

    Attributes:
        job_id: UUID.
        where: which engine ran it.
        verification: how the result was checked, in words.
        seconds: from submission to result, without starting the engine.
        startup_seconds: starting the engine and compiling, when this call had to; 0 otherwise.
        workers: worker processes of the engine.
        split_strategy: how the input was cut; under adaptive also what that chose, and why.
        segments: pieces the host cut the input into.
        chunks: how often `execute` ran for the result.
        tasks: sandbox instances that produced the result (split, execute and merge).
        retries: tasks run again after a failure of the machine.
        fuel: fuel units used by all tasks.
        bytes_in: bytes of input.
        bytes_out: bytes of result.
        split_seconds, execute_seconds, merge_seconds: sandbox time by function, summed over workers.
        warnings: what whoever reads the result should know: such as that chunks influence each other.
        prints: what the job's functions printed, cut to 64 KiB.
        trace: what each task did, of a job that ran on this machine; of one on a node, `JobHandle.trace` asks for it.
            No part of the report's JSON.
    """

    job_id: str
    where: str
    verification: str
    seconds: float
    startup_seconds: float
    workers: int
    split_strategy: str
    segments: int
    chunks: int
    tasks: int
    retries: int
    fuel: int
    bytes_in: int
    bytes_out: int
    split_seconds: float
    execute_seconds: float
    merge_seconds: float
    prints: str = ""
    warnings: tuple[str, ...] = ()
    trace: Trace | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """All fields but the trace as JSON types."""
        record = asdict(replace(self, trace=None))
        del record["trace"]
        return {**record, "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, record: object) -> Self:
        """What `to_json` gave, by this version or a later one.

        Raises:
            UnavailableError: a field is missing or of the wrong type.
        """
        if isinstance(record, dict):
            record = {name: value for name, value in record.items() if name != "trace"}
        return cls(**known(cls, record))

    def __str__(self) -> str:
        """Two lines for people, and one for each warning."""
        rate = self.bytes_in / self.seconds / 1e6 if self.seconds else 0.0
        return (
            f"{self.seconds:.2f} s, {counted(self.chunks, 'chunk')} in {counted(self.tasks, 'task')}"
            f" on {counted(self.workers, 'worker')},"
            f" {self.bytes_in:,} bytes in ({rate:.1f} MB/s), {self.bytes_out:,} bytes out, {self.fuel:,} fuel\n"
            + "".join([f"{self.where}; {self.verification}", *(f"\nwarning: {each}" for each in self.warnings)])
        )

    def _repr_html_(self) -> str:
        """A table, in notebooks."""
        return figures(
            f"job {self.job_id[:8]}",
            [
                ("time", f"{self.seconds:.2f} s" + (f" (+ {self.startup_seconds:.1f} s start)" if self.startup_seconds else "")),
                ("ran on", self.where),
                ("verification", self.verification),
                ("workers", self.workers),
                ("chunks", f"{self.chunks:,} in {counted(self.tasks, 'task')}"),
                ("retries", self.retries or None),
                ("in", f"{self.bytes_in:,} bytes, {self.split_strategy}"),
                ("out", f"{self.bytes_out:,} bytes"),
                ("fuel", self.fuel),
                ("warnings", "; ".join(self.warnings)),
                ("printed", self.prints),
            ],
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """The same, and as text."""
        return bundle(str(self), self._repr_html_())
