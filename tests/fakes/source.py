"""A node as pages ask it: what it says is made up, and may be anybody's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pangea.compute.client.results.result import Result
from pangea.compute.model.errors import PangeaError, UnknownJobError
from pangea.compute.model.ids import JobId
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import TASKS_TOLD_MAX, Capacity, JobPage, JobStatus, NodeInfo
from pangea.compute.model.trace import Check, Span, Trace
from pangea.compute.pictures.runs.facts import RunFacts, Worker

JOB = "0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11"
ME = "12D3KooWOwnerOwnerOwner"
LIAR = "12D3KooWLiarLiarLiarLia"
ERROR: dict[str, Any] = {
    "code": "JOB_FAILED",
    "message": "execute failed: ZeroDivisionError: division by zero",
    "hint": "run it natively",
    "function": "execute",
    "chunk_index": 7,
    "traceback": 'File "sums.py", line 10, in execute\nZeroDivisionError: division by zero',
}
INFO = NodeInfo(
    peer_id=ME,
    version="1.2",
    capacity=Capacity(cpu_cores=2, ram_mb=4096, current_load=0.5, adapter="llvmpipe, Mesa", adapter_bytes=3 << 30),
    uptime=90.0,
    jobs={"failed": 3, "complete": 1_000_000},
    tasks={"running": 2, "waiting": 1},
    rates={"chunks": 12.5, "tasks": 2.0},
    loop_stall_ms=1.0,
    stored_bytes=1_000,
    owner_fuel=77,
)
_WORK = {"tasks": 7, "failed": 1, "fuel": 5_000, "seconds": 12.5, "bytes_in": 2_048, "bytes_out": 64}
CENSUS: dict[str, Any] = {
    "peer_id": ME,
    "site": "lab",
    "path": ["12D3KooWAbove", ME],
    "peers": [{"peer": LIAR, "relation": "child", "site": "home", "cores": 4, "tasks": 1, "round_trip_ms": 2.5}],
    "below": [{"peer": LIAR, "parent": ME, "site": "home"}, {"peer": "12D3KooWLeaf", "parent": LIAR, "site": ""}],
    "workers": [{"worker": LIAR, "function": "execute", "passes": 5, "credibility": 0.5, "reliability": 1.0, "bans": 1}],
    "banned": [{"peer": LIAR, "verdict": "lied", "cause": "two answers for one input", "proof": "/data/bans/x", "until": 2e9}],
    "contributions": {
        "worked_for": [{"owner": ME, "through": LIAR, "job": "primes", "since": 1e9, "last": 1.5e9, **_WORK}],
        "rest": _WORK,
        "others": 3,
        "total": _WORK,
    },
}


def status(number: int = 0, state: JobState = JobState.RUNNING, **changes: Any) -> JobStatus:
    """One of many jobs."""
    job_id = JobId(f"{JOB[:-6]}{number:06x}") if number else JobId(JOB)
    made = JobStatus(
        job_id=job_id, name=f"job {number}", state=state, progress=0.5, completed_chunks=5, total_chunks=10, accepted_at=1e9
    )
    return replace(made, **changes)


def trace(tasks: int = 3, worker: str = ME) -> Trace:
    """So many tasks of ten chunks."""
    return Trace.of(
        Span(
            function="execute",
            worker=worker,
            start=10 * place,
            count=10,
            size_bytes=100,
            began=float(place),
            ended=place + 1.0,
            seconds=1.0,
            fuel=1_000,
            check=Check.VOTES,
            votes=3,
        )
        for place in range(tasks)
    )


class FakeSource:
    """A node with one job in `standing`, and `total` jobs in its list."""

    def __init__(self, standing: JobStatus | None = None, *, total: int = 1, error: PangeaError | None = None) -> None:
        self.standing = standing or status()
        self.total = total
        self.error = error
        self.info_answer = INFO
        self.census = CENSUS
        self.trace = trace()
        self.tasks = [f"{JOB}:{place}" for place in range(3)]
        self.lines = ["waits for a peer with room", "candidate: none"]
        self.result_answer: Result | None = None
        self.printed = ""
        self.asked = 0

    def _ask(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error

    async def info(self) -> NodeInfo:
        self._ask()
        return self.info_answer

    async def jobs(self, *, state: str = "", offset: int = 0, limit: int = 100) -> JobPage:
        self._ask()
        shown = [
            replace(self.standing, job_id=status(place + 1).job_id) for place in range(offset, min(offset + limit, self.total))
        ]
        return JobPage(jobs=tuple(shown), total=self.total)

    async def status(self, job_id: str) -> JobStatus:
        self._ask()
        if job_id != self.standing.job_id:
            raise UnknownJobError(f"no job {job_id[:64]!r} of yours on this node", hint="pangea job list shows them")
        return self.standing

    async def facts(self, job_id: str) -> RunFacts:
        standing = await self.status(job_id)
        return RunFacts(
            job_id=standing.job_id,
            name=standing.name,
            state=standing.state.value,
            owner=ME,
            trace=self.trace,
            workers=(Worker(name=LIAR, branch=LIAR, tasks=1, chunks=10, fuel=9, seconds=1.0, checked="5 checks passed"),),
            checks={"executions_per_task": 1.5, "audits": 2, "bans": [LIAR]},
            error=standing.error,
        )

    async def explain(self, job_id: str, *, offset: int = 0, limit: int = TASKS_TOLD_MAX, task: str = "") -> dict[str, Any]:
        self._ask()
        named = [name for name in self.tasks if task in ("", name)]
        shown = [{"task_id": name, "state": "pending", "lines": self.lines} for name in named[offset : offset + limit]]
        return {"tasks": shown, "total": len(self.tasks), "counts": {"pending": len(self.tasks), "complete": 4}}

    async def peers(self) -> dict[str, Any]:
        self._ask()
        return self.census

    async def prints(self, job_id: str) -> str:
        await self.status(job_id)
        return self.printed

    async def result(self, job_id: str) -> Result:
        await self.status(job_id)
        assert self.result_answer is not None, "a test that asks for a result gives one"
        return self.result_answer
