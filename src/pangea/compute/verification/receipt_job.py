"""What a receipt says about the job as a whole. The owner signs it, with the root over the tree of records."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import JobOptions
from pangea.compute.model.order import Order
from pangea.compute.verification.ordering import order_in
from pangea.compute.verification.receipt_fields import Fields
from pangea.compute.verification.receipt_options import options_from_json, options_to_json
from pangea.compute.verification.signed_spec import SignedSpec, inputs_hash


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
        reached: probability that every accepted answer is right; None if nothing was checked.
        executions: executions of tasks, all votes included.
        audits: of them, by the owner itself to check an answer.
        tolerance: by how much answers to a task may have differed, in words; "": by nothing.
    """

    mode: str
    target: float
    reached: float | None
    executions: int
    audits: int
    tolerance: str = ""

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        return {name: value for name, value in asdict(self).items() if name != "tolerance" or value}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptJob:
    """The job of a receipt.

    Attributes:
        job_id: UUID.
        owner: peer id of the node that owned it.
        name: for people.
        module: SHA-256 of the module or job archive, in hex.
        runtime: determinism class.
        meter: what counts the fuel.
        nonce: of the job's spec.
        spec_signature: the owner's under the job's spec (`spec()`), which went to the workers.
        order: that of the client that the job was for, signed by itself; None: the owner speaks for it.
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
    meter: str
    nonce: str
    spec_signature: bytes
    inputs: tuple[ReceiptInput, ...]
    options: JobOptions
    segments: int
    chunks: int
    fuel: int
    result_sha256: str
    result_size: int
    checking: Checking
    order: Order | None = None

    def canonical(self) -> bytes:
        """The bytes that are signed: JSON with sorted names and without spaces. Paths aren't among them."""
        plain = replace(self, inputs=tuple(replace(each, path="") for each in self.inputs))
        return json.dumps(plain.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    def spec(self) -> SignedSpec:
        """The spec that this job's workers had."""
        return SignedSpec(
            job_id=self.job_id,
            owner=self.owner,
            nonce=self.nonce,
            module=self.module,
            runtime=self.runtime,
            meter=self.meter,
            inputs=inputs_hash((each.sha256, each.size) for each in self.inputs),
            options=self.options,
            order=self.order,
            signature=self.spec_signature,
        )

    def content(self) -> tuple[object, ...]:
        """What was computed, whoever did it: equal for jobs that must have equal results and fuel."""
        inputs = tuple((each.sha256, each.size) for each in self.inputs)
        return self.module, self.runtime, inputs, json.dumps(options_to_json(self.options), sort_keys=True)

    def to_json(self) -> dict[str, Any]:
        """As the file has it."""
        return {
            "id": self.job_id,
            "owner": self.owner,
            "name": self.name,
            "module": self.module,
            "runtime": self.runtime,
            "meter": self.meter,
            "nonce": self.nonce,
            "specSignature": base64.b64encode(self.spec_signature).decode(),
            **({"order": self.order.to_json()} if self.order is not None else {}),
            "inputs": [
                {"sha256": each.sha256, "size": each.size, **({"path": each.path} if each.path else {})} for each in self.inputs
            ],
            "options": options_to_json(self.options),
            "segments": self.segments,
            "chunks": self.chunks,
            "fuel": self.fuel,
            "result": {"sha256": self.result_sha256, "size": self.result_size},
            "verification": self.checking.to_json(),
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
            meter=fields.text("meter"),
            nonce=fields.text("nonce"),
            spec_signature=fields.data("specSignature"),
            inputs=tuple(_input(each, f"job.inputs[{at}]") for at, each in enumerate(fields.items("inputs"))),
            options=options_from_json(fields.take("options"), "job.options"),
            segments=fields.whole("segments"),
            chunks=fields.whole("chunks"),
            fuel=fields.whole("fuel"),
            result_sha256=result.digest("sha256").hex(),
            result_size=result.whole("size"),
            checking=_checking(fields.take("verification")),
            order=order_in(fields, "job"),
        )
        result.end()
        fields.end()
        return job


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
        tolerance=fields.text("tolerance") if fields.has("tolerance") else "",
    )
    fields.end()
    return found


def _share_or_none(fields: Fields) -> float | None:
    value = fields.take("reached")
    return None if value is None else Fields({"reached": value}, "job.verification").share("reached")
