"""The proof of a ban, as a file: what a worker signed under which spec, and what it takes to execute that again.

Anybody can check it without trusting whoever wrote it: the owner's signature is under the spec, the worker's under the record,
and the rest is found by executing the call. `docs/receipts.md` describes it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any

from pangea.compute.model.errors import UnverifiedError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.limits import shown
from pangea.compute.verification.digests import is_named
from pangea.compute.verification.receipt_fields import Fields, parsed
from pangea.compute.verification.receipts import CheckSignature, Record
from pangea.compute.verification.signed_spec import SignedSpec

FORMAT = 1
#: What a node says of a worker that it found wrong by executing again.
VERDICTS = ("lied", "faulty", "misbehaved")
#: Of the call's input and of the module, each: larger ones aren't in the file, and have to be given.
CONTENT_BYTES_MAX = 1 << 20
_HASHES = ("spec", "input", "output", "signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class BanProof:
    """Why a worker is shut out.

    Attributes:
        verdict, why: as whoever banned it says; nobody has signed that.
        spec: of the job, signed by its owner.
        record: what the worker signed.
        input: the framed list that the call was given; None if it is too large for the file.
        module: the module or job archive; likewise.
        output: under a tolerance, the framed list that the worker gave, which its record names; None if its hash says all that
            matters, or if it is too large for the file.
    """

    verdict: str
    why: str
    spec: SignedSpec
    record: Record
    input: bytes | None
    module: bytes | None
    output: bytes | None = None

    def findings(self, check: CheckSignature) -> list[str]:
        """What is wrong with the file, without executing anything; then it proves nothing."""
        spec, record = self.spec, self.record
        same = (record.job_id, record.owner, record.module, record.runtime, record.spec)
        wrong = {
            f"{spec.owner} didn't sign such a job spec": not spec.is_signed(check),
            f"{record.worker} didn't sign this record": not check(record.worker, record.statement(), record.signature),
            "the record is of a call that only a job's owner makes": not _is_delegated(record),
            "the record is of another job": same != (spec.job_id, spec.owner, spec.module, spec.runtime, spec.hash()),
            "the input isn't the record's": self.input is not None and sha256(self.input).digest() != record.input,
            "the module isn't the job's": self.module is not None and sha256(self.module).hexdigest() != spec.module,
            "the output isn't the record's": self.output is not None and not is_named(self.output, record),
        }
        return [what for what, is_so in wrong.items() if is_so]


def _is_delegated(record: Record) -> bool:
    """Whether others than the owner are given such a call, and so sign a Merkle digest.

    The hash of a split or of the result isn't one: executed again as if it were, it would differ, however right it is.
    """
    return record.function == "execute" or (record.function == "merge" and record.task_id != f"{record.job_id}:merge")


def dumps(proof: BanProof) -> bytes:
    """The file."""
    plain = {each.name: getattr(proof.record, each.name) for each in fields(Record)}
    record = {name: value.hex() if name in _HASHES else value for name, value in plain.items()}
    content = {"input": proof.input, "module": proof.module, "output": proof.output}
    data = {name: _base64(value) for name, value in content.items() if value is not None and len(value) <= CONTENT_BYTES_MAX}
    spec = {"pangeaBan": FORMAT, "verdict": proof.verdict, "why": proof.why, "spec": json.loads(proof.spec.canonical())}
    whole = {**spec, "specSignature": _base64(proof.spec.signature), "record": record, **data}
    return json.dumps(whole, indent=1, allow_nan=False).encode()


def is_ban_file(data: bytes) -> bool:
    """Whether a file says that it is the proof of a ban."""
    return b'"pangeaBan"' in data[:256]


def loads(data: bytes) -> BanProof:
    """Read a file. What it says is still to be checked.

    Raises:
        UnverifiedError: it isn't such a file.
    """
    try:
        given = parsed(data)
    except ValueError as error:
        raise UnverifiedError(f"the proof of a ban isn't JSON: {str(error)[:200]}") from error
    found = Fields(given, "the proof of a ban")
    if (version := found.whole("pangeaBan")) != FORMAT:
        raise UnverifiedError(f"the proof of a ban has format {version}; this version of pangea-compute reads format {FORMAT}")
    proof = BanProof(
        verdict=_verdict(found.text("verdict")),
        why=found.text("why"),
        spec=SignedSpec.from_json(found.take("spec"), found.data("specSignature")),
        record=_record(found.take("record")),
        input=found.data("input") if found.has("input") else None,
        module=found.data("module") if found.has("module") else None,
        output=found.data("output") if found.has("output") else None,
    )
    found.end()
    return proof


def _verdict(said: str) -> str:
    if said not in VERDICTS:
        raise UnverifiedError(f"the proof of a ban says {shown(said)}; it must say one of {', '.join(VERDICTS)}")
    return said


def _record(value: object) -> Record:
    found = Fields(value, "record")
    texts = {
        name: found.text(name) for name in ("job_id", "owner", "task_id", "function", "module", "runtime", "worker", "failure")
    }
    hashes = {name: _hex(found.text(name), name) for name in _HASHES}
    numbers = {name: found.whole(name) for name in ("start", "count", "fuel")}
    packs = found.counts("packs")
    found.end()
    ids: dict[str, Any] = {
        "job_id": JobId(texts["job_id"]),
        "owner": PeerId(texts["owner"]),
        "task_id": TaskId(texts["task_id"]),
        "worker": PeerId(texts["worker"]),
    }
    return Record(**{**texts, **hashes, **numbers, **ids}, packs=packs)


def _hex(text: str, name: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UnverifiedError(f"record.{name} is {shown(text)}; it must be hexadecimal") from None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
