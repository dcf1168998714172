"""What a node counts, for Prometheus and for `pangea top`."""

from __future__ import annotations

from collections import Counter as Tally
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

#: What the exposition is called; others than ASCII in label values are UTF-8.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class Metrics:
    """One node's figures, in a registry of their own."""

    def __init__(self) -> None:
        """All zero."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody asks for
        self._registry = registry = CollectorRegistry()
        self._accepted = Counter("pangea_jobs_accepted", "Jobs accepted", registry=registry)
        self._ended = Counter("pangea_jobs_ended", "Jobs ended, by state", ["state"], registry=registry)
        self._tasks = Counter("pangea_tasks", "Tasks ended, by result", ["result"], registry=registry)
        self._seconds = Histogram(
            "pangea_task_duration_seconds", "Time of tasks in the sandbox", buckets=_SECONDS, registry=registry
        )
        self._chunks = Counter("pangea_chunks", "Chunks in accepted tasks", registry=registry)
        self._bytes = Counter("pangea_chunk_bytes", "Bytes of chunks in accepted tasks", registry=registry)
        self._fuel = Counter("pangea_fuel", "Fuel units of accepted tasks", registry=registry)
        self._stall = Gauge(
            "pangea_loop_stall_seconds", "Longest lateness of the event loop in the last minute", registry=registry
        )
        self._blobs = Gauge("pangea_blob_bytes", "Bytes of blobs on disk", registry=registry)
        self._unfinished = Gauge("pangea_jobs_unfinished", "Jobs accepted and not ended", registry=registry)
        self._under_way = Gauge("pangea_tasks_under_way", "Tasks, by where they are", ["place"], registry=registry)
        self._peers = Gauge("pangea_peers", "Neighbours, by what they are to this node", ["relation"], registry=registry)
        Info("pangea_build", "Version of the node", registry=registry).info({"version": version("pangea-compute")})
        ProcessCollector(registry=registry)
        self.standing(jobs=0, running=0, waiting=0, parents=0, children=0)
        #: The same sums, for rates.
        self.totals: Tally[str] = Tally(jobs=0, tasks=0, chunks=0, bytes=0, fuel=0)

    def job_accepted(self) -> None:
        """A job is on disk."""
        self._accepted.inc()

    def job_ended(self, state: str) -> None:
        """A job has ended so."""
        self._ended.labels(state).inc()
        self.totals["jobs"] += 1

    def task_ended(self, result: str, seconds: float) -> None:
        """A task has ended: "done", or what went wrong; after so many seconds in the sandbox."""
        self._tasks.labels(result).inc()
        self._seconds.observe(seconds)
        self.totals["tasks"] += 1

    def task_accepted(self, chunks: int, size_bytes: int, fuel: int) -> None:
        """A task's results count."""
        self._chunks.inc(chunks)
        self._bytes.inc(size_bytes)
        self._fuel.inc(fuel)
        self.totals.update(chunks=chunks, bytes=size_bytes, fuel=fuel)

    def loop_stall(self, seconds: float) -> None:
        """The longest that the event loop was late, lately."""
        self._stall.set(seconds)

    def blob_bytes(self, count: int) -> None:
        """Bytes of blobs."""
        self._blobs.set(count)

    def standing(self, *, jobs: int, running: int, waiting: int, parents: int, children: int) -> None:
        """How things stand: unfinished jobs; tasks at the engine, and what else jobs have under way; neighbours."""
        self._unfinished.set(jobs)
        self._under_way.labels("engine").set(running)
        self._under_way.labels("node").set(waiting)
        self._peers.labels("parent").set(parents)
        self._peers.labels("child").set(children)

    def exposition(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
