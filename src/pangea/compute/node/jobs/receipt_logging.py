"""Receipts that this node gives go into its log: each once its job's end is on disk; at a start those that a crash kept out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from pangea.compute.model.errors import PangeaError
from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content
from pangea.compute.node import logs
from pangea.compute.node.jobs.jobs import Job
from pangea.compute.node.jobs.starting import read_content
from pangea.compute.node.storage.blobs import BlobStore
from pangea.compute.node.storage.receipt_log import ReceiptLog
from pangea.compute.verification import receipt_file
from pangea.compute.verification.log_proof import entry_of


class ReceiptLogging:
    """Puts receipts of ended jobs into the log."""

    def __init__(self, log: ReceiptLog, blobs: BlobStore) -> None:
        """Into `log`, which is opened here, from `blobs`."""
        self._log = log
        self._blobs = blobs

    async def start(self, jobs: Iterable[Job]) -> None:
        """Open the log, and add what isn't in it of `jobs`."""
        await asyncio.to_thread(self._log.open)
        if self._log.problem:
            logs.get("node").error("no receipt will be logged", cause=self._log.problem)
        await self.add([(job.id, *job.receipt) for job in jobs if job.receipt is not None and job.id not in self._log])

    async def add(self, receipts: list[tuple[JobId, str, int]]) -> None:
        """Add receipts: job, name and size of the blob; what goes wrong is told, and tried again at the next start."""
        if self._log.problem or not receipts:
            return
        try:
            await asyncio.to_thread(lambda: self._log.add(self._entries(receipts)))
        except (PangeaError, OSError) as error:
            logs.get("node").warning("a receipt isn't in the log yet", jobs=len(receipts), error=str(error))

    def _entries(self, receipts: list[tuple[JobId, str, int]]) -> Iterator[bytes]:
        for job_id, name, size in receipts:
            try:
                yield entry_of(receipt_file.loads(read_content(Content(sha256=name, size=size), self._blobs)))
            except (PangeaError, OSError) as error:  # a damaged one keeps no other out
                logs.get("node").warning("a receipt can't be logged", job=job_id, error=str(error))
