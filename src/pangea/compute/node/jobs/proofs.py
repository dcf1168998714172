"""Proofs of bans: what this node found out about workers of its own jobs, kept so that anybody can check it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from pangea.compute.model.frames import Buffer
from pangea.compute.model.ids import PeerId
from pangea.compute.node import logs
from pangea.compute.node.jobs.jobs import LiveJob
from pangea.compute.orchestrator.core.commands import KeepTrust
from pangea.compute.verification.ban_file import CONTENT_BYTES_MAX, BanProof, dumps
from pangea.compute.verification.receipts import Record

#: Files kept; the oldest go first.
_FILES_MAX = 1_000


class Proofs:
    """A folder with a file for each ban."""

    def __init__(self, folder: Path) -> None:
        """Keep them in `folder`, which is made when the first one comes."""
        self._folder = folder

    def path_of(self, worker: PeerId) -> Path | None:
        """The proof of a worker's latest ban, if there is one."""
        path = self._path(worker)
        return path if path.exists() else None

    async def keep(self, command: KeepTrust, job: LiveJob, parts: list[Buffer], output: Buffer | None) -> None:
        """Write down what a worker of a job is shut out for.

        Args:
            command: for what.
            job: the job.
            parts: what its task worked on.
            output: what it gave, if that isn't said by its hash.
        """
        assert command.evidence is not None, "there is something to prove"
        evidence = command.evidence
        record = job.records.by(evidence.packet.task_id, evidence.digest, evidence.fuel, command.worker)
        if record is None or job.signed is None:
            logs.get("peers").warning("a ban without its proof: the record is gone", worker=command.worker)
            return
        proof = self._proof(command, job, record, parts)
        if output is not None and len(output) <= CONTENT_BYTES_MAX:
            proof = replace(proof, output=bytes(output))
        await asyncio.to_thread(self._write, command.worker, proof)

    def _proof(self, command: KeepTrust, job: LiveJob, record: Record, parts: list[Buffer]) -> BanProof:
        assert job.signed is not None, "a job with answers has a spec"
        given = b"".join(parts) if sum(map(len, parts)) <= CONTENT_BYTES_MAX else None
        return BanProof(
            verdict=command.record.verdict,
            why=command.why,
            spec=job.signed,
            record=record,
            input=given,
            module=job.manifest.module.data,
        )

    def _write(self, worker: PeerId, proof: BanProof) -> None:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path = self._path(worker)
            fresh = path.with_suffix(".new")
            fresh.write_bytes(dumps(proof))
            fresh.replace(path)
            files = sorted(self._folder.glob("*.json"), key=lambda each: each.stat().st_mtime)
            for old in files[:-_FILES_MAX]:
                old.unlink(missing_ok=True)
        except OSError as error:
            logs.get("peers").warning("the proof of a ban can't be written", worker=worker, error=str(error))

    def _path(self, worker: PeerId) -> Path:
        return self._folder / f"{worker}.json"
