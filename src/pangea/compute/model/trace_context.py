"""Where in a distributed trace something belongs: W3C's trace context, and span ids that nodes agree on without telling. Pure.

A job is one trace: its client's, if that traces, else one whose id follows from the job's. A span's id follows from what it is
of, so who was given a task knows the id of its giver's span, though neither tells the other more than the job's trace.

Source: W3C Trace Context, level 1 (traceparent); OpenTelemetry's trace API (kinds, ids).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import sha256
from typing import Self

from pangea.compute.model.ids import JobId
from pangea.compute.model.trace import Span

#: The name of the manifest's field.
TRACEPARENT = "traceparent"
NO_SPAN = bytes(8)
_SAMPLED = 1
_FORM = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace.

    Attributes:
        trace: 16 bytes, not all zero.
        span: 8 bytes; all zero: the trace has no span yet.
        is_sampled: whether anybody is to record it.
    """

    trace: bytes
    span: bytes = NO_SPAN
    is_sampled: bool = True

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a traceparent; None if it is none, as W3C wants it: then there is no trace."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        trace, span = bytes.fromhex(found[1]), bytes.fromhex(found[2])
        return cls(trace, span, bool(int(found[3], 16) & _SAMPLED)) if any(trace) and any(span) else None

    def __str__(self) -> str:
        """As a traceparent."""
        return f"00-{self.trace.hex()}-{self.span.hex()}-{_SAMPLED if self.is_sampled else 0:02x}"


def well_formed(text: str) -> str:
    """A traceparent as it came, or "" if it is none."""
    return text if TraceContext.parse(text) is not None else ""


def trace_of(job_id: JobId) -> bytes:
    """The trace id of a job whose client says none."""
    return sha256(f"pangea trace\0{job_id}".encode()).digest()[:16]


def span_of(trace: bytes, *names: str) -> bytes:
    """The id of a span in a trace, from what it is of."""
    return sha256(trace + "\0".join(names).encode()).digest()[:8]


def about_call(call: Span) -> dict[str, str | int | float]:
    """What there is to say of a call that a job's trace has noted, or of some that it tells together."""
    return {
        "pangea.worker": call.worker,
        "pangea.chunk.first": call.start,
        "pangea.chunk.count": call.count,
        "pangea.input.bytes": call.size_bytes,
        "pangea.tasks": call.tasks,
        "pangea.attempts": call.attempts,
        "pangea.fuel": call.fuel,
        "pangea.sandbox.seconds": call.seconds,
    }


class SpanKind(Enum):
    """OpenTelemetry's kinds, as far as there are such spans."""

    INTERNAL = auto()
    SERVER = auto()
    CLIENT = auto()
    PRODUCER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRecord:
    """A span that is over.

    Attributes:
        name: one of few.
        parent: where it belongs; its trace, and the span above it.
        span: its own id, 8 bytes; empty: any.
        began, ended: seconds since 1970.
        attributes: what there is to say, by name.
        error: what went wrong; "": nothing.
    """

    name: str
    parent: TraceContext
    span: bytes = b""
    kind: SpanKind = SpanKind.INTERNAL
    began: float
    ended: float
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    error: str = ""
