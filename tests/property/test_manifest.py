"""Manifests and statuses as JSON: there and back; whatever else is read is a typed error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.errors import ManifestError, UnavailableError
from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import JobState
from pangea.compute.model.report import Report
from pangea.compute.model.status import Capacity, JobOutcome, JobStatus, NodeInfo
from tests.property.drawn import BY_HASH, BY_PATH, COUNTS, INLINE, JSON, REALS, STATUSES, TEXTS, manifests

ANY = manifests(INLINE | BY_HASH | BY_PATH)
FIELDS = st.sampled_from(
    ["jobId", "name", "wasmModule", "inputData", "complexity", "config", "routing", "limits", "delimiter", "confidence"]
)
INFOS = st.builds(
    NodeInfo,
    peer_id=TEXTS,
    version=TEXTS,
    capacity=st.builds(Capacity, cpu_cores=COUNTS, ram_mb=COUNTS, current_load=st.floats(0, 1)),
    uptime=REALS,
    jobs=st.dictionaries(TEXTS, COUNTS, max_size=3),
    tasks=st.dictionaries(TEXTS, COUNTS, max_size=3),
    rates=st.dictionaries(TEXTS, REALS, max_size=3),
    loop_stall_ms=REALS,
    stored_bytes=COUNTS,
    owner_fuel=COUNTS,
)
REPORTS = st.builds(
    Report,
    job_id=TEXTS,
    where=TEXTS,
    verification=TEXTS,
    split_strategy=TEXTS,
    prints=TEXTS,
    **dict.fromkeys(("seconds", "startup_seconds", "split_seconds", "execute_seconds", "merge_seconds"), REALS),
    **dict.fromkeys(("workers", "segments", "chunks", "tasks", "retries", "fuel", "bytes_in", "bytes_out"), COUNTS),
)
STATUS = JobStatus(job_id=JobId("a"), state=JobState.RUNNING)


def through_text(record: Any) -> Any:
    return json.loads(json.dumps(record))


@given(ANY)
def test_a_manifest_reads_as_it_was_written(manifest: JobManifest) -> None:
    assert JobManifest.from_json(through_text(manifest.to_json())) == manifest


@given(ANY, FIELDS, JSON)
def test_a_manifest_with_a_wrong_field_is_a_manifest_error_or_another_manifest(
    manifest: JobManifest, field: str, value: Any
) -> None:
    record = {**manifest.to_json(), field: value}
    try:
        other = JobManifest.from_json(through_text(record))
    except ManifestError as error:
        assert len(error.message) < 1_000  # noqa: PT017
    else:
        assert JobManifest.from_json(through_text(other.to_json())) == other


@given(JSON)
def test_whatever_is_read_is_a_manifest_or_a_manifest_error(record: Any) -> None:
    with pytest.raises(ManifestError):
        JobManifest.from_json(record)


@pytest.mark.parametrize(
    "content",
    [
        "not base64!",
        "ä",
        "A",
        5,
        None,
        [],
        {},
        {"path": "a", "sha256": "0" * 64, "size": 1},
        {"sha256": "0" * 64},
        {"sha256": "0" * 64, "size": -1},
        {"sha256": "0" * 64, "size": True},
        {"sha256": "0" * 64, "size": 10**30},
        {"sha256": "0" * 64, "size": "1"},
        {"sha256": "0" * 64 + "\n", "size": 1},
        {"sha256": "A" * 64, "size": 1},
        {"path": 5},
        {"path": "a", "mode": "r"},
    ],
)
def test_content_that_is_none_is_refused(content: Any) -> None:
    with pytest.raises(ManifestError):
        JobManifest.from_json({"wasmModule": content})


def test_content_is_one_thing() -> None:
    for wrong in ({}, {"data": b"", "path": "a"}, {"path": "a", "sha256": "0" * 64, "size": 1}):
        with pytest.raises(ManifestError, match="exactly one"):
            Content(**wrong)


@pytest.mark.parametrize(
    ("record", "hint"),
    [
        ({"wasmModul": ""}, "wasmModule"),
        ({"wasmModule": "", "config": {"timeut": 1}}, "config.timeout"),
        ({"wasmModule": "", "limits": {"fule": 1}}, "limits.fuel"),
    ],
)
def test_the_nearest_name_is_given(record: Any, hint: str) -> None:
    with pytest.raises(ManifestError) as refused:
        JobManifest.from_json(record)
    assert refused.value.hint == f"did you mean {hint!r}?"


@given(STATUSES)
def test_a_status_reads_as_it_was_written(status: JobStatus) -> None:
    assert JobStatus.from_json(through_text(status.to_json())) == status


@given(STATUSES, COUNTS, st.none() | st.binary(max_size=20), st.none() | REPORTS)
def test_an_outcome_reads_as_it_was_written(status: JobStatus, size: int, data: bytes | None, report: Report | None) -> None:
    record = report.to_json() if report is not None else None
    outcome = JobOutcome(status=status, size=size if data is None else len(data), data=data, report=record)
    assert JobOutcome.from_json(through_text(outcome.to_json()), data) == outcome


@given(INFOS)
def test_what_is_said_of_a_node_reads_as_it_was_written(info: NodeInfo) -> None:
    assert NodeInfo.from_json(through_text(info.to_json())) == info


@given(REPORTS)
def test_a_report_reads_as_it_was_written_also_with_what_a_node_adds(report: Report) -> None:
    assert Report.from_json(through_text({**report.to_json(), "checks": {}})) == report


def test_what_a_later_version_adds_is_left_out() -> None:
    assert JobStatus.from_json({**STATUS.to_json(), "mood": "good"}) == STATUS


@given(st.sampled_from(sorted(STATUS.to_json())), JSON)
def test_a_status_with_a_wrong_field_is_an_error_or_another_status(field: str, value: Any) -> None:
    try:
        status = JobStatus.from_json({**STATUS.to_json(), field: value})
    except UnavailableError as error:
        assert "can't be read" in error.message  # noqa: PT017
        assert len(error.message) < 300  # noqa: PT017
    else:
        assert getattr(status, field) == value


@pytest.mark.parametrize("field", ["job_id", "state"])
def test_a_status_without_its_job_is_none(field: str) -> None:
    record = STATUS.to_json()
    del record[field]
    if field == "state":
        assert JobStatus.from_json(record).state is JobState.PENDING
        return
    with pytest.raises(UnavailableError, match="JobStatus has no job_id"):
        JobStatus.from_json(record)


OUTCOME = JobOutcome(status=STATUS, size=3).to_json()


@pytest.mark.parametrize(
    ("record", "data"),
    [
        ({}, None),
        ([], None),
        ({**OUTCOME, "status": None}, None),
        ({**OUTCOME, "size": -1}, None),
        ({**OUTCOME, "size": "3"}, None),
        ({**OUTCOME, "size": True}, None),
        ({**OUTCOME, "report": []}, None),
        (OUTCOME, b"four"),
    ],
)
def test_an_outcome_that_makes_no_sense_is_an_error_that_says_so(record: Any, data: bytes | None) -> None:
    with pytest.raises(UnavailableError, match="can't be read"):
        JobOutcome.from_json(record, data)


@given(st.sampled_from(["capacity", "jobs", "rates", "uptime"]), JSON.filter(lambda value: value != {}))
def test_what_is_said_of_a_node_is_checked(field: str, value: Any) -> None:
    record = {name: {} for name in ("jobs", "tasks", "rates")} | {
        "peer_id": "",
        "version": "",
        "capacity": {"cpu_cores": 1, "ram_mb": 1, "current_load": 0.0},
        **dict.fromkeys(("uptime", "loop_stall_ms"), 0.0),
        **dict.fromkeys(("stored_bytes", "owner_fuel"), 0),
    }
    assert NodeInfo.from_json(record).capacity.cpu_cores == 1
    try:
        info = NodeInfo.from_json({**record, field: value})
    except UnavailableError as error:
        assert "can't be read" in error.message  # noqa: PT017
    else:
        assert getattr(info, field) == value


@pytest.mark.parametrize(("config", "seconds"), [({}, 300), ({"timeout": None}, JobOptions().timeout), ({"timeout": 7.5}, 7.5)])
def test_a_manifest_that_leaves_the_timeout_out_means_that_of_the_original_schema(config: dict[str, Any], seconds: float) -> None:
    record = {"wasmModule": "AGFzbQ==", "config": config}
    assert JobManifest.from_json(record).options.timeout == seconds
    del record["config"]
    assert JobManifest.from_json(record).options.timeout == 300
