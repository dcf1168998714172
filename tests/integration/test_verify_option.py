"""`submit_job(..., verify=True)`: all of it executed again here, whoever computed it first; what differs is an error."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute import Job, Result, asubmit_job, submit_job
from pangea.compute.client.submission.confirming import confirmed
from pangea.compute.engine.engine import Engine
from pangea.compute.inputs.inputs import open_inputs
from pangea.compute.model.errors import JobFailedError, UnavailableError, UnverifiedError
from pangea.compute.model.progress import Progress
from pangea.compute.model.report import Report
from pangea.compute.model.trace import Check, Trace
from pangea.compute.verification.receipt_file import dumps
from pangea.compute.verification.receipts import Record
from tests.nodes import NodeProcess
from tests.signing import SigningNode

TEXT = b"the quick brown fox jumps over the lazy dog and runs away\n" * 4
LINES: dict[str, Any] = {"split_strategy": "row_based", "min_chunk_size": 1, "max_chunk_size": 60}


@Job.define(**LINES)
def words() -> None:
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return chunk.upper()

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return b",".join(results)


@Job.define(split_strategy="row_based", min_chunk_size=1 << 10)
def counting() -> None:
    """Keeps a count from one chunk for the next: what it gives depends on how chunks are packed."""
    seen: list[bytes] = []

    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        seen.append(chunk)
        return b"%d," % len(seen)


@Job.define
def failing() -> None:
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        return b"%d" % (10 // int(chunk))


def test_a_job_that_gives_the_same_bytes_twice_stands() -> None:
    result = submit_job(words, TEXT, verify=True)
    assert bytes(result) == words.run_local(TEXT)
    report = result.report
    assert "computed by this machine alone, and executed again in " in report.verification
    assert f"4 segments, {report.chunks:,} chunks, 1 group; all equal, byte for byte" in report.verification
    assert report.trace is not None
    assert {span.check for span in report.trace.spans} == {Check.AGAIN}
    assert report.trace.tasks == report.tasks


def test_a_function_that_remembers_gives_the_same_every_time_and_the_report_says_that_it_remembers() -> None:
    result = submit_job(counting, TEXT, verify=True, chunks_per_pack=3)
    assert "all equal" in result.report.verification
    (warning,) = result.report.warnings
    assert "chunks influence each other: chunk 2 gives" in warning
    assert "isolate=True" in warning
    assert f"warning: {warning}" in str(result.report)
    again = submit_job(counting, TEXT, chunks_per_pack=3)
    assert (again, again.report.fuel) == (result, result.report.fuel)
    assert submit_job(counting, TEXT, isolate=True).report.warnings == ()


def test_it_can_be_awaited() -> None:
    assert "all equal" in asyncio.run(asubmit_job(words, TEXT, verify=True)).report.verification


def test_the_trace_says_which_process_did_what() -> None:
    result = submit_job(words, TEXT, min_chunk_size=1)
    trace = result.report.trace
    assert trace is not None
    assert "trace" not in result.report.to_json()
    assert Report.from_json(result.report.to_json()) == result.report
    assert {span.check for span in trace.spans} == {Check.HERE}
    assert sum(span.fuel for span in trace.spans) == result.report.fuel
    assert sum(span.count for span in trace.spans if span.function == "execute") == result.report.chunks
    assert {span.worker for span in trace.spans} <= {str(number) for number in range(1, result.report.workers + 1)}
    assert all(0 <= span.began < span.ended <= result.report.seconds for span in trace.spans)
    for worker in {span.worker for span in trace.spans}:
        own = [span for span in trace.spans if span.worker == worker]
        assert all(a.ended <= b.began for a, b in itertools.pairwise(own)), "a process does one thing at a time"


def test_a_failure_brings_what_is_known_of_the_run() -> None:
    with pytest.raises(JobFailedError) as caught:
        submit_job(failing, b"1 2 0 4", min_chunk_size=1)
    report = caught.value.report
    assert isinstance(report, Report)
    assert isinstance(report.trace, Trace)
    assert report.bytes_in == 7
    assert report.trace.tasks == report.tasks


# What a node has computed


def node(engine: Engine, **changes: Any) -> SigningNode:
    return SigningNode(engine, words.archive(), [TEXT], options=LINES, split_size=2, execute_size=7, fan_in=3, **changes)


def some_report() -> Report:
    return replace(submit_job(words, b"x").report, verification="adaptive: said the node")


def confirm(worker: SigningNode, *, result: bytes | None = None, data: bytes = TEXT, module: bytes | None = None) -> Result:
    receipt = dumps(worker.receipt())
    given = Result(worker.result if result is None else result, some_report())
    told: list[Progress] = []
    with open_inputs([data]) as inputs:
        found = confirmed(given, receipt, worker.archive if module is None else module, inputs, told.append)
    assert any("executing again" in progress.phase for progress in told)
    return found


def test_an_honest_node_is_confirmed(python: Engine) -> None:
    found = confirm(node(python))
    assert found.report.verification.startswith("adaptive: said the node; its receipt's signatures are right, and all ")
    assert found.report.verification.endswith(": all the same")


def test_a_lie_is_found_though_it_is_signed(python: Engine) -> None:
    def lie(record: Record) -> Record:
        return replace(record, output=sha256(b"lie").digest()) if record.function == "execute" else record

    with pytest.raises(UnverifiedError, match=r"the node's result doesn't stand: .*output of execute") as caught:
        confirm(node(python, lie=lie))
    assert caught.value.report.verification == "adaptive: said the node"


def test_what_the_receipt_is_about_is_looked_at_first(python: Engine) -> None:
    worker = node(python)
    with pytest.raises(UnverifiedError, match="about another result"):
        confirm(worker, result=b"other")
    with pytest.raises(UnverifiedError, match="about other inputs"):
        confirm(worker, data=TEXT + b"more")
    with pytest.raises(UnverifiedError, match="about another module"):
        confirm(worker, module=b"\0asm")
    with pytest.raises(UnverifiedError, match="receipt"), open_inputs([TEXT]) as inputs:
        confirmed(Result(worker.result, some_report()), b"no receipt", worker.archive, inputs, None)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("verify")
    with NodeProcess(folder / "node", "--stop-seconds", "0") as process:
        yield process.data_dir


@pytest.mark.slow
def test_a_real_node_s_result_is_confirmed(data_dir: Path) -> None:
    result = submit_job(words, TEXT, node=str(data_dir), verify=True)
    assert bytes(result) == words.run_local(TEXT)
    assert "were executed again here" in result.report.verification
    assert "receipt" not in submit_job(words, TEXT, node=str(data_dir)).report.verification


@pytest.mark.slow
def test_another_runtime_can_t_say(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pangea.compute.client.receipts.materials.runtime.sha256", lambda: "0" * 64)
    with pytest.raises(UnavailableError, match="compare within one runtime"):
        submit_job(words, TEXT, node=str(data_dir), verify=True)
