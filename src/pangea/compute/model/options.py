"""How a job is to be run: the keywords of `submit_job`, the options of `pangea run`, the manifest's `config` and `routing`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from pangea.compute.model.errors import ManifestError
from pangea.compute.model.limits import Limits, nearest, shown, unknown_field
from pangea.compute.model.units import CHUNK_BYTES_MAX, KIB, LIST_ITEMS_MAX, MIB


class SplitStrategy(StrEnum):
    """How the host cuts the input before `split`."""

    CUSTOM = "custom"
    FIXED_SIZE = "fixed_size"
    ROW_BASED = "row_based"
    LINE_BASED = "line_based"
    RECORD_BASED = "record_based"
    NPY_ROWS = "npy_rows"
    ARROW_BATCHES = "arrow_batches"
    ADAPTIVE = "adaptive"


class VerificationMode(StrEnum):
    """How results of other machines are checked."""

    NONE = "none"
    HASH = "hash"
    REDUNDANCY = "redundancy"
    MERKLE = "merkle"
    ADAPTIVE = "adaptive"


class Priority(StrEnum):
    """Which jobs go first."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Locality(StrEnum):
    """Where tasks are placed."""

    PREFER_LOCAL = "prefer_local"
    ANY = "any"
    SPREAD = "spread"


#: The longest that a job may take, and what it may take when nobody says: no job is stopped that isn't asked to be.
TIMEOUT_SECONDS_MAX = 7 * 24 * 3600.0
#: What a manifest in JSON, and a message of a client of the original schema, mean by leaving the timeout out.
TIMEOUT_SECONDS_LEFT_OUT = 300.0
#: Lowest and highest value of each numeric field (chunk sizes in bytes, timeout in seconds).
RANGES: dict[str, tuple[float, float]] = {
    "min_chunk_size": (1, CHUNK_BYTES_MAX),
    "max_chunk_size": (1, CHUNK_BYTES_MAX),
    "chunks_per_pack": (0, LIST_ITEMS_MAX),
    "timeout": (0.001, TIMEOUT_SECONDS_MAX),
    "retry_count": (0, 100),
    "redundancy": (1, 7),
    "confidence": (0.5, 0.999999999),
    "estimated_flops": (0, 10**24),
}
_FLOATS = {"timeout", "confidence", "estimated_flops"}
#: Pattern of each text field, and what it means in words; empty stands for nothing.
_TEXTS = {
    "operation_type": (r"[a-z][a-z0-9_]{0,63}|", "up to 64 small letters, digits and underscores, such as matrix_multiply"),
    "job_id": (r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|", "a UUID"),
}
_CHOICES: dict[str, type[StrEnum]] = {
    "split_strategy": SplitStrategy,
    "verification_mode": VerificationMode,
    "priority": Priority,
    "locality": Locality,
}
_MIN_CHUNK_BYTES = 64 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Options of one run of a job. All are checked when the object is made.

    Attributes:
        split_strategy: how the host cuts the input into segments before the job's `split` sees them.
        min_chunk_size: bytes; segments (but the last of an input) are no smaller, and cheap chunks are packed up to it. Left
            alone, it is no more than max_chunk_size.
        max_chunk_size: bytes; segments are no larger.
        delimiter: what ends a record under `record_based`.
        verification_mode: how results of other machines are checked.
        timeout: seconds for the whole job; left alone, it may take the longest that can be asked for, a week.
        retry_count: how often a task is tried again after a failure of the machine (never after one of the job).
        priority: which jobs go first.
        locality: where tasks are placed.
        redundancy: how many distinct workers compute each task under `redundancy`.
        confidence: target probability that a task's result is right, under `adaptive`.
        limits: what one guest may use.
        chunks_per_pack: chunks that are executed one after the other in one sandbox instance; 0: as many as their sizes say
            (`flow.packs`).
        isolate: give each chunk a sandbox instance of its own: the same as a chunks_per_pack of 1.
        associative_merge: promise that merge may be applied early, to groups of neighbours (the job may promise it, too).
        operation_type: what kind of work it is, such as `matrix_multiply`, and
        estimated_flops: how much: hints for choosing where a job runs. On one machine there is nothing to choose.
        receipt: keep a signed record of each call, so that the result can be checked by anybody, later (on nodes only).
        job_id: UUID of the job; a new one if empty.
    """

    split_strategy: SplitStrategy = SplitStrategy.CUSTOM
    min_chunk_size: int = _MIN_CHUNK_BYTES
    max_chunk_size: int = MIB
    delimiter: bytes = b"\n"
    verification_mode: VerificationMode = VerificationMode.ADAPTIVE
    timeout: float = TIMEOUT_SECONDS_MAX
    retry_count: int = 3
    priority: Priority = Priority.NORMAL
    locality: Locality = Locality.PREFER_LOCAL
    redundancy: int = 1
    confidence: float = 0.999
    limits: Limits = field(default_factory=Limits)
    chunks_per_pack: int = 0
    isolate: bool = False
    associative_merge: bool = False
    operation_type: str = ""
    estimated_flops: float = 0.0
    receipt: bool = False
    job_id: str = ""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ManifestError: names the field, its value and the allowed range or values.
        """
        for name, choices in _CHOICES.items():
            object.__setattr__(self, name, _choice(name, getattr(self, name), choices))
        for name in RANGES:
            _check_number(name, getattr(self, name))
        if not isinstance(self.delimiter, bytes) or not 1 <= len(self.delimiter) <= 256:
            raise ManifestError(f"delimiter is {shown(self.delimiter)}; it must be 1 to 256 bytes", field="delimiter")
        for name in ("associative_merge", "isolate", "receipt"):
            if not isinstance(value := getattr(self, name), bool):
                raise ManifestError(f"{name} is {shown(value)}; it must be true or false", field=name)
        for name, (pattern, allowed) in _TEXTS.items():
            value = getattr(self, name)
            if not isinstance(value, str) or not re.fullmatch(pattern, value):
                raise ManifestError(f"{name} is {shown(value)}; it must be {allowed}, or left out", field=name)
        if self.max_chunk_size < self.min_chunk_size == _MIN_CHUNK_BYTES:  # nobody chose it
            object.__setattr__(self, "min_chunk_size", self.max_chunk_size)
        if self.min_chunk_size > self.max_chunk_size:
            raise ManifestError(
                f"min_chunk_size {self.min_chunk_size:,} is larger than max_chunk_size {self.max_chunk_size:,}",
                hint="raise max_chunk_size or lower min_chunk_size",
                field="min_chunk_size",
            )
        if self.isolate and self.chunks_per_pack > 1:
            raise ManifestError(
                f"isolate puts one chunk into each pack, chunks_per_pack {self.chunks_per_pack:,}",
                hint="leave one of the two out",
                field="chunks_per_pack",
            )
        object.__setattr__(self, "isolate", self.isolate or self.chunks_per_pack == 1)
        object.__setattr__(self, "chunks_per_pack", 1 if self.isolate else self.chunks_per_pack)
        object.__setattr__(self, "limits", Limits.of(self.limits))

    def chosen(self) -> dict[str, Any]:
        """The options that aren't the default, but for the id, as JSON types; of the limits likewise."""
        options = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("job_id", "isolate")}
        chosen = {name: value for name, value in options.items() if value != getattr(_DEFAULTS, name)}
        plain = {"limits": self.limits.to_json(), "delimiter": repr(self.delimiter)[2:-1]}
        return {name: plain.get(name, value) for name, value in chosen.items()}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> JobOptions:
        """Options from keywords; None stands for the default.

        Raises:
            ManifestError: an unknown keyword (the nearest known one is named), or a value out of range.
        """
        check_known(values)
        return cls(**{name: value for name, value in values.items() if value is not None})


def check_known(values: Mapping[str, Any], beside: Iterable[str] = ()) -> None:
    """See to it that `values` have names of options alone; `beside` are names that may have been meant, too.

    Raises:
        ManifestError: one is unknown; the nearest known one is named.
    """
    known = [f.name for f in fields(JobOptions)]
    for name in values:
        if name not in known:
            raise unknown_field(name, [*known, *(each for each in beside if each != name)])


def _choice(name: str, value: object, choices: type[StrEnum]) -> StrEnum:
    try:
        return choices(value)  # type: ignore[arg-type]
    except ValueError:
        near = nearest(str(value), [str(choice) for choice in choices])
        raise ManifestError(
            f"{name} is {shown(value)}; it must be one of {', '.join(choices)}",
            hint=f"did you mean {near!r}?" if near else "",
            field=name,
        ) from None


def _check_number(name: str, value: object) -> None:
    low, high = RANGES[name]
    allowed = (int, float) if name in _FLOATS else (int,)
    if isinstance(value, bool) or not isinstance(value, allowed) or not low <= value <= high:
        kind = "a number" if name in _FLOATS else "an integer"
        raise ManifestError(
            f"{name} is {shown(value)}; it must be {kind} between {low:,} and {high:,}",
            hint=f"set {name} inside that range, or leave it out",
            field=name,
        )


_DEFAULTS = JobOptions()
