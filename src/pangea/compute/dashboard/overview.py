"""The first page: jobs by state, failures with their cause, what runs, how the node is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pangea.compute.dashboard.jobs import JobRow, job_row
from pangea.compute.dashboard.paging import Page
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import Capacity, JobPage, NodeInfo
from pangea.compute.pictures.runs.facts import HERE
from pangea.compute.pictures.runs.scales import amount, seconds

#: Failures and jobs under way on the first page; the rest is one link away.
FEW = 10
_LIVE = (JobState.RUNNING, JobState.MERGING, JobState.PENDING)


@dataclass(frozen=True, slots=True)
class Count:
    """How many jobs, or tasks, are in a state."""

    state: str
    number: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What the first page shows.

    Attributes:
        counts: jobs by state, failures first of those that have ended.
        failed, running: the latest of both, and how many those are of.
        where: "The node", or what stands for one, and
        figures: name and value of what is to know of it.
    """

    counts: tuple[Count, ...]
    failed: tuple[JobRow, ...]
    failed_page: Page
    running: tuple[JobRow, ...]
    running_page: Page
    where: str
    figures: tuple[tuple[str, str], ...]


def overview(info: NodeInfo, failed: JobPage, running: JobPage, now: float) -> Overview:
    """The first page of a node. `now` is in seconds since 1970."""
    return Overview(
        counts=job_counts(info.jobs),
        failed=tuple(job_row(status, now) for status in failed.jobs),
        failed_page=Page(0, len(failed.jobs), failed.total, "failed jobs"),
        running=tuple(job_row(status, now) for status in running.jobs),
        running_page=Page(0, len(running.jobs), running.total, "running jobs"),
        where="This process" if info.peer_id == HERE else "The node",
        figures=_figures_here(info) if info.peer_id == HERE else _figures(info),
    )


def job_counts(jobs: Mapping[str, int]) -> tuple[Count, ...]:
    """Jobs by state, in the order that people need them; states without jobs too."""
    order = (JobState.FAILED, *_LIVE, JobState.COMPLETE, JobState.CANCELLED)
    return tuple(Count(state.value, jobs.get(state.value, 0)) for state in order)


def counters(info: NodeInfo) -> dict[str, Any]:
    """What the stream tells: figures by the name that pages know them by. Equal figures are equal records."""
    return {
        **{f"jobs.{count.state}": count.number for count in job_counts(info.jobs)},
        **{f"tasks.{name}": number for name, number in sorted(info.tasks.items())},
        **{f"rates.{name}": round(rate, 3) for name, rate in sorted(info.rates.items())},
        "load": round(info.capacity.current_load, 3),
        "fuel": info.owner_fuel,
    }


def _figures(info: NodeInfo) -> tuple[tuple[str, str], ...]:
    capacity = info.capacity
    return (
        ("node", info.peer_id),
        ("works for others", info.lends),
        ("version", info.version),
        ("up for", seconds(info.uptime)),
        ("workers", f"{capacity.cpu_cores:,}, {capacity.current_load:.0%} busy"),
        ("memory", amount(capacity.ram_mb * 2**20, "B")),
        *_adapter(capacity),
        ("content on disk", amount(info.stored_bytes, "B")),
        ("fuel of yours, ever", f"{info.owner_fuel:,}"),
        ("event loop", f"at most {info.loop_stall_ms:.0f} ms late in the last minute"),
    )


def _adapter(capacity: Capacity) -> tuple[tuple[str, str], ...]:
    """What runs shaders, where anything does."""
    memory = f", {amount(capacity.adapter_bytes, 'B')}" if capacity.adapter_bytes else ""
    return (("adapter for shaders", f"{capacity.adapter}{memory}"),) if capacity.adapter else ()


def _figures_here(info: NodeInfo) -> tuple[tuple[str, str], ...]:
    """Of runs without a node."""
    capacity = info.capacity
    return (
        ("jobs run", "in this process, without a node"),
        ("version", info.version),
        ("looked at for", seconds(info.uptime)),
        ("workers", f"{capacity.cpu_cores:,}, {capacity.current_load:.0%} busy" if capacity.cpu_cores else "none yet"),
        ("fuel", f"{info.owner_fuel:,}"),
    )
