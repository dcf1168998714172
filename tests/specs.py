"""Job specs as owners sign them, for tests."""

from __future__ import annotations

from functools import cache

from pangea.compute.engine import sandbox
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.limits import Limits
from pangea.compute.model.options import JobOptions
from pangea.compute.model.packet import JobSpec
from pangea.compute.verification.receipt_options import governing
from pangea.compute.verification.receipts import Sign
from pangea.compute.verification.signed_spec import SignedSpec, inputs_hash, nonce_of


@cache
def meter() -> str:
    """What counts fuel on this machine."""
    return sandbox.profile_id()


def signed_spec(spec: JobSpec, owner: PeerId, sign: Sign, *, limits: Limits | None = None, by: str = "") -> SignedSpec:
    """A spec that agrees with what is said of a job, signed with the owner's key; `by` another meter than this machine's."""
    given = (limits or Limits(memory=spec.memory)).with_fuel_for(python=False)
    unsigned = SignedSpec(
        job_id=JobId(spec.job_id),
        owner=owner,
        nonce=nonce_of(spec.job_id, sign),
        module=spec.module,
        runtime=spec.runtime,
        meter=by or meter(),
        inputs=inputs_hash([]),
        options=governing(JobOptions(), limits=given, associative=spec.associative),
    )
    return unsigned.signed(sign)
