"""OpenTelemetry's only door: spans go out as OTLP, if the environment asks for it by OpenTelemetry's own variables.

Nothing of OpenTelemetry is imported before. Where an application has set up tracing itself, its spans are the application's.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from pangea.compute.model.errors import ConfigError
from pangea.compute.model.trace_context import NO_SPAN, SpanKind, SpanRecord, TraceContext

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTERS = {
    "http/protobuf": ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "OTLPSpanExporter"),
    "grpc": ("opentelemetry.exporter.otlp.proto.grpc.trace_exporter", "OTLPSpanExporter"),
    "console": ("opentelemetry.sdk.trace.export", "ConsoleSpanExporter"),
}
#: What is left is sent so long at the end; a collector that doesn't answer keeps nobody from ending.
_CLOSE_SECONDS = 5.0
#: Of an attribute; a job's name may be long.
_TEXT_CHARACTERS_MAX = 4_096
_INT64_MAX = 2**63 - 1


class _Provider(Protocol):
    def get_tracer(self, name: str) -> Tracer: ...

    def shutdown(self) -> None: ...


class Telemetry:
    """Where spans go."""

    def __init__(self, provider: _Provider, ids: Any = None) -> None:
        """Send to a tracer provider; with `ids`, what makes its ids, spans have the ids that they are given."""
        self._provider = provider
        self._ids = ids
        self._tracer = provider.get_tracer("pangea.compute")
        self._turn = threading.Lock()

    def is_sampled(self, trace: bytes) -> bool:
        """Whether a trace that begins here is to be recorded: the sampler's choice (OTEL_TRACES_SAMPLER)."""
        sampler: Any = getattr(self._provider, "sampler", None)
        if sampler is None:
            return True
        return bool(sampler.should_sample(None, int.from_bytes(trace), "pangea job").decision.is_sampled())

    def emit(self, record: SpanRecord) -> None:
        """Send a span that is over."""
        with self._turn:
            if self._ids is not None:
                self._ids.given = record.parent.trace, record.span
            span = self._start(record)
        if record.error:
            _fail(span, record.error)
        span.end(end_time=_nanoseconds(record.ended))

    def _start(self, record: SpanRecord) -> Span:
        from opentelemetry import trace

        return self._tracer.start_span(
            record.name,
            context=_context(record.parent, is_remote=bool(record.span)),  # agreed ids are for parents elsewhere
            kind=trace.SpanKind[record.kind.name],
            attributes=_said(record.attributes),
            start_time=_nanoseconds(record.began),
        )

    @contextmanager
    def span(self, name: str, kind: SpanKind, attributes: Mapping[str, str | int | float]) -> Iterator[TraceContext]:
        """A span around what is done inside, below the current one; tells where in the trace that is."""
        from opentelemetry import trace

        with self._turn:
            if self._ids is not None:
                self._ids.given = None
            span = self._tracer.start_span(name, kind=trace.SpanKind[kind.name], attributes=_said(attributes))
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield _place(span)
            except BaseException as error:
                _fail(span, f"{type(error).__name__}: {error}")
                raise

    def close(self) -> None:
        """Send what is left, for five seconds at most, and nothing any more."""
        closing = threading.Thread(target=self._provider.shutdown, name="pangea-otel-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)


class _Ids:
    """The ids that the next span is given, else any. An `IdGenerator`."""

    def __init__(self, others: Any) -> None:
        self.given: tuple[bytes, bytes] | None = None
        self._others = others

    def generate_trace_id(self) -> int:
        return int(self._others.generate_trace_id()) if self.given is None else int.from_bytes(self.given[0])

    def generate_span_id(self) -> int:
        if self.given is None or not self.given[1]:
            return int(self._others.generate_span_id())
        return int.from_bytes(self.given[1])

    def is_trace_id_random(self) -> bool:
        return self.given is None  # else its like nonetheless, but of the job's choosing


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces: an endpoint for OTLP, or an exporter by name; and nothing that forbids them."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    return bool(exporter) or any(environ.get(name) for name in _ENDPOINTS)


def application_s() -> Telemetry | None:
    """Tracing that the application in this process has set up; None if it has none."""
    sdk, api = sys.modules.get("opentelemetry.sdk.trace"), sys.modules.get("opentelemetry.trace")
    if sdk is None or api is None:
        return None
    provider = api.get_tracer_provider()
    return Telemetry(provider) if isinstance(provider, sdk.TracerProvider) else None


def telemetry(service: str, **attributes: str) -> Telemetry:
    """Tracing as the environment's OTEL_* variables say.

    Args:
        service: its name, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES says another.
        **attributes: of the resource; `_` stands for a full stop.

    Raises:
        ConfigError: OpenTelemetry isn't installed, or the environment wants an exporter that isn't there.
    """
    exporter = _exporter()
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    ids: Any = _Ids(RandomIdGenerator())
    own = {"service.name": service} | {name.replace("_", "."): value for name, value in attributes.items()}
    resource = Resource.create(own).merge(OTELResourceDetector().detect())  # what the environment says goes first
    provider = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Telemetry(provider, ids)


def _exporter() -> Any:
    named = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    kind = (protocol or "http/protobuf") if named == "otlp" else named
    if kind not in _EXPORTERS:
        known = "otlp (over http/protobuf or grpc), console and none"
        raise ConfigError(f"traces can't go out by {kind!r}", hint=f"OTEL_TRACES_EXPORTER knows {known}")
    module, name = _EXPORTERS[kind]
    try:
        made = getattr(import_module(module), name)
        return made(out=sys.stderr) if kind == "console" else made()  # stdout is the result's
    except ImportError as error:
        package = "opentelemetry-exporter-otlp-proto-grpc" if kind == "grpc" else "'pangea-compute[otel]'"
        message = f"the environment (OTEL_…) asks for traces, and {error.name or module} isn't installed"
        raise ConfigError(message, hint=f"pip install {package}, or OTEL_SDK_DISABLED=true") from error


def _context(place: TraceContext, *, is_remote: bool) -> Context:
    from opentelemetry import trace
    from opentelemetry.context import Context

    if place.span == NO_SPAN:
        return Context()
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if place.is_sampled else trace.TraceFlags.DEFAULT)
    above = trace.SpanContext(int.from_bytes(place.trace), int.from_bytes(place.span), is_remote=is_remote, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(above), Context())


def _place(span: Span) -> TraceContext:
    found = span.get_span_context()
    return TraceContext(found.trace_id.to_bytes(16), found.span_id.to_bytes(8), found.trace_flags.sampled)


def _fail(span: Span, why: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, _text(why[:1000])))


def _said(attributes: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
    """Attributes that OTLP has room for: what it hasn't would take all spans with it that are sent together."""
    return {name: _within(value) for name, value in attributes.items()}


def _within(value: str | int | float) -> str | int | float:
    if isinstance(value, str):
        return _text(value[:_TEXT_CHARACTERS_MAX])
    return min(max(value, -_INT64_MAX - 1), _INT64_MAX) if isinstance(value, int) else value


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()  # halves of surrogates have no UTF-8


def _nanoseconds(seconds: float) -> int:
    return int(min(max(seconds * 1e9, 0.0), _INT64_MAX))
