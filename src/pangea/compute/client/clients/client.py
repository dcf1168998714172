"""`Client`: a node's services, for programs that block."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack, cast

from pangea.compute.client.calls.batches import spread, zipped
from pangea.compute.client.calls.call_handle import CallHandle
from pangea.compute.client.calls.remote_calls import begin_call
from pangea.compute.client.calls.streams import stream
from pangea.compute.client.definition.any_job import AnyJob
from pangea.compute.client.submission.handle import JobHandle
from pangea.compute.client.submission.node_client import NodeClient
from pangea.compute.model.ids import PeerId
from pangea.compute.model.keywords import JobKeywords
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.status import Capacity, JobStatus, NodeInfo

F = TypeVar("F", bound=Future[Any])
R = TypeVar("R")


class Client(NodeClient):
    """A node, for programs that block. A context manager.

    with Client("unix:/run/pangea/rpc.sock") as client:
        handle = client.submit_job(word_count, "big.txt", split_strategy="row_based")
        print(handle.result())
        print(client.submit(sum, client.submit(sorted, [3, 1, 2])).result())
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; jobs go on."""
        self._close_page()
        self.run(self.remote.close())

    def submit_job(self, job: AnyJob, input_data: Any = None, **options: Unpack[JobKeywords]) -> JobHandle:
        """Submit a job; it is on the node's disk when this returns. Arguments are those of `pangea.compute.submit_job`.

        The input may be a handle: the result of that job, which stays on the node; the job is submitted once that is there.
        """
        if isinstance(input_data, JobHandle):
            return self.run(self.send_job_after(input_data, job, dict(options)))
        return self.run(self.send_job(job, input_data, dict(options)))

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> CallHandle[R]:
        """Call `fn(*args, **kwargs)` on the node, as a job of its own, and return at once.

        An argument may be a handle of this client's, or any other future: the call begins when that has ended. What a job of
        this node has for a result stays there: `client.submit(g, client.submit(f, x))` brings nothing home in between.

        Raises:
            InputError: an argument can't travel as a value.
            JobDefinitionError: the function can't travel; says why.
        """
        return begin_call(self, fn, args, kwargs)

    def map(
        self,
        fn: Callable[..., R],
        /,
        *iterables: Iterable[Any],
        seed: int = 0,
        chunksize: int | None = None,
        **options: Unpack[JobKeywords],
    ) -> Iterator[R]:
        """Yield `fn(*items)` for the items of the iterables, in order; as `pangea.compute.map`, on this node."""
        return stream(fn, zipped(iterables), seed, chunksize, {**options, "node": self})

    def starmap(
        self,
        fn: Callable[..., R],
        /,
        iterable: Iterable[Iterable[Any]],
        *,
        seed: int = 0,
        chunksize: int | None = None,
        **options: Unpack[JobKeywords],
    ) -> Iterator[R]:
        """Yield `fn(*items)` for an iterable of arguments; else as `map`."""
        return stream(fn, spread(iterable), seed, chunksize, {**options, "node": self})

    def map_unordered(
        self,
        fn: Callable[..., R],
        /,
        *iterables: Iterable[Any],
        seed: int = 0,
        chunksize: int | None = None,
        **options: Unpack[JobKeywords],
    ) -> Iterator[R]:
        """As `map`, with each batch's results as soon as they are there."""
        return stream(fn, zipped(iterables), seed, chunksize, {**options, "node": self}, is_ordered=False)

    @staticmethod
    def as_completed(handles: Iterable[F], timeout: float | None = None) -> Iterator[F]:
        """Yield handles, of calls and of jobs, as they end.

        Raises:
            TimeoutError: some go on after `timeout` seconds.
        """
        return cast(Iterator[F], concurrent.futures.as_completed(handles, timeout))

    def submit_manifest(self, manifest: JobManifest, *, folder: Path | None = None) -> JobHandle:
        """Submit a manifest; paths in it are relative to `folder` (by default the working directory)."""
        return self.run(self.read_and_send(manifest, folder or Path()))

    def job(self, job_id: str) -> JobHandle:
        """A job that was submitted earlier, by this process or another."""
        return self.attach(job_id)

    def list_jobs(self, prefix: str = "", limit: int = 100) -> list[JobStatus]:
        """Your jobs whose id begins with `prefix`, latest first."""
        return self.run(self.remote.call(lambda node: node.list_jobs(prefix, limit)))

    def capacity(self) -> Capacity:
        """What the node can do."""
        return self.run(self.remote.call(lambda node: node.capacity()))

    def info(self) -> NodeInfo:
        """The node at this moment."""
        return self.run(self.remote.call(lambda node: node.info()))

    def peers(self) -> dict[str, Any]:
        """Neighbours of a node on this machine, what stands behind them, what is thought of workers, who is banned."""
        return self.run(self.remote.call(lambda node: node.peers()))

    def ban(self, peer: str, reason: str = "") -> None:
        """Have a node on this machine shut a peer out."""
        self.run(self.remote.call(lambda node: node.ban(PeerId(peer), reason)))

    def unban(self, peer: str) -> bool:
        """Have a node on this machine lift a ban; False if there is none."""
        return self.run(self.remote.call(lambda node: node.unban(PeerId(peer))))

    def pause(self, seconds: float = 0.0) -> None:
        """Have a node on this machine do nothing more for its parents, for so many seconds; 0: until `resume`."""
        self.run(self.remote.call(lambda node: node.pause(seconds)))

    def resume(self) -> bool:
        """Have it work for them again; False if that wasn't paused."""
        return self.run(self.remote.call(lambda node: node.resume()))
