"""`pangea top`: a node, live."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pangea.compute.cli.node_options import NodeOptions
from pangea.compute.cli.records import AsJson, print_data, print_out, wants_json
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.plain_text import plain

if TYPE_CHECKING:
    from pangea.compute.client.clients.client import Client
    from pangea.compute.model.status import JobStatus, NodeInfo

_JOBS_MAX = 15
_BAR_CHARACTERS = 20


def top(
    *,
    interval: float = 1.0,
    once: Annotated[bool, Parameter(negative="")] = False,
    node: NodeOptions | None = None,
    as_json: AsJson = False,
) -> None:
    """Watch a node: your jobs, tasks by state, workers, rates. Ctrl-C ends it.

    Parameters
    ----------
    interval
        Seconds between looks.
    once
        One look, then the end; also when stdout is no terminal.
    """
    with (node or NodeOptions()).client() as client:
        if once or wants_json(as_json=as_json) or not sys.stdout.isatty():
            _print(client, as_json=as_json)
        else:
            _live(client, max(0.1, interval))


def _print(client: Client, *, as_json: bool) -> None:
    info, jobs = client.info(), client.list_jobs(limit=_JOBS_MAX)
    if wants_json(as_json=as_json):
        print_data({"node": info.to_json(), "jobs": [status.to_json() for status in jobs]})
        return
    for line in lines(info, jobs):
        print_out(line)


def _live(client: Client, interval: float) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(Text("…"), screen=True, auto_refresh=False) as live:
        while True:
            try:
                shown = "\n".join(map(plain, lines(client.info(), client.list_jobs(limit=_JOBS_MAX))))
            except UnavailableError as error:
                shown = f"node lost, trying again: {error.message}"
            live.update(Text(shown), refresh=True)
            time.sleep(interval)


def lines(info: NodeInfo, jobs: list[JobStatus]) -> list[str]:
    """One look at a node, for a terminal."""
    rates = info.rates
    cores = info.capacity.cpu_cores
    return [
        f"node {info.peer_id}, version {info.version}, up {_duration(info.uptime)}",
        f"workers {cores}, {info.capacity.current_load:.0%} busy; loop at most {info.loop_stall_ms:.0f} ms late;"
        f" {info.stored_bytes / 1e6:,.1f} MB stored",
        f"jobs:  {_counts(info.jobs)}",
        f"tasks: {_counts(info.tasks)}",
        f"rates: {rates.get('jobs', 0):,.1f} jobs/s, {rates.get('tasks', 0):,.1f} tasks/s,"
        f" {rates.get('chunks', 0):,.0f} chunks/s, {rates.get('bytes', 0) / 1e6:,.1f} MB/s, {rates.get('fuel', 0):,.3g} fuel/s",
        "",
        *map(job_line, jobs),
    ]


def job_line(status: JobStatus) -> str:
    """A job at one moment, in a line."""
    bar = "#" * round(status.progress * _BAR_CHARACTERS)
    left = "" if status.seconds_left is None or status.state.is_final else f", {_duration(status.seconds_left)} left"
    return (
        f"{status.job_id[:8]}  {status.name[:20]:<20}  {status.state!s:<9}  [{bar:<{_BAR_CHARACTERS}}] {status.progress:>4.0%}"
        f"  {status.completed_chunks:,} chunks, {status.fuel:,} fuel{left}"
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())) or "none"


def _duration(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}h {rest // 60:02}m {rest % 60:02}s" if hours else f"{rest // 60}m {rest % 60:02}s"
