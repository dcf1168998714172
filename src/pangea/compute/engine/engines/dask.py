"""A Dask cluster that somebody has already, as an engine: its scheduler, its workers, its dashboard, and our sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from distributed import Client, get_worker

from pangea.compute.engine.engines import hosted
from pangea.compute.engine.engines.remote import PATIENCE_SECONDS, Call, RemoteEngine
from pangea.compute.model.errors import UnavailableError
from pangea.compute.model.units import MIB

_CONNECT_SECONDS = 10.0
_ASK_SECONDS = 10.0
#: Larger inputs go to a worker's memory rather than through the scheduler's graph, which warns of 10 MB.
_INLINE_BYTES_MAX = MIB


class DaskEngine(RemoteEngine):
    """Runs tasks on the workers of a Dask cluster: as many at once as it has threads.

    Each of its worker processes starts a jailed process per thread at its first task. On its dashboard tasks are called
    `pangea-split`, `pangea-execute` and `pangea-merge`. Dask itself starts a task anew whose worker dies, up to its
    `allowed-failures`; beyond, it is a failure of the machine.
    """

    kind = "Dask"

    def __init__(self, client: Any, *, patience: float = PATIENCE_SECONDS, **options: Any) -> None:
        """Use the cluster of `client`, which stays open, or of a scheduler's address.

        Args:
            client: a blocking `distributed.Client`, or an address (`tcp://host:8786`).
            patience: seconds that tasks wait while the cluster has no worker at all.
            **options: of `Client.submit` for each task: `resources`, `workers`, `allow_other_workers`, `priority`.

        Raises:
            UnavailableError: there is no scheduler at that address, or the client is closed.
        """
        self._owned: Any = _connect(client) if isinstance(client, str) else None
        self._client: Any = client if self._owned is None else self._owned
        self._options = options
        try:
            super().__init__(patience=patience)
        except BaseException:
            self._leave()
            raise

    @property
    def place(self) -> str:
        return f"the Dask cluster at {self._address}"

    @property
    def _address(self) -> str:
        return str(self._client.scheduler.address) if self._client.scheduler else "a closed client"

    def _size(self) -> int:
        if self._client.status == "running":
            try:
                found = self._client.sync(self._identity, callback_timeout=_ASK_SECONDS)
                return int(found["total_threads"])
            except (OSError, TimeoutError, ValueError, RuntimeError) as error:
                reason = str(error)
        else:
            reason = f"the client is {self._client.status}"
        raise UnavailableError(
            f"{self.place} is gone: {reason}", hint="start the scheduler and its workers, or leave out engine= to run here"
        )

    async def _identity(self) -> Any:
        return await self._client.scheduler.identity(n_workers=0)

    def _keep(self, content: bytes) -> Any:
        return self._client.scatter(content, hash=False, broadcast=True)

    def _start(self, key: str, request: str, content: Any, frame: bytes) -> Call:
        given: Any = frame
        if len(frame) > _INLINE_BYTES_MAX and self._count:
            given = self._client.scatter(frame, hash=False)
        future = self._client.submit(_serve, request, content, given, key=key, pure=False, **self._options)
        answer: Future[dict[str, Any]] = Future()
        self._client.loop.add_callback(_gather, future, answer)
        return Call(answer, future, kept=given)

    def _give_up(self, calls: Sequence[Call], attempts: Sequence[str]) -> None:
        self._client.loop.add_callback(self._kill, [call.handle for call in calls], list(attempts))

    async def _kill(self, futures: list[Any], attempts: list[str]) -> None:
        with suppress(OSError, RuntimeError, asyncio.CancelledError):  # the cluster is gone, and with it what ran there
            await self._client.cancel(futures)
            await self._client.run(hosted.cancel, attempts, on_error="ignore")

    def _leave(self) -> None:
        if self._owned is not None:
            self._owned.close()


def _connect(address: str) -> Any:
    open_client: Any = Client
    try:
        return open_client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError, ImportError) as error:
        raise UnavailableError(
            f"there is no Dask scheduler at {address}: {error}", hint="start one with `dask scheduler`"
        ) from error


async def _gather(future: Any, answer: Future[dict[str, Any]]) -> None:
    try:
        answer.set_result(await future)
    except BaseException as error:
        answer.set_exception(error)


def _serve(request: str, content: bytes, frame: bytes) -> dict[str, Any]:
    """Called in a thread of a Dask worker."""
    return hosted.serve(request, content, frame, workers=get_worker().state.nthreads)
