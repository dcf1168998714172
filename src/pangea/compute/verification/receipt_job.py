"""What a receipt says about the job as a whole. The owner signs it, with the root over the tree of records."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from pangea.compute.model.errors import ManifestError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.limits import Limits
from pangea.compute.model.options import JobOptions
from pangea.compute.verification.receipt_fields import Fields, unreadable

#: Field of the file and of `JobOptions`: the options that decide how the input is cut and how the results are merged.
_CUTTING = {
    "splitStrategy": "split_strategy",
    "minChunkSize": "min_chunk_size",
    "maxChunkSize": "max_chunk_size",
    "associativeMerge": "associative_merge",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptInput:
    """One input of the job.

    Attributes:
        sha256: of its bytes, in hex.
        size: bytes.
        path: where whoever keeps the receipt has it, or "": a hint for executing the job again. Nobody signs it.
    """

    sha256: str
    size: int
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checking:
    """How the owner checked the workers' answers, in its own words: signed, but not provable from the receipt.

    Attributes:
        mode: a `VerificationMode`.
        target: confidence that was asked for.
        reached: lowest confidence of a task; None if nothing was checked.
        executions: executions of tasks, all votes included.
        audits: of them, by the owner itself to check an answer.
    """

    mode: str
    target: float
    reached: float | None
    executions: int
    audits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptJob:
    """The job of a receipt.

    Attributes:
        job_id: UUID.
        owner: peer id of the node that owned it.
        name: for people.
        module: SHA-256 of the module or job archive, in hex.
        runtime: determinism class.
        inputs: in order.
        options: what `governing` leaves of the job's options.
        segments: pieces that the inputs were cut into.
        chunks: how often `execute` counts.
        fuel: of all records together: the bill.
        result_sha256: of the result, in hex.
        result_size: bytes.
        checking: how answers were checked.
    """

    job_id: JobId
    owner: PeerId
    name: str
    module: str
    runtime: str
    inputs: tuple[ReceiptInput, ...]
    options: JobOptions
    segments: int
    chunks: int
    fuel: int
    result_sha256: str
    result_size: int
    checking: Checking

    def canonical(self) -> bytes:
        """The bytes that are signed: JSON with sorted names and without spaces. Paths aren't among them."""
        plain = replace(self, inputs=tuple(replace(each, path="") for each in self.inputs))
        return json.dumps(plain.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    def content(self) -> tuple[object, ...]:
        """What was computed, whoever did it: equal for jobs that must have equal results and fuel."""
        inputs = tuple((each.sha256, each.size) for each in self.inputs)
        return self.module, self.runtime, inputs, json.dumps(_options_to_json(self.options), sort_keys=True)

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        return {
            "id": self.job_id,
            "owner": self.owner,
            "name": self.name,
            "module": self.module,
            "runtime": self.runtime,
            "inputs": [
                {"sha256": each.sha256, "size": each.size, **({"path": each.path} if each.path else {})} for each in self.inputs
            ],
            "options": _options_to_json(self.options),
            "segments": self.segments,
            "chunks": self.chunks,
            "fuel": self.fuel,
            "result": {"sha256": self.result_sha256, "size": self.result_size},
            "verification": asdict(self.checking),
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what `to_json` gave.

        Raises:
            UnverifiedError: it isn't that.
        """
        fields = Fields(value, "job")
        result = Fields(fields.take("result"), "job.result")
        job = cls(
            job_id=JobId(fields.text("id")),
            owner=PeerId(fields.text("owner")),
            name=fields.text("name"),
            module=fields.digest("module").hex(),
            runtime=fields.text("runtime"),
            inputs=tuple(_input(each, f"job.inputs[{at}]") for at, each in enumerate(fields.items("inputs"))),
            options=_options(fields.take("options")),
            segments=fields.whole("segments"),
            chunks=fields.whole("chunks"),
            fuel=fields.whole("fuel"),
            result_sha256=result.digest("sha256").hex(),
            result_size=result.whole("size"),
            checking=_checking(fields.take("verification")),
        )
        result.end()
        fields.end()
        return job


def governing(options: JobOptions, *, limits: Limits, associative: bool) -> JobOptions:
    """Of a job's options those that decide what is computed, and so stand in its receipt; the others have their defaults.

    Args:
        options: as submitted.
        limits: as the workers had them: with the fuel of the job's kind filled in.
        associative: whether results were allowed to be merged early, by the job's word or by the options'.
    """
    kept = {option: getattr(options, option) for option in _CUTTING.values()}
    return JobOptions.of({**kept, "delimiter": options.delimiter, "limits": limits, "associative_merge": associative})


def _input(value: object, where: str) -> ReceiptInput:
    fields = Fields(value, where)
    path = fields.text("path") if fields.has("path") else ""
    found = ReceiptInput(sha256=fields.digest("sha256").hex(), size=fields.whole("size"), path=path)
    fields.end()
    return found


def _checking(value: object) -> Checking:
    fields = Fields(value, "job.verification")
    found = Checking(
        mode=fields.text("mode"),
        target=fields.share("target"),
        reached=_share_or_none(fields),
        executions=fields.whole("executions"),
        audits=fields.whole("audits"),
    )
    fields.end()
    return found


def _share_or_none(fields: Fields) -> float | None:
    value = fields.take("reached")
    return None if value is None else Fields({"reached": value}, "job.verification").share("reached")


def _options_to_json(options: JobOptions) -> dict[str, Any]:
    return {
        **{name: getattr(options, option) for name, option in _CUTTING.items()},
        "delimiter": base64.b64encode(options.delimiter).decode(),
        "limits": asdict(options.limits),
    }


def _options(value: object) -> JobOptions:
    fields = Fields(value, "job.options")
    values = {option: fields.take(name) for name, option in _CUTTING.items()}
    values["delimiter"] = fields.data("delimiter")
    values["limits"] = fields.take("limits")
    fields.end()
    try:
        return JobOptions.of(values)
    except (ManifestError, TypeError) as error:
        raise unreadable(f"job.options: {error}") from error
