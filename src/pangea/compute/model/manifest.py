"""The manifest: all that a node needs to run a job, as a record and as JSON (design, section 11).

    {"jobId": …, "wasmModule": CONTENT, "inputData": CONTENT | [CONTENT, …],
     "complexity": {"dataSize", "operationType", "estimatedFlops"},
     "config": {"splitStrategy", "minChunkSize", "maxChunkSize", "chunksPerPack", "verificationMode", "timeout", "retryCount"},
     "routing": {"priority", "locality", "redundancy"},
     "limits": {…}, "confidence": …, "associativeMerge": …, "delimiter": BASE64, "name": …}

CONTENT is base64 text, `{"path": …}` or `{"sha256": …, "size": …}`. Fields left out have their defaults.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from pangea.compute.model.errors import ManifestError
from pangea.compute.model.limits import Limits, unknown_field
from pangea.compute.model.options import TIMEOUT_SECONDS_LEFT_OUT, JobOptions
from pangea.compute.model.order import Order
from pangea.compute.model.trace_context import TRACEPARENT, well_formed

_SHA256 = re.compile(r"[0-9a-f]{64}")
NAME_CHARACTERS_MAX = 200
#: More than any disk has, and than any database counts.
SIZE_BYTES_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes, or where they are. Exactly one of the three is given.

    Attributes:
        data: the bytes themselves; small ones travel so.
        sha256: their SHA-256 in hex, for whoever has them or can fetch them.
        path: a file of whoever writes the manifest; the client turns it into one of the others before it travels.
        size: bytes; of a path, -1 until it is looked at.
    """

    data: bytes | None = field(default=None, repr=False)
    sha256: str = ""
    path: str = ""
    size: int = -1

    def __post_init__(self) -> None:
        """Check that it is one thing.

        Raises:
            ManifestError: none or several are given, or the hash isn't one.
        """
        if (self.data is not None) + bool(self.sha256) + bool(self.path) != 1:
            raise ManifestError("content must be exactly one of bytes, a sha256 and a path")
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise ManifestError(f"sha256 is {self.sha256[:80]!r}; it must be 64 small hexadecimal digits")
        if self.sha256 and not 0 <= self.size <= SIZE_BYTES_MAX:
            raise ManifestError(f"content by sha256 must say its size in bytes, 0 to {SIZE_BYTES_MAX:,}")
        if self.data is not None:
            object.__setattr__(self, "size", len(self.data))

    def to_json(self) -> Any:
        """As the manifest writes it."""
        if self.data is not None:
            return base64.b64encode(self.data).decode()
        return {"path": self.path} if self.path else {"sha256": self.sha256, "size": self.size}

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """Content of field `where`.

        Raises:
            ManifestError: not in one of the three forms.
        """
        if isinstance(value, str):
            try:
                return cls(base64.b64decode(value, validate=True))
            except ValueError as error:  # not its alphabet, its padding, or not even ASCII
                raise ManifestError(f"{where} isn't base64", hint='name a file with {"path": …}', field=where) from error
        if isinstance(value, dict):
            path, sha256, size = value.get("path", ""), value.get("sha256", ""), value.get("size", -1)
            plain = isinstance(path, str) and isinstance(sha256, str) and type(size) is int
            if plain and set(value) <= {"path", "sha256", "size"}:
                return cls(path=path, sha256=sha256, size=size)
        raise ManifestError(f'{where} must be base64 text, {{"path": …}} or {{"sha256": …, "size": …}}', field=where)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobManifest:
    """A job as it is submitted.

    Attributes:
        module: a core WebAssembly module, or a job archive.
        inputs: what is cut, in order; each end is a segment's end.
        options: everything else; `options.job_id` is the job's id.
        name: for people.
        order: the client's own signature; None: the node that accepts the job signs for it.
        trace: where its client has it in a trace, as a traceparent; "": nowhere. The same job is the same with another.
    """

    module: Content
    inputs: tuple[Content, ...]
    options: JobOptions = field(default_factory=JobOptions)
    name: str = "job"
    order: Order | None = None
    trace: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Check what the parts can't.

        Raises:
            ManifestError: no input at all, or a name that is none.
        """
        if not self.inputs:
            raise ManifestError("inputData is an empty list", hint='give it "" for a job without input', field="inputData")
        if not isinstance(self.name, str) or len(self.name) > NAME_CHARACTERS_MAX or not self.name.isprintable():
            raise ManifestError(
                f"name is {str(self.name)[:50]!r}; it must be up to {NAME_CHARACTERS_MAX} printable characters", field="name"
            )

    @property
    def job_id(self) -> str:
        """The job's UUID, or "" before it has one."""
        return self.options.job_id

    @property
    def data_size(self) -> int:
        """Bytes of all inputs; unknown ones count as nothing."""
        return sum(max(0, content.size) for content in self.inputs)

    def with_job_id(self, job_id: str) -> JobManifest:
        """The same job under another id."""
        return replace(self, options=replace(self.options, job_id=job_id))

    def to_json(self) -> dict[str, Any]:
        """The manifest as JSON types; `from_json` gives back an equal one."""
        options = self.options
        record: dict[str, Any] = {
            "jobId": options.job_id,
            "name": self.name,
            "wasmModule": self.module.to_json(),
            "inputData": self.inputs[0].to_json() if len(self.inputs) == 1 else [item.to_json() for item in self.inputs],
            "complexity": {"dataSize": self.data_size},
            "config": {},
            "routing": {},
            "limits": options.limits.to_json(),
            "delimiter": base64.b64encode(options.delimiter).decode(),
        }
        for (section, name), option in _PLACES.items():
            (record[section] if section else record)[name] = getattr(options, option)
        if self.order is not None:
            record["order"] = self.order.to_json()
        if self.trace:
            record[TRACEPARENT] = self.trace
        return record

    @classmethod
    def from_json(cls, record: object) -> Self:
        """Read a manifest.

        Raises:
            ManifestError: a field is unknown (the nearest known one is named), missing, of the wrong type or out of range.
        """
        if not isinstance(record, dict):
            raise ManifestError(f"a manifest is a JSON object, not a {type(record).__name__}")
        _check_names(record)
        values: dict[str, Any] = {"limits": Limits.of(record.get("limits"))}
        for (section, name), option in _PLACES.items():
            place = record.get(section, {}) if section else record
            if name in place:
                values[option] = place[name]
        if "timeout" not in record.get("config", {}):  # null is the default: no limit but the week
            values["timeout"] = TIMEOUT_SECONDS_LEFT_OUT
        if "delimiter" in record:
            values["delimiter"] = Content.from_json(record["delimiter"], "delimiter").data
        if "wasmModule" not in record:
            raise ManifestError("the manifest has no wasmModule", field="wasmModule")
        given = record.get("inputData", "")
        return cls(
            module=Content.from_json(record["wasmModule"], "wasmModule"),
            inputs=tuple(Content.from_json(item, "inputData") for item in (given if isinstance(given, list) else [given])),
            options=JobOptions.of(values),
            name=record.get("name", "job"),
            order=Order.from_json(record["order"]) if "order" in record else None,
            trace=well_formed(str(record.get(TRACEPARENT, ""))),
        )


#: (section, field) of each option that is one; "" is the manifest itself.
_PLACES: dict[tuple[str, str], str] = {
    ("", "jobId"): "job_id",
    ("complexity", "operationType"): "operation_type",
    ("complexity", "estimatedFlops"): "estimated_flops",
    ("config", "splitStrategy"): "split_strategy",
    ("config", "minChunkSize"): "min_chunk_size",
    ("config", "maxChunkSize"): "max_chunk_size",
    ("config", "chunksPerPack"): "chunks_per_pack",
    ("config", "verificationMode"): "verification_mode",
    ("config", "timeout"): "timeout",
    ("config", "retryCount"): "retry_count",
    ("routing", "priority"): "priority",
    ("routing", "locality"): "locality",
    ("routing", "redundancy"): "redundancy",
    ("", "confidence"): "confidence",
    ("", "associativeMerge"): "associative_merge",
    ("", "receipt"): "receipt",
}
_OTHERS = ("name", "wasmModule", "inputData", "complexity", "config", "routing", "limits", "delimiter", "order", TRACEPARENT)
assert {*_PLACES.values(), "limits", "delimiter", "isolate"} == {option.name for option in fields(JobOptions)}


def _check_names(record: dict[str, Any]) -> None:
    """Every field must be known, and every section an object."""
    known = [name for section, name in _PLACES if not section] + [*_OTHERS]
    for name in record:
        if name not in known:
            raise unknown_field(name, known)
    for section in ("complexity", "config", "routing"):
        names = [name for place, name in _PLACES if place == section] + (["dataSize"] if section == "complexity" else [])
        values = record.get(section, {})
        if not isinstance(values, dict):
            raise ManifestError(f"{section} must be an object", field=section)
        for name in values:
            if name not in names:
                raise unknown_field(f"{section}.{name}", [f"{section}.{each}" for each in names])
