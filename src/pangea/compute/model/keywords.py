"""The fields of `JobOptions` as keywords, for checkers of types and for editors; `JobOptions` checks what is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from pangea.compute.model.limits import Limits

SplitStrategies = Literal[
    "custom", "fixed_size", "row_based", "line_based", "record_based", "npy_rows", "arrow_batches", "adaptive"
]
VerificationModes = Literal["none", "hash", "redundancy", "merkle", "adaptive"]


class JobKeywords(TypedDict, total=False):
    """What `submit_job` and all that submit jobs take; None is as if it were left out."""

    split_strategy: SplitStrategies | str | None
    min_chunk_size: int | None
    max_chunk_size: int | None
    delimiter: bytes | None
    verification_mode: VerificationModes | str | None
    timeout: float | None
    retry_count: int | None
    priority: Literal["high", "normal", "low"] | str | None
    locality: Literal["prefer_local", "any", "spread"] | str | None
    redundancy: int | None
    confidence: float | None
    limits: Limits | Mapping[str, Any] | None
    chunks_per_pack: int | None
    isolate: bool | None
    associative_merge: bool | None
    operation_type: str | None
    estimated_flops: float | None
    receipt: bool | None
    job_id: str | None


class CallKeywords(JobKeywords, total=False):
    """What `map` and its like take besides: where the calls are made, and whether a live page shows it."""

    node: Any
    engine: Any
    dashboard: bool | str
