"""What is known of one run: of a result that was computed here, of a job on a node, of one that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from pangea.compute.client.results.result import Result
from pangea.compute.model.answers import unreadable
from pangea.compute.model.errors import PangeaError, PictureError, UnverifiedError, error_record
from pangea.compute.model.ids import JobId
from pangea.compute.model.report import Report
from pangea.compute.model.status import JobOutcome, JobStatus
from pangea.compute.model.trace import Trace

if TYPE_CHECKING:
    from pangea.compute.client.submission.handle import JobHandle
    from pangea.compute.client.submission.node_link import NodeLink

#: What a program may have of a run: its result or report, its handle, or the error that it ended with.
Run: TypeAlias = "RunFacts | Result | Report | JobHandle | PangeaError"
#: What stands for this machine where a node would have its peer id.
HERE = "this machine"
#: The state of a job that is complete, and whose result isn't right.
UNVERIFIED = "unverified"
_ROWS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker's part of a job.

    Attributes:
        name: number of the worker process, or peer id.
        branch: the owner's neighbour that its answers came through; "" if there is none.
        tasks, chunks, fuel, seconds: of accepted answers.
        checked: how far it has been checked, in words.
        is_banned: whether it was shut out for a wrong answer.
    """

    name: str
    branch: str = ""
    tasks: int = 0
    chunks: int = 0
    fuel: int = 0
    seconds: float = 0.0
    checked: str = ""
    is_banned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """All that pictures and reports of a run are made from.

    Attributes:
        job_id, name, state: which job, and how it stands: "complete", "failed", "running", …, `UNVERIFIED`.
        owner: who answers for it: `HERE`, or a node's peer id.
        trace: what each task did.
        report: how a complete job came about; None of others.
        workers: who did what, most first.
        below: (node, the one above it, its site), as the owner sees its tree now.
        checks: the owner's account of its checks, as `JobReport`; empty if there is none.
        options: what was chosen, by name.
        error: of a failed job, as `PangeaError.to_json`, with its `traceback`.
        seconds: how long it took, or has taken.
        bytes_in: of input.
        findings: what else was found out about the result, one sentence each.
    """

    job_id: str
    name: str
    state: str
    owner: str
    trace: Trace
    report: Report | None = None
    workers: tuple[Worker, ...] = ()
    below: tuple[tuple[str, str, str], ...] = ()
    checks: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    seconds: float = 0.0
    bytes_in: int = 0
    findings: tuple[str, ...] = ()

    @property
    def is_here(self) -> bool:
        """Whether it ran on the engine inside this process, without a node."""
        return self.owner == HERE

    @classmethod
    def of(cls, run: Run, *, name: str = "job") -> Self:
        """Of whatever a program has of a run; `name` is the job's, where that isn't known.

        Raises:
            PictureError: the result or report is of a job on a node, and says nothing of its tasks: the handle does.
            PangeaError: as `of_handle`.
        """
        if isinstance(run, RunFacts):
            return cls(**{each.name: getattr(run, each.name) for each in fields(run)})
        if isinstance(run, Result | Report):
            report = run.report if isinstance(run, Result) else run
            if report.trace is None:
                raise PictureError(
                    f"the report of job {report.job_id} has no trace of its tasks: it ran on a node",
                    hint="ask the node: Client(…).job(job_id), in place of the result",
                )
            return cls.of_report(report, name=name)
        if isinstance(run, PangeaError):
            return cls.of_error(run, name=name)
        return cls.of_handle(run)

    @classmethod
    def of_report(cls, report: Report, *, name: str = "job", options: Mapping[str, Any] | None = None) -> Self:
        """Of a job that was computed on this machine, without a node."""
        trace = report.trace or Trace()
        return cls(
            job_id=report.job_id,
            name=name,
            state="complete",
            owner=HERE,
            trace=trace,
            report=report,
            workers=workers_in(trace),
            options=options or {},
            seconds=report.seconds,
            bytes_in=report.bytes_in,
        )

    @classmethod
    def of_error(cls, error: PangeaError, *, name: str = "job", options: Mapping[str, Any] | None = None) -> Self:
        """Of a job that failed on this machine, without a node; one that only didn't stand when it was verified has a report."""
        known = error.report if isinstance(error.report, Report) else None
        trace = (known.trace if known is not None else None) or Trace()
        is_unverified = isinstance(error, UnverifiedError)
        return cls(
            job_id=known.job_id if known is not None else "",
            name=name,
            state=UNVERIFIED if is_unverified else "failed",
            owner=HERE,
            trace=trace,
            report=known if is_unverified else None,
            workers=workers_in(trace),
            options=options or {},
            error=error_record(error),
            seconds=known.seconds if known is not None else 0.0,
            bytes_in=known.bytes_in if known is not None else 0,
        )

    @classmethod
    def of_handle(cls, handle: JobHandle) -> Self:
        """Of a job on a node, as it stands now.

        Raises:
            UnknownJobError: the node has no such job.
            UnavailableError: the node can't be reached, or its answer makes no sense.
        """
        return cls.of_job(handle.client, handle.job_id)

    @classmethod
    def of_job(cls, client: NodeLink, job_id: str) -> Self:
        """Likewise, by its id."""
        name = JobId(job_id)
        tree = client.run(client.remote.call(lambda node: node.tree(name)))
        is_over = JobStatus.from_json(tree.get("status") or {}).state.is_final
        return cls.of_records(tree, client.run(client.remote.outcome(name, None)) if is_over else None)

    @classmethod
    def of_records(cls, tree: Mapping[str, Any], outcome: JobOutcome | None) -> Self:
        """Of what a node says: `JobHandle.tree`, and how the job ended, if it has.

        Raises:
            UnavailableError: it makes no sense.
        """
        status = JobStatus.from_json(tree.get("status") or {})
        trace, checks = tree.get("trace") or None, tree.get("checks") or {}
        if not isinstance(checks, dict):
            raise unreadable("the account of checks is no object")
        report = Report.from_json(outcome.report) if outcome is not None and outcome.report is not None else None
        known = Trace.from_json(trace) if trace is not None else Trace()
        lasted = status.ended_at - status.accepted_at if status.ended_at else known.seconds
        return cls(
            job_id=status.job_id,
            name=status.name,
            state=str(status.state),
            owner=_text(tree.get("owner")),
            trace=known,
            report=report,
            workers=tuple(_worker(row) for row in _rows(tree.get("workers"))),
            below=tuple(_place(row) for row in _rows(tree.get("below"))),
            checks=checks,
            options=tree["options"] if isinstance(tree.get("options"), dict) else {},
            error=status.error,
            seconds=report.seconds if report is not None else max(0.0, lasted),
            bytes_in=status.bytes_in,
        )

    def with_report(self, report: Report, options: Mapping[str, Any]) -> Self:
        """The same, with what whoever ran the job knows better: its report, and options of the job's own."""
        return replace(self, report=report, options={**options, **self.options})

    def with_findings(self, findings: Sequence[str]) -> Self:
        """The same, with what else was found out about the result."""
        return replace(self, findings=(*self.findings, *findings))

    def with_error(self, error: PangeaError) -> Self:
        """The same, with what went wrong after the job had ended, or as its client heard of it."""
        state = UNVERIFIED if isinstance(error, UnverifiedError) else self.state
        return replace(self, state=state, error=error_record(error))


def workers_in(trace: Trace) -> tuple[Worker, ...]:
    """The worker processes of this machine, from what they did."""
    rows: dict[str, dict[str, Any]] = {}
    for span in trace.spans:
        row = rows.setdefault(span.worker, {"tasks": 0, "chunks": 0, "fuel": 0, "seconds": 0.0})
        row["tasks"] += span.tasks
        row["chunks"] += span.count if span.function == "execute" else 0
        row["fuel"] += span.fuel
        row["seconds"] += span.seconds
    return tuple(Worker(name=name, **row) for name, row in sorted(rows.items(), key=lambda row: (len(row[0]), row[0])))


def _rows(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > _ROWS_MAX:
        raise unreadable("who did what is no list")
    return value


def _worker(row: object) -> Worker:
    if not isinstance(row, dict):
        raise unreadable("a worker's row is no object")
    figures = [row.get(name) for name in ("tasks", "chunks", "fuel", "seconds")]
    if not all(isinstance(each, int | float) and each >= 0 for each in figures):
        raise unreadable("a worker's figures are no numbers")
    return Worker(
        name=_text(row.get("peer")),
        branch=_text(row.get("branch")),
        tasks=int(row["tasks"]),
        chunks=int(row["chunks"]),
        fuel=int(row["fuel"]),
        seconds=float(row["seconds"]),
        checked=_text(row.get("checked", "")),
        is_banned=bool(row.get("is_banned", False)),
    )


def _place(row: object) -> tuple[str, str, str]:
    if not isinstance(row, list) or len(row) != 3:
        raise unreadable("a place in the tree isn't three names")
    return _text(row[0]), _text(row[1]), _text(row[2])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise unreadable(f"{str(value)[:40]!r} is no text")
    return value
