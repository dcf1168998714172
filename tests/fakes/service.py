"""A node's services in memory: jobs end when told to, uploads are kept whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from pangea.compute.model.errors import InputError, JobFailedError, NotDoneError, PeerError, UnknownJobError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import TASKS_TOLD_MAX, Capacity, JobOutcome, JobPage, JobStatus, NodeInfo
from pangea.compute.model.units import GIB
from pangea.compute.network.peers.hello import Hello
from pangea.compute.network.peers.peering import PeerEnd, PeerLink
from pangea.compute.network.rpc.service import Caller, Upload


class FakeUpload:
    """Content on its way."""

    def __init__(self, service: FakeService, sha256: str) -> None:
        self._service = service
        self._sha256 = sha256
        self.blocks: list[bytes] = []
        self.is_aborted = False

    async def write(self, block: bytes) -> None:
        if block == b"refuse":
            raise InputError("this block is refused")
        self.blocks.append(block)

    async def finish(self) -> None:
        self._service.content[self._sha256] = b"".join(self.blocks)

    async def abort(self) -> None:
        self.is_aborted = True


class FakeService:
    """One node for all callers."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        self.manifests: dict[str, JobManifest] = {}
        self.results: dict[str, bytes] = {}
        self.content: dict[str, bytes] = {}
        self.uploads: list[FakeUpload] = []
        self.cancelled: list[str] = []
        self.banned: dict[str, str] = {}
        self.paused: float | None = None
        self.waiting = 0
        self.may = True
        self.change = asyncio.Event()

    def session(self, caller: Caller) -> FakeService:
        self.callers.append(caller)
        return self

    def end(self, job_id: str, result: bytes) -> None:
        self.results[job_id] = result
        self.change.set()

    def may_submit(self) -> None:
        if not self.may:
            raise PeerError("not here")

    async def submit(self, manifest: JobManifest) -> JobId:
        if manifest.name == "bug":
            raise ValueError("the secret is in /etc/secret")
        job_id = JobId(manifest.job_id or "made-up")
        self.manifests[job_id] = manifest
        return job_id

    async def status(self, job_id: JobId) -> JobStatus:
        if job_id not in self.manifests:
            raise UnknownJobError(f"no job {job_id}", hint="look again")
        if job_id in self.cancelled:
            return JobStatus(job_id=job_id, state=JobState.CANCELLED, error=JobFailedError("gone").to_json())
        is_done = job_id in self.results
        return JobStatus(
            job_id=job_id,
            state=JobState.COMPLETE if is_done else JobState.RUNNING,
            progress=1.0 if is_done else 0.25,
            completed_chunks=1,
            total_chunks=4,
            seconds_left=None if not is_done else 0.0,
        )

    async def outcome(self, job_id: JobId, timeout: float, *, is_named: bool = False) -> JobOutcome:
        status = await self.status(job_id)
        self.waiting += 1
        try:
            async with asyncio.timeout(timeout):
                while not status.state.is_final:
                    await self.change.wait()
                    self.change.clear()
                    status = await self.status(job_id)
        except TimeoutError:
            raise NotDoneError(f"job {job_id} goes on") from None
        finally:
            self.waiting -= 1
        data = self.results.get(job_id)
        return JobOutcome(status=status, size=len(data or b""), data=data if data and len(data) < 1000 else None, report={"a": 1})

    async def read_result(self, job_id: JobId, offset: int, count: int) -> bytes:
        return self.results[job_id][offset : offset + count]

    async def cancel(self, job_id: JobId) -> bool:
        self.cancelled.append(job_id)
        self.change.set()
        return job_id not in self.results

    async def upload(self, sha256: str, size: int) -> Upload | None:
        if sha256 in self.content:
            return None
        self.uploads.append(FakeUpload(self, sha256))
        return self.uploads[-1]

    async def prints(self, job_id: JobId, offset: int, wait: float) -> tuple[str, bool]:
        status = await self.status(job_id)
        return "printed"[offset:], status.state.is_final

    async def watch(self, job_id: JobId) -> AsyncIterator[JobStatus]:
        status = await self.status(job_id)
        while not status.state.is_final:
            yield status
            await self.change.wait()
            self.change.clear()
            status = await self.status(job_id)
        yield status

    async def job_page(self, prefix: str = "", *, limit: int = 100, offset: int = 0, state: str = "") -> JobPage:
        own = [await self.status(JobId(each)) for each in self.manifests if each.startswith(prefix)]
        own = [status for status in own if state in ("", status.state)]
        return JobPage(jobs=tuple(own[offset : offset + limit]), total=len(own))

    async def explain(self, job_id: JobId, *, offset: int = 0, limit: int = TASKS_TOLD_MAX, task: str = "") -> dict[str, Any]:
        return {"status": (await self.status(job_id)).to_json(), "tasks": []}

    async def rerun(self, job_id: JobId) -> JobId:
        return JobId(job_id + "-again")

    async def capacity(self) -> Capacity:
        return Capacity(cpu_cores=3, ram_mb=4096, current_load=0.5, adapter="llvmpipe, Mesa", adapter_bytes=3 * GIB)

    async def info(self) -> NodeInfo:
        return NodeInfo(
            peer_id="12D3",
            version="1",
            capacity=await self.capacity(),
            uptime=1.0,
            jobs={},
            tasks={},
            rates={},
            loop_stall_ms=0.0,
            stored_bytes=0,
            owner_fuel=0,
        )

    def attach(self, link: Callable[[PeerId, str], PeerLink], hello: Hello) -> tuple[PeerEnd, Hello]:
        raise PeerError("this service takes no children")

    async def peers(self) -> dict[str, Any]:
        return {"peers": [], "banned": []}

    async def ban(self, peer: PeerId, reason: str) -> None:
        self.banned[peer] = reason

    async def unban(self, peer: PeerId) -> bool:
        return self.banned.pop(peer, None) is not None

    async def pause(self, seconds: float) -> None:
        self.paused = seconds

    async def resume(self) -> bool:
        was_paused, self.paused = self.paused is not None, None
        return was_paused

    async def read_receipt(self, job_id: JobId, offset: int, count: int) -> tuple[bytes, int]:
        raise NotDoneError(f"job {job_id} keeps no receipt")

    async def tree(self, job_id: JobId) -> dict[str, Any]:
        return {"job_id": job_id, "workers": []}
