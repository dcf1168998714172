"""Lists of jobs, and one job: how it stands, why it failed, how it was checked, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobStatus
from pangea.compute.pictures.runs import words
from pangea.compute.pictures.runs.facts import RunFacts, Worker
from pangea.compute.pictures.runs.scales import amount, seconds

#: Letters of a name, and of a failure's cause, in a table.
_NAME_MAX, _CAUSE_MAX = 80, 200
#: Letters of prints and tracebacks.
TEXT_MAX = 32_768
_GOING_ON = (JobState.PENDING, JobState.RUNNING, JobState.MERGING)
#: Workers in a job's table; the page of peers has all.
_WORKERS_MAX = 100


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job in a list.

    Attributes:
        percent: of the input that is in finished tasks, 0 to 100.
        cause: why it failed; "" if it didn't.
        taken: how long it has taken so far, in words.
    """

    job_id: str
    name: str
    state: str
    percent: int
    chunks: str
    cause: str
    accepted: str
    taken: str
    fuel: str


@dataclass(frozen=True, slots=True)
class Failing:
    """Why a job failed: `where` is the function and the chunk, "" if it was neither's."""

    message: str
    code: str
    where: str
    hint: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Ban:
    """A worker that is shut out: why, and where its proof is kept."""

    peer: str
    verdict: str
    cause: str
    proof: str
    until: str


@dataclass(frozen=True, slots=True)
class JobView:
    """All about one job but its tasks.

    Attributes:
        row: as lists show it.
        is_over: whether it has ended, and
        is_here: whether it ran without a node.
        figures: name and value of how it stands and what it cost.
        failing: why it failed.
        tasks: (state, how many).
        verification: how it was checked, a sentence each.
        bans: workers that were caught in it.
        workers: who did what, most first, and
        workers_total: how many those are.
        prints: what its functions printed.
    """

    row: JobRow
    is_over: bool
    is_here: bool
    figures: tuple[tuple[str, str], ...]
    failing: Failing | None
    tasks: tuple[tuple[str, int], ...]
    verification: tuple[str, ...]
    bans: tuple[Ban, ...]
    workers: tuple[Worker, ...]
    workers_total: int
    prints: str


def job_row(status: JobStatus, now: float) -> JobRow:
    """A job in a list. `now` is in seconds since 1970."""
    end = status.ended_at or now
    return JobRow(
        job_id=status.job_id,
        name=cut(status.name or "job", _NAME_MAX),
        state=status.state.value,
        percent=100 if status.state is JobState.COMPLETE else min(99, int(100 * status.progress)),
        chunks=_chunks(status),
        cause=cut(str((status.error or {}).get("message", "")), _CAUSE_MAX),
        accepted=moment(status.accepted_at),
        taken=seconds(max(0.0, end - status.accepted_at)),
        fuel=amount(status.fuel),
    )


def job_view(
    facts: RunFacts,
    status: JobStatus,
    counts: Mapping[str, int],
    banned: Iterable[Mapping[str, Any]],
    now: float,
    *,
    prints: str = "",
) -> JobView:
    """One job.

    Args:
        facts: what its node knows of it.
        status: how it stands.
        counts: its tasks by state; empty once it has ended.
        banned: whom the node shuts out, as `Client.peers` tells.
        now: in seconds since 1970.
        prints: what its functions have printed so far, where there is no report that has it.
    """
    tasks = tuple(sorted(counts.items())) if counts else (("complete", facts.trace.tasks),)
    return JobView(
        row=job_row(status, now),
        is_over=status.state.is_final and facts.state not in _GOING_ON,  # both are from a moment ago, and not from the same one
        is_here=facts.is_here,
        figures=_figures(facts, status),
        failing=failing(status.error),
        tasks=tuple((state, number) for state, number in tasks if number),
        verification=tuple(words.verification(facts)),
        bans=_bans_of(facts, banned),
        workers=facts.workers[:_WORKERS_MAX],
        workers_total=len(facts.workers),
        prints=cut(facts.report.prints if facts.report is not None else prints, TEXT_MAX),
    )


def _chunks(status: JobStatus) -> str:
    if not status.total_chunks:
        return "0"
    return f"{status.completed_chunks:,} of {status.total_chunks:,}{'' if status.is_total_known else ' or more'}"


def failing(error: Mapping[str, Any] | None) -> Failing | None:
    """A failure as its job's status has it."""
    if not error:
        return None
    function, chunk = error.get("function"), error.get("chunk_index")
    where = f"in {function}" if function else ""
    if isinstance(chunk, int):
        where += f" of chunk {chunk:,}" if where else f"chunk {chunk:,}"
    return Failing(
        message=cut(str(error.get("message", "")), TEXT_MAX),
        code=str(error.get("code", "")),
        where=where,
        hint=str(error.get("hint") or ""),
        traceback=cut(str(error.get("traceback") or ""), TEXT_MAX),
    )


def bans(banned: Iterable[Mapping[str, Any]]) -> tuple[Ban, ...]:
    """Who is shut out, as `Client.peers` tells it."""
    return tuple(
        Ban(
            peer=str(each.get("peer", "")),
            verdict=str(each.get("verdict", "")),
            cause=cut(str(each.get("cause", "")), 4 * _CAUSE_MAX),
            proof=str(each.get("proof", "")),
            until=_until(each.get("until")),
        )
        for each in banned
    )


def _bans_of(facts: RunFacts, banned: Iterable[Mapping[str, Any]]) -> tuple[Ban, ...]:
    """Workers that were caught in this job, and those that worked on it and are shut out by now."""
    caught = facts.checks.get("bans")
    named = [str(peer) for peer in caught] if isinstance(caught, list | tuple) else []
    names = {*named, *(worker.name for worker in facts.workers)}
    known = {ban.peer: ban for ban in bans(banned) if ban.peer in names}
    lifted = (Ban(peer, "no longer banned", "caught in this job", "", "") for peer in named if peer not in known)
    return (*known.values(), *lifted)


def _figures(facts: RunFacts, status: JobStatus) -> tuple[tuple[str, str], ...]:
    report, checks = facts.report, facts.checks
    executions = checks.get("executions_per_task")
    confidence = checks.get("confidence")
    rows = [
        ("accepted", moment(status.accepted_at)),
        ("ended", moment(status.ended_at)),
        ("took", seconds(facts.seconds) if facts.seconds else ""),
        ("left", "" if status.seconds_left is None or status.state.is_final else f"about {seconds(status.seconds_left)}"),
        ("input", amount(status.bytes_in, "B")),
        ("result", amount(status.bytes_out, "B") if status.bytes_out else ""),
        ("fuel", f"{status.fuel:,}"),
        ("executions per task", f"{executions:.2f}" if isinstance(executions, int | float) else ""),
        ("confidence", f"{confidence:.6g} at least" if isinstance(confidence, float) else ""),
        ("time in sandboxes", _parts(report.split_seconds, report.execute_seconds, report.merge_seconds) if report else ""),
        ("tasks", f"{report.tasks:,}, {report.retries:,} tried again" if report else ""),
        ("restarts of the node", f"{status.restarts:,}" if status.restarts else ""),
        ("options", ", ".join(f"{name} {_option(value)}" for name, value in sorted(facts.options.items()))),
        ("warnings", "; ".join(report.warnings) if report else ""),
    ]
    return tuple((name, value) for name, value in rows if value)


def _option(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parts(split: float, execute: float, merge: float) -> str:
    return f"split {seconds(split)}, execute {seconds(execute)}, merge {seconds(merge)}"


def cut(text: str, most: int) -> str:
    """Text with no more letters than so many; what is cut is said."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def moment(at: float) -> str:
    """A time of the clock, in UTC; "" if there is none."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at > 0 else ""
    except (OverflowError, ValueError, OSError):  # no time that a calendar has
        return ""


def _until(value: object) -> str:
    if not isinstance(value, int | float):
        return ""
    return moment(float(value)) or "for good"
