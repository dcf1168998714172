from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from pangea.compute.engine.engine import Engine
from pangea.compute.model.ids import JobId, PeerId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions, SplitStrategy, VerificationMode
from pangea.compute.model.report import Report, sandboxes_of
from pangea.compute.node.jobs.jobs import LiveJob
from pangea.compute.node.jobs.reports import report_of
from pangea.compute.node.jobs.starting import spec_of
from pangea.compute.node.storage.records import Stored
from pangea.compute.orchestrator.core.commands import FinishJob
from pangea.compute.orchestrator.core.report import JobReport

MANIFEST = JobManifest(
    module=Content(b"\0asm"),
    inputs=(Content(b"four"), Content(b"seven!!")),
    options=JobOptions(job_id="0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11", split_strategy=SplitStrategy.ADAPTIVE),
)
ALONE = JobReport(
    mode=VerificationMode.ADAPTIVE,
    confidence=None,
    target=0.999,
    lowest_confidence=None,
    chunks=3,
    tasks=2,
    executions=2.0,
    local=2,
    audits=0,
    disputes=0,
    withdrawn=0,
    retries=1,
    backups=0,
    bans=(),
    below_target=(),
    below_target_count=0,
    notes=(),
)
ME = PeerId("12D3")


def report(assessment: JobReport) -> dict[str, Any]:
    live = LiveJob(manifest=MANIFEST, spec=spec_of(MANIFEST), rank=0.0, since=0.0)
    live.counts.segments, live.counts.retries = 2, 4
    live.counts.spent("split", fuel=10, seconds=0.5)
    live.counts.spent("execute", fuel=100, seconds=1.5, prints="hello")
    live.counts.spent("merge", fuel=1, seconds=0.25)
    live.chunks.add_segment(b"four")
    live.chunks.add_segment(b"seven!!")
    live.choices.append("lines: it has line ends")
    live.result = Stored(data=b"result", blob="", size=6)
    command = FinishJob(job_id=JobId("a"), digest=b"", report=assessment)
    return report_of(live, command, ME, engine=cast(Engine, SimpleNamespace(workers=4, place="this machine")), seconds=2.5)


def test_the_figures_are_those_of_the_job() -> None:
    record = report(ALONE)
    assert Report.from_json(record) == Report(
        job_id=MANIFEST.job_id,
        where="node 12D3, 4 worker processes on this machine, each pack in a fresh sandbox",
        verification="adaptive: computed by this node alone, so there was nobody to check",
        seconds=2.5,
        startup_seconds=0.0,
        workers=4,
        split_strategy="adaptive: lines: it has line ends",
        segments=2,
        chunks=2,
        tasks=3,
        retries=5,
        fuel=111,
        bytes_in=11,
        bytes_out=6,
        split_seconds=0.5,
        execute_seconds=1.5,
        merge_seconds=0.25,
        prints="hello",
    )


def test_what_the_orchestrator_says_of_checks_is_beside_it() -> None:
    checks = report(ALONE)["checks"]
    assert (checks["mode"], checks["executions_per_task"], checks["audits"]) == ("adaptive", 1.0, 0)


def test_what_was_checked_is_said_with_its_price_and_its_notes() -> None:
    checked = replace(ALONE, confidence=0.9991, executions=3.0, local=1, bans=(PeerId("liar"),), notes=("a", "b"))
    assert report(checked)["verification"] == "adaptive: 1.50 executions per task, confidence 0.9991 that all is right (a; b)"


def test_work_of_others_that_nobody_checked_is_not_called_this_node_s_own() -> None:
    unchecked = replace(ALONE, mode=VerificationMode.NONE, local=0)
    assert report(unchecked)["verification"] == "none: 1.00 executions per task"


def test_one_is_one_in_words_for_people() -> None:
    whole = Report.from_json(report(ALONE))
    assert str(whole).startswith("2.50 s, 2 chunks in 3 tasks on 4 workers, 11 bytes in")
    alone = replace(whole, chunks=1, tasks=1, workers=1, where=sandboxes_of(1, "this machine"))
    assert str(alone).startswith("2.50 s, 1 chunk in 1 task on 1 worker, 11 bytes in")
    assert "1 worker process on this machine, each pack" in str(alone)
