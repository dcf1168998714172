"""How a job on a node stands, and how it ended: what clients are told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from pangea.compute.model.answers import known, unreadable
from pangea.compute.model.html import bar, bundle, figures
from pangea.compute.model.ids import JobId
from pangea.compute.model.progress import JobState

#: Tasks that a node explains in one answer.
TASKS_TOLD_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job at one moment.

    Attributes:
        job_id: the job.
        name: for people.
        owner: who submitted it: `uid:1000` of this machine, or a peer id.
        state: where it is.
        progress: share of the input that is in finished tasks, 0 to 1; 1 only when the job is complete.
        completed_chunks: executed and accepted.
        total_chunks: chunks known so far; all of them if `is_total_known`.
        is_total_known: whether the whole input is cut.
        seconds_left: estimated, or None while there is nothing to estimate it from.
        accepted_at: seconds since 1970 (wall clock; for people).
        ended_at: likewise; 0 while it hasn't ended.
        bytes_in, bytes_out: of input; of the result, 0 before the end.
        fuel: fuel units used so far by finished tasks: exact, and the bill.
        running_tasks, waiting_tasks: now, on this node.
        error: of a failed job, as `PangeaError.to_json`; with `traceback`, `function` and `chunk_index` if there are any.
        restarts: how often the node went down under it.
    """

    job_id: JobId
    name: str = ""
    owner: str = ""
    state: JobState = JobState.PENDING
    progress: float = 0.0
    completed_chunks: int = 0
    total_chunks: int = 0
    is_total_known: bool = False
    seconds_left: float | None = None
    accepted_at: float = 0.0
    ended_at: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    fuel: int = 0
    running_tasks: int = 0
    waiting_tasks: int = 0
    error: dict[str, Any] | None = field(default=None)
    restarts: int = 0

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON types."""
        return {**asdict(self), "state": str(self.state)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """What `to_json` gave, by this version or a later one.

        Raises:
            UnavailableError: a field is missing or of the wrong type.
        """
        values = known(cls, record)
        try:
            values["state"] = JobState(values.get("state", JobState.PENDING))
            return cls(**values)
        except ValueError as error:
            raise unreadable(f"state is {values['state'][:80]!r}") from error

    def _repr_html_(self) -> str:
        """A progress bar and a table, in notebooks."""
        left = "" if self.seconds_left is None or self.state.is_final else f"about {self.seconds_left:.0f} s"
        rows = [
            ("state", self.state),
            ("chunks", f"{self.completed_chunks:,} of {self.total_chunks:,}{'' if self.is_total_known else ' or more'}"),
            ("left", left),
            ("in", f"{self.bytes_in:,} bytes"),
            ("fuel", self.fuel),
            ("error", (self.error or {}).get("message")),
        ]
        return figures(f"{self.name or 'job'} {self.job_id[:8]}", rows) + bar(self.progress)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """The same, and as text."""
        return bundle(repr(self), self._repr_html_())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Some of a client's jobs.

    Attributes:
        jobs: how they stand, latest first.
        total: how many there are on all pages.
        forgotten: how many have ended and aren't kept any more, where that is known.
    """

    jobs: tuple[JobStatus, ...] = ()
    total: int = 0
    forgotten: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """How a job ended.

    Attributes:
        status: its last one.
        size: bytes of the result; 0 unless complete.
        data: the result itself if it is small, else None: it is then read in blocks.
        report: how it came about, as `Report.to_json`; None unless complete.
        sha256: the result's name on the node, under which it may be another job's input; "" if it is too small to have one.
    """

    status: JobStatus
    size: int = 0
    data: bytes | None = field(default=None, repr=False)
    report: dict[str, Any] | None = None
    sha256: str = ""

    def to_json(self) -> dict[str, Any]:
        """All but the data as JSON types."""
        return {"status": self.status.to_json(), "size": self.size, "report": self.report, "sha256": self.sha256}

    @classmethod
    def from_json(cls, record: object, data: bytes | None) -> Self:
        """What `to_json` gave, and the data that came beside it.

        Raises:
            UnavailableError: a field is missing or of the wrong type, or the data has another size.
        """
        values = known(cls, record)
        status, size = JobStatus.from_json(values["status"]), values.get("size", 0)
        if size < 0 or (data is not None and len(data) != size):
            raise unreadable(f"a result of {size:,} bytes" + ("" if data is None else f", and {len(data):,} came"))
        return cls(status=status, size=size, data=data, report=values.get("report"), sha256=values.get("sha256", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a node can do.

    Attributes:
        cpu_cores: tasks that run at once.
        ram_mb: mebibytes of memory of the machine.
        current_load: share of the cores at work, 0 to 1.
        adapter: what runs shaders, with its driver; empty: nothing does.
        adapter_bytes: of its memory; 0: its driver doesn't tell.
    """

    cpu_cores: int
    ram_mb: int
    current_load: float
    adapter: str = ""
    adapter_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInfo:
    """A node at one moment.

    Attributes:
        peer_id: its key.
        version: of this package.
        capacity: what it can do.
        uptime: seconds.
        jobs: number of jobs by state.
        tasks: number of tasks by state ("running", "waiting").
        rates: per second, over the last ten seconds: "jobs", "tasks", "chunks", "bytes" (of input in finished tasks), "fuel".
        loop_stall_ms: longest that the event loop was late in the last minute, in milliseconds.
        stored_bytes: bytes of blobs on disk.
        owner_fuel: fuel used by the asking owner, ever.
        lends: whether it works for its parents: "yes", or how long that is paused.
    """

    peer_id: str
    version: str
    capacity: Capacity
    uptime: float
    jobs: dict[str, int]
    tasks: dict[str, int]
    rates: dict[str, float]
    loop_stall_ms: float
    stored_bytes: int
    owner_fuel: int
    lends: str = "yes"

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """What `to_json` gave, by this version or a later one.

        Raises:
            UnavailableError: a field is missing or of the wrong type.
        """
        values = known(cls, record)
        return cls(**{**values, "capacity": Capacity(**known(Capacity, values["capacity"]))})
