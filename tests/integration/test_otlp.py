"""Traces as a collector gets them: of runs on this machine, and of a job on a tree of nodes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pangea.compute import Client, Job, JobFailedError, submit_job
from pangea.compute.client.submission import tracing
from pangea.compute.engine.engines.local import LocalEngine
from pangea.compute.model.trace_context import SpanKind, SpanRecord, TraceContext
from pangea.compute.network import telemetry
from tests.trees import Tree, digest, lines

pytest.importorskip("opentelemetry.proto", reason="no opentelemetry: pip install 'pangea-compute[otel]' (`make test` does it)")

from tests.otlp import ROOT, Collector, Got, collecting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
_VARIABLES = ("OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")  # so that little is left to be sent at the end
        yield found
        tracing.close()


@Job.define(split_strategy="row_based", min_chunk_size=1 << 10, max_chunk_size=1 << 11, estimated_flops=1e13)
def total() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d" % sum(int(line) % 1000 for line in chunk.splitlines())

    @Job.merge(associative=True)
    def merge(results: list[bytes]) -> bytes:
        return b"%d" % sum(map(int, results))


@Job.define
def fails() -> None:
    @Job.execute
    def execute(chunk: bytes) -> bytes:
        raise ValueError("on purpose")


def test_a_run_on_this_machine_and_each_of_its_calls(python: LocalEngine, collector: Collector) -> None:
    result = submit_job(total, lines(200))
    tracing.close()
    (run,) = collector.named("pangea run")
    calls = [each for each in collector.spans if each is not run]
    assert (run.service, run.parent, run.attributes["pangea.job.name"]) == ("pangea-client", ROOT, "total")
    assert {(each.trace, each.parent) for each in calls} == {(run.trace, run.span)}
    assert sum(each.attributes["pangea.chunk.count"] for each in calls if each.name == "pangea execute") == result.report.chunks
    assert sum(each.attributes["pangea.fuel"] for each in calls) == result.report.fuel
    assert all(run.began <= each.began <= each.ended <= run.ended for each in calls)
    assert collector.paths == {"/v1/traces"}


def test_a_run_that_fails_says_why(python: LocalEngine, collector: Collector) -> None:
    with pytest.raises(JobFailedError):
        submit_job(fails, b"x")
    tracing.close()
    (run,) = collector.named("pangea run")
    assert run.is_error


def test_whatever_a_span_says_it_and_those_beside_it_get_there(collector: Collector) -> None:
    sink = telemetry.telemetry("odd")
    place = TraceContext(bytes(range(16)), bytes(range(8)), is_sampled=True)
    odd: dict[str, str | int | float] = {"text": "\ud800", "much": 2**70, "little": -(2**70), "long": "x" * 10**6, "fine": 1}
    sink.emit(SpanRecord(name="odd", parent=place, began=-5.0, ended=1e300, attributes=odd, error="\udfff"))
    sink.emit(SpanRecord(name="beside", parent=place, began=1.0, ended=2.0))
    sink.close()
    assert [each.name for each in collector.spans] == ["odd", "beside"]
    assert collector.spans[0].attributes == {
        "text": "\\ud800",
        "much": 2**63 - 1,
        "little": -(2**63),
        "long": "x" * 4_096,
        "fine": 1,
    }


def test_an_application_s_own_tracing_has_the_run_below_its_span(python: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    with provider.get_tracer("theirs").start_as_current_span("theirs") as theirs:
        submit_job(total, lines(50))
    found = {each.name: each for each in kept.get_finished_spans()}
    above = found["pangea run"].parent, found["pangea execute"].parent
    assert [each.span_id for each in above if each] == [theirs.get_span_context().span_id, found["pangea run"].context.span_id]
    assert {each.context.trace_id for each in found.values()} == {theirs.get_span_context().trace_id}


def traces_of(collector: Collector) -> list[list[Got]]:
    """Spans by trace."""
    found: dict[bytes, list[Got]] = {}
    for each in collector.spans:
        found.setdefault(each.trace, []).append(each)
    return list(found.values())


@pytest.mark.long
def test_a_job_on_a_tree_is_one_trace_from_the_client_to_the_last_worker(tmp_path: Path, collector: Collector) -> None:
    with Tree(tmp_path) as tree:
        owner = tree.add(None)
        manager = tree.add(owner)
        worker = tree.add(manager)
        tree.grown(owner, 2)
        for _ in range(10):  # until the last in the line has been given something
            result = submit_job(digest, lines(1_500), node=str(owner.data_dir))
            with Client(str(owner.data_dir)) as client:
                told = client.job(result.report.job_id).trace()
            if any(each.worker == worker.peer for each in told.spans):
                break
        peers = (owner.peer, manager.peer, worker.peer)
    tracing.close()
    assert collector.loose() == {ROOT}, "every parent but the runs' own was sent"
    assert {each.service for each in collector.spans} == {"pangea-client", "pangea-node"}
    for spans in traces_of(collector):
        (run,), (submitted,), (job,) = (
            [each for each in spans if each.name == f"pangea {name}"] for name in ("run", "submit", "job")
        )
        assert (run.parent, submitted.parent, job.parent) == (ROOT, run.span, submitted.span)
    by_id = {each.span: each for each in collector.spans}
    deep = [each for each in collector.named("pangea execute") if each.attributes["pangea.node"] == peers[2]]
    assert deep
    for each in deep:
        manager_s, owner_s = by_id[each.parent], by_id[by_id[each.parent].parent]
        assert [manager_s.name, owner_s.name] == ["pangea delegate"] * 2
        assert (owner_s.attributes["pangea.node"], manager_s.attributes["pangea.node"]) == peers[:2]
        assert by_id[owner_s.parent].name == "pangea job"


def test_off_there_is_nothing_of_it_in_the_process() -> None:
    code = (
        "import sys; from pangea.compute.client.submission.tracing import span\n"
        "with span('x', 'y') as place: assert place.traceparent == ''\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env={"PATH": ""}).returncode == 0


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_the_standard_variables_decide(environ: dict[str, str], wanted: bool) -> None:
    assert telemetry.is_wanted(environ) is wanted


def test_a_console_s_spans_stay_out_of_the_result(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    with tracing.span("told", "b"):
        pass
    tracing.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert '"name": "told"' in err


def test_what_cannot_be_had_is_warned_of_once_and_nothing_else_suffers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    try:
        with pytest.warns(RuntimeWarning, match="no traces: traces can't go out by 'zipkin'"), tracing.span("a", "b") as place:
            assert place.traceparent == ""
        with tracing.span("a", "b", SpanKind.PRODUCER) as place:
            assert place.traceparent == ""
    finally:
        tracing.close()


@pytest.mark.long
def test_a_collector_that_is_not_there_keeps_nobody_from_ending(python: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert submit_job(total, lines(50)) == total.run_local(lines(50))
    tracing.close()
