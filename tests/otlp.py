"""A collector of traces: takes OTLP over HTTP in this process, and keeps the spans."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

ROOT = bytes(8)


@dataclass(frozen=True)
class Got:
    """A span as it came."""

    name: str
    service: str
    trace: bytes
    span: bytes
    parent: bytes
    began: int
    ended: int
    is_error: bool
    attributes: dict[str, Any]


@dataclass
class Collector:
    """What has come. `endpoint` is for OTEL_EXPORTER_OTLP_ENDPOINT."""

    endpoint: str
    spans: list[Got] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)

    def named(self, name: str) -> list[Got]:
        return [each for each in self.spans if each.name == name]

    def loose(self) -> set[bytes]:
        """Parents that aren't there; a root's is `ROOT`."""
        return {each.parent for each in self.spans} - {each.span for each in self.spans}

    def take(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(group.resource.attributes).get("service.name", "")
            self.spans += [_got(service, span) for scope in group.scope_spans for span in scope.spans]


@contextmanager
def collecting() -> Iterator[Collector]:
    """One that listens on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found.take(self.path, body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _got(service: str, span: Any) -> Got:
    return Got(
        name=span.name,
        service=service,
        trace=span.trace_id,
        span=span.span_id,
        parent=span.parent_span_id or ROOT,
        began=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        is_error=span.status.code == 2,
        attributes=_values(span.attributes),
    )


def _values(pairs: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in pairs}
