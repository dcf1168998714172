"""What pages are made from: the port to a node (`node_source`), or to the runs of a process (`run_source`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Protocol, TypeVar

from pangea.compute.client.results.result import Result
from pangea.compute.model.errors import PangeaError
from pangea.compute.model.status import TASKS_TOLD_MAX, JobPage, JobStatus, NodeInfo
from pangea.compute.pictures.runs.facts import RunFacts

#: An answer serves all who ask within so many seconds: five viewers cost what one does.
KEPT_SECONDS = 0.9

T = TypeVar("T")


class Source(Protocol):
    """A node, as pages ask it. Every method raises `PangeaError` if it has no answer."""

    async def info(self) -> NodeInfo:
        """How the node is."""

    async def jobs(self, *, state: str = "", offset: int = 0, limit: int = 100) -> JobPage:
        """Some of the user's jobs, latest first."""

    async def status(self, job_id: str) -> JobStatus:
        """How a job stands."""

    async def facts(self, job_id: str) -> RunFacts:
        """All that is known of a job."""

    async def explain(self, job_id: str, *, offset: int = 0, limit: int = TASKS_TOLD_MAX, task: str = "") -> dict[str, Any]:
        """Why unfinished tasks are where they are, or one that is named."""

    async def peers(self) -> dict[str, Any]:
        """Neighbours, what is thought of workers, and bans."""

    async def prints(self, job_id: str) -> str:
        """What a job's functions have printed so far, the first 64 KiB."""

    async def result(self, job_id: str) -> Result:
        """What a complete job gave."""


class Shared:
    """Answers that are given to all who ask for the same within a while, those included that ask while it is on its way."""

    def __init__(self, seconds: float) -> None:
        """Keep each for so many seconds from when it was asked for."""
        self._seconds = seconds
        self._answers: dict[Hashable, tuple[float, asyncio.Task[Any]]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer of that name, or `ask` for it."""
        now = asyncio.get_running_loop().time()
        for name in [name for name, (until, answer) in self._answers.items() if until <= now and answer.done()]:
            del self._answers[name]
        if key not in self._answers:
            self._answers[key] = (now + self._seconds, asyncio.create_task(_awaited(ask)))
        answer: tuple[T | None, PangeaError | None] = await asyncio.shield(self._answers[key][1])
        value, error = answer
        if error is not None:
            raise error.with_traceback(None)
        return value  # type: ignore[return-value]


async def _awaited(ask: Callable[[], Awaitable[T]]) -> tuple[T | None, PangeaError | None]:
    try:
        return await ask(), None
    except PangeaError as error:
        return None, error
