"""The job spec: all of a job that can change what one of its calls gives, in canonical bytes, under its owner's signature.

It goes down a tree with the job, once per link, and its hash stands in every packet, record and receipt. So nobody between the
owner and a worker can change a limit or an option: a node executes nothing whose spec it hasn't checked, and what a worker signs
names the spec that it has worked by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Self

from pangea.compute.model.errors import UnverifiedError
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import JobOptions
from pangea.compute.model.order import Order
from pangea.compute.verification.commitment import joined, number
from pangea.compute.verification.ordering import is_ordered, order_in
from pangea.compute.verification.receipt_fields import Fields
from pangea.compute.verification.receipt_options import options_from_json, options_to_json
from pangea.compute.verification.receipts import CheckSignature, Sign

#: Of its canonical bytes, which a stranger may send.
SPEC_BYTES_MAX = 4096
_SPEC = b"pangea job spec 1"
_NONCE = b"pangea nonce 1"
_INPUTS = b"pangea inputs 1"
_NONCE_DIGITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedSpec:
    """What a job is, as its owner signs it.

    Attributes:
        job_id: UUID.
        owner: peer id of the node that accepted the job, which signs for its client.
        nonce: 32 hexadecimal digits that only the owner could have chosen: equal jobs have different specs.
        module: SHA-256 of the module or job archive, in hex; with it the functions.
        runtime: determinism class.
        meter: what counts the fuel: figures compare within one only.
        inputs: `inputs_hash` of the job's inputs, in hex.
        options: those that govern what is computed, limits included (`receipt_options.governing`).
        order: of the client that the job is for, who has signed all of that; None: it has no key that it would sign with.
        signature: the owner's, over `statement()`.
    """

    job_id: JobId
    owner: PeerId
    nonce: str
    module: str
    runtime: str
    meter: str
    inputs: str
    options: JobOptions
    order: Order | None = None
    signature: bytes = b""

    def canonical(self) -> bytes:
        """The one way to write it: JSON with sorted names and without spaces."""
        record = {name: getattr(self, name) for name in ("owner", "nonce", "module", "runtime", "meter", "inputs")}
        record |= {"id": self.job_id, "options": options_to_json(self.options)}
        record |= {"order": self.order.to_json()} if self.order is not None else {}
        return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    def statement(self) -> bytes:
        """What is signed."""
        return joined(_SPEC, self.canonical())

    def hash(self) -> bytes:
        """Names it, 32 bytes."""
        return sha256(self.statement()).digest()

    def signed(self, sign: Sign) -> Self:
        """The same with the owner's signature."""
        return replace(self, signature=sign(self.statement()))

    def is_signed(self, check: CheckSignature) -> bool:
        """Whether its owner has signed it and, if it says that a client has ordered the job, that one too."""
        return check(self.owner, self.statement(), self.signature) and self.is_ordered(check)

    def is_ordered(self, check: CheckSignature) -> bool:
        """Whether the client that it names, if any, has signed the order."""
        if self.order is None:
            return True
        return is_ordered(self.order, check, node=self.owner, module=self.module, inputs=self.inputs, options=self.options)

    @classmethod
    def read(cls, data: bytes, signature: bytes) -> Self:
        """Read what `canonical` gave; the signature is still to be checked.

        Raises:
            UnverifiedError: it isn't that, byte for byte.
        """
        if len(data) > SPEC_BYTES_MAX:
            raise UnverifiedError(f"a job spec of {len(data):,} bytes; at most {SPEC_BYTES_MAX:,}")
        try:
            record = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise UnverifiedError(f"a job spec that isn't JSON: {str(error)[:200]}") from error
        spec = cls.from_json(record, signature)
        if spec.canonical() != data:
            raise UnverifiedError("a job spec that isn't written in the one way that is right")
        return spec

    @classmethod
    def from_json(cls, record: Any, signature: bytes) -> Self:
        """Make one of its parts.

        Raises:
            UnverifiedError: a part is missing, unknown, of the wrong type or out of range.
        """
        fields = Fields(record, "the job spec")
        spec = cls(
            job_id=JobId(fields.text("id")),
            owner=PeerId(fields.text("owner")),
            nonce=fields.text("nonce"),
            module=fields.digest("module").hex(),
            runtime=fields.text("runtime"),
            meter=fields.text("meter"),
            inputs=fields.digest("inputs").hex(),
            options=options_from_json(fields.take("options"), "the job spec's options"),
            order=order_in(fields, "the job spec"),
            signature=signature,
        )
        fields.end()
        if not spec.options.limits.fuel:
            raise UnverifiedError("a job spec whose limits.fuel is 0: it must be what the workers get")
        return spec


def nonce_of(job_id: JobId, sign: Sign) -> str:
    """A number for a job that only the holder of a key can find, and always finds again (Ed25519 draws nothing)."""
    return sha256(sign(joined(_NONCE, job_id.encode()))).hexdigest()[:_NONCE_DIGITS]


def inputs_hash(inputs: Iterable[tuple[str, int]]) -> str:
    """One hash over a job's inputs, each its SHA-256 in hex and its size in bytes, in order; in hex."""
    parts = [part for name, size in inputs for part in (bytes.fromhex(name), number(size))]
    return sha256(joined(_INPUTS, *parts)).hexdigest()
