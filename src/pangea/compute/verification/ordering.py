"""What a client signs, so that a job's spec is its own: what is computed, on what, under which limits, and which node sees to it.

Everything in it stands in the job's spec as well, and is read from there: so whoever has a spec with an order can check, offline,
that its client wanted just this. The node that accepted the job signs the whole, as the client's delegate: what only it can know,
such as what counts the fuel, is its word.
"""

from __future__ import annotations

import json
from dataclasses import replace

from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.options import JobOptions
from pangea.compute.model.order import Order
from pangea.compute.verification.commitment import joined
from pangea.compute.verification.receipt_fields import Fields
from pangea.compute.verification.receipt_options import governing, options_to_json
from pangea.compute.verification.receipts import CheckSignature, Sign

_ORDER = b"pangea order 1"


def ordered(options: JobOptions, *, is_python: bool) -> JobOptions:
    """What an order says of a job's options: all that can change an outcome, with the fuel of the job's kind filled in."""
    return governing(options, limits=options.limits.with_fuel_for(python=is_python), associative=options.associative_merge)


def statement(*, client: PeerId, job_id: JobId, node: PeerId, module: str, inputs: str, options: JobOptions) -> bytes:
    """What a client signs.

    Args:
        client: its peer id.
        job_id: what it calls the job.
        node: which node is to see to it.
        module: SHA-256 of the module or job archive, in hex.
        inputs: `signed_spec.inputs_hash` of the inputs, in hex.
        options: as `ordered` gives them.
    """
    record = {"client": client, "job": job_id, "node": node, "module": module, "inputs": inputs}
    text = json.dumps(record | {"options": options_to_json(options)}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return joined(_ORDER, text.encode())


def order(sign: Sign, *, client: PeerId, job_id: JobId, node: PeerId, module: str, inputs: str, options: JobOptions) -> Order:
    """Sign what `statement` says."""
    signature = sign(statement(client=client, job_id=job_id, node=node, module=module, inputs=inputs, options=options))
    return Order(client=client, job_id=job_id, associative=options.associative_merge, signature=signature)


def is_ordered(given: Order, check: CheckSignature, *, node: PeerId, module: str, inputs: str, options: JobOptions) -> bool:
    """Whether a client has signed just this. Only that results may be merged early can be taken back: there may be no merge."""
    if options.associative_merge and not given.associative:
        return False
    said = replace(options, associative_merge=given.associative)
    signed = statement(client=given.client, job_id=given.job_id, node=node, module=module, inputs=inputs, options=said)
    return check(given.client, signed, given.signature)


def order_in(fields: Fields, where: str) -> Order | None:
    """The order among the fields of a spec or of a receipt's job, if there is one.

    Raises:
        UnverifiedError: it isn't one.
    """
    if not fields.has("order"):
        return None
    found = Fields(fields.take("order"), f"{where}'s order")
    given = Order(
        client=PeerId(found.text("client")),
        job_id=JobId(found.text("jobId")),
        associative=found.yes_or_no("associative"),
        signature=found.data("signature"),
    )
    found.end()
    return given
