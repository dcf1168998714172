"""A client's order: its own signature under what a node is to compute for it. What is signed: `verification.ordering`."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Self

from pangea.compute.model.errors import ManifestError
from pangea.compute.model.ids import JobId, PeerId

_NAMES = {"client", "jobId", "associative", "signature"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """That a client wants a job, as it has signed it.

    Attributes:
        client: peer id of its key.
        job_id: what it calls the job: a UUID that it has drawn, so that no two orders are the same.
        associative: whether it says that results may be merged early; of a job without a merge that means nothing.
        signature: 64 bytes.
    """

    client: PeerId
    job_id: JobId
    associative: bool
    signature: bytes

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "client": self.client,
            "jobId": self.job_id,
            "associative": self.associative,
            "signature": base64.b64encode(self.signature).decode(),
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what `to_json` gave.

        Raises:
            ManifestError: it isn't that.
        """
        if isinstance(value, dict) and set(value) == _NAMES:
            texts, associative = [value[name] for name in ("client", "jobId", "signature")], value["associative"]
            if all(isinstance(each, str) for each in texts) and isinstance(associative, bool):
                client, job_id, text = texts
                try:
                    signature = base64.b64decode(text, validate=True)
                except ValueError as error:
                    raise ManifestError("order.signature isn't base64", field="order") from error
                return cls(client=PeerId(client), job_id=JobId(job_id), associative=associative, signature=signature)
        raise ManifestError(f"order must be an object of {', '.join(sorted(_NAMES))}", field="order")
