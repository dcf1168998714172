"""A node as pages ask it: its answers, asked for once for everybody who looks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from pangea.compute.client.results.result import Result
from pangea.compute.client.submission.handle import result_of
from pangea.compute.client.submission.node_client import NodeClient
from pangea.compute.dashboard.source import KEPT_SECONDS, Shared
from pangea.compute.model.ids import JobId
from pangea.compute.model.kinds import ResultKind
from pangea.compute.model.status import TASKS_TOLD_MAX, JobPage, JobStatus, NodeInfo
from pangea.compute.network.peers.connection import Connection
from pangea.compute.pictures.runs.facts import RunFacts

#: A lost node isn't waited for: whoever looks is told that what is shown is old.
_CALL_SECONDS = 10.0

T = TypeVar("T")


class NodeSource:
    """A node by its address."""

    def __init__(self, node: str | None = None, *, identity: str | os.PathLike[str] | None = None) -> None:
        """It is connected to when it is first asked.

        Args:
            node: its address, as `Client` takes it.
            identity: file with the key that proves who asks, for nodes over TCP.

        Raises:
            ConfigError: there is no node to speak to, or the address is none.
        """
        self._client = NodeClient(node, identity=identity, timeout=_CALL_SECONDS, reconnect_timeout=0.0)
        self._answers = Shared(KEPT_SECONDS)

    @property
    def address(self) -> str:
        """Where the node is."""
        return str(self._client.address)

    def close(self) -> None:
        """Hang up."""
        self._client.run(self._client.remote.close())

    async def info(self) -> NodeInfo:
        """How the node is."""
        return await self._answers.get("info", lambda: self._call(lambda node: node.info()))

    async def jobs(self, *, state: str = "", offset: int = 0, limit: int = 100) -> JobPage:
        """Some of the user's jobs, latest first."""
        return await self._answers.get(
            ("jobs", state, offset, limit),
            lambda: self._call(lambda node: node.job_page(limit=limit, offset=offset, state=state)),
        )

    async def status(self, job_id: str) -> JobStatus:
        """How a job stands."""
        return await self._answers.get(("status", job_id), lambda: self._call(lambda node: node.status(JobId(job_id))))

    async def facts(self, job_id: str) -> RunFacts:
        """All that is known of a job."""
        return await self._answers.get(("facts", job_id), lambda: self._facts(JobId(job_id)))

    async def explain(self, job_id: str, *, offset: int = 0, limit: int = TASKS_TOLD_MAX, task: str = "") -> dict[str, Any]:
        """Why unfinished tasks are where they are, or one that is named."""
        return await self._answers.get(
            ("explain", job_id, offset, limit, task),
            lambda: self._call(lambda node: node.explain(JobId(job_id), offset=offset, limit=limit, task=task)),
        )

    async def peers(self) -> dict[str, Any]:
        """Neighbours, what is thought of workers, and bans."""
        return await self._answers.get("peers", lambda: self._call(lambda node: node.peers()))

    async def prints(self, job_id: str) -> str:
        """What a job's functions have printed so far, the first 64 KiB."""
        return await self._answers.get(("prints", job_id), lambda: self._on_link(self._prints(JobId(job_id))))

    async def result(self, job_id: str) -> Result:
        """What a complete job gave."""
        outcome = await self._on_link(self._client.remote.outcome(JobId(job_id), 0.0))
        return await self._on_link(result_of(outcome, self._client, ResultKind()))

    async def _facts(self, job_id: JobId) -> RunFacts:
        tree = await self._call(lambda node: node.tree(job_id))
        is_over = JobStatus.from_json(tree.get("status") or {}).state.is_final
        outcome = await self._on_link(self._client.remote.outcome(job_id, 0.0)) if is_over else None
        return await asyncio.to_thread(RunFacts.of_records, tree, outcome)

    async def _prints(self, job_id: JobId) -> str:
        return "".join([text async for text in self._client.remote.prints(job_id, follow=False)])

    async def _call(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        return await self._on_link(self._client.remote.call(ask))

    async def _on_link(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(self._client.start(work))
