"""What a node does for a client, as both ends of a link see it: the node implements it, the link's far end is one, too.

Errors are `PangeaError`s on both ends: they cross as codes and text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import JobManifest
from pangea.compute.model.status import TASKS_TOLD_MAX, Capacity, JobOutcome, JobPage, JobStatus, NodeInfo
from pangea.compute.model.units import MIB

#: Uploads and downloads are cut into blocks of this size …
BLOCK_BYTES = MIB
#: … of which so many are under way at once.
BLOCKS_IN_FLIGHT = 8
#: Content up to this size travels inside the message that names it.
INLINE_BYTES_MAX = MIB


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end: proven by the kernel (unix socket) or by the TLS handshake.

    Attributes:
        owner: `uid:1000`, or a peer id.
        is_local: whether it is a user of this machine.
        host: the address that a peer connects from.
    """

    owner: str
    is_local: bool
    host: str = ""


class Upload(Protocol):
    """Content on its way to a node."""

    async def write(self, block: bytes) -> None:
        """Append a block of at most `BLOCK_BYTES`."""

    async def finish(self) -> None:
        """Check size and hash, and keep the content (on disk before this returns).

        Raises:
            InputError: it isn't what was announced.
        """

    async def abort(self) -> None:
        """Forget what was sent. Does nothing after `finish`."""


class ComputeService(Protocol):
    """A node, for one client.

    Every method raises `PangeaError`s only: `UnavailableError` if the node can't be reached, `UnknownJobError` for a job that
    isn't there or is somebody else's.
    """

    async def submit(self, manifest: JobManifest) -> JobId:
        """Accept a job: it is on disk before this returns. The same manifest under the same id again changes nothing.

        Raises:
            ManifestError, BadModuleError, InputError: not a job this node can run.
            QuotaError: the owner or the node has enough.
        """

    async def status(self, job_id: JobId) -> JobStatus:
        """How the job stands."""

    async def outcome(self, job_id: JobId, timeout: float, *, is_named: bool = False) -> JobOutcome:
        """How the job ended; waits up to `timeout` seconds for that. With `is_named`, what has a name isn't brought along.

        Raises:
            NotDoneError: it goes on.
        """

    async def read_result(self, job_id: JobId, offset: int, count: int) -> bytes:
        """Bytes `offset` to `offset + count` of a complete job's result, at most `BLOCK_BYTES`; fewer at its end."""

    async def cancel(self, job_id: JobId) -> bool:
        """Cancel a job; False if it had ended already."""

    async def upload(self, sha256: str, size: int) -> Upload | None:
        """Begin to send content; None if the node has it already (and will keep it for a job that comes soon)."""

    async def prints(self, job_id: JobId, offset: int, wait: float) -> tuple[str, bool]:
        """What the job has printed from character `offset` on, and whether that is all; waits up to `wait` seconds for some."""

    def watch(self, job_id: JobId) -> AsyncIterator[JobStatus]:
        """Yield the status now, after changes (ten times a second at most), and at the end."""

    async def job_page(self, prefix: str = "", *, limit: int = 100, offset: int = 0, state: str = "") -> JobPage:
        """The caller's jobs whose id begins with `prefix`, latest first; in `state` alone, if one is named."""

    async def explain(self, job_id: JobId, *, offset: int = 0, limit: int = TASKS_TOLD_MAX, task: str = "") -> dict[str, Any]:
        """Why a job is where it is.

        `{"status": …, "score": …, "tasks": [{"task_id", "state", "lines": [...]}, …], "total": …, "counts": {state: tasks}}`: of
        its unfinished tasks, of which there are `total`, some; or the one that is named.
        """

    async def rerun(self, job_id: JobId) -> JobId:
        """Run a job again, under a new id."""

    async def capacity(self) -> Capacity:
        """What the node can do."""

    async def info(self) -> NodeInfo:
        """The node at this moment."""

    async def peers(self) -> dict[str, Any]:
        """Neighbours and bans, for users of the node's machine: `{"peer_id", "site", "path", "peers": [...], "banned": [...]}`.

        Raises:
            PeerError: the caller isn't one.
        """

    async def ban(self, peer: PeerId, reason: str) -> None:
        """Have nothing to do with a peer any more.

        Raises:
            PeerError: the caller isn't a user of the node's machine, or `peer` is no peer id.
        """

    async def unban(self, peer: PeerId) -> bool:
        """Lift a ban; False if there was none.

        Raises:
            PeerError: the caller isn't a user of the node's machine.
        """

    async def pause(self, seconds: float) -> None:
        """Do nothing more for parents, for so many seconds; 0: until `resume`.

        Raises:
            PeerError: the caller isn't a user of the node's machine.
            InputError: that is no time.
        """

    async def resume(self) -> bool:
        """Work for parents again; False if that wasn't paused.

        Raises:
            PeerError: the caller isn't a user of the node's machine.
        """

    async def read_receipt(self, job_id: JobId, offset: int, count: int) -> tuple[bytes, int]:
        """A block of a complete job's receipt, and the size of the whole.

        Raises:
            NotDoneError: the job hasn't ended well, or keeps no receipt.
        """

    async def tree(self, job_id: JobId) -> dict[str, Any]:
        """Who did what for a job: `{"job_id", "workers": [{"peer", "branch", "tasks", "chunks", "fuel", "seconds", …}, …]}`.

        Further: its "status", its "owner", how it was checked ("verification", "checks"), who stands "below", the "options" that
        it was given, and its "trace" (`model.trace.Trace.to_json`; empty if there is none).
        """


class ContentService(Protocol):
    """A node's shelf, for one caller on this machine."""

    async def receive(self, size: int, fill: Callable[[memoryview], None]) -> str:
        """Take content, and keep it for a job that comes soon: it is on disk before this returns; its SHA-256.

        Args:
            size: bytes.
            fill: fills a buffer with the next of them. Called in a thread; its errors end this.

        Raises:
            QuotaError: the owner or the disk has no room.
        """
