"""Records that come from a node, which may be a stranger's or a later version's: what is wrong with them is said."""

from __future__ import annotations

import pickle
from dataclasses import fields
from typing import Any

import pytest

from pangea.compute.model.errors import JobFailedError, ManifestError, PangeaError, UnavailableError, from_json
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import JobState
from pangea.compute.model.report import Report
from pangea.compute.model.status import JobOutcome, JobStatus

STATUS = {"job_id": "2f1c7a3e-0c4b-4f44-9d6f-0d3f0a6f5b11", "state": "complete", "later": "a newer version's"}
_BLANK = {"str": "", "int": 0, "float": 0.0}
REPORT = {each.name: _BLANK[str(each.type)] for each in fields(Report) if str(each.type) in _BLANK}


def test_a_status_comes_back_and_what_a_later_version_says_is_left_out() -> None:
    assert JobStatus.from_json(STATUS).state is JobState.COMPLETE
    outcome = JobOutcome.from_json({"status": STATUS, "size": 3}, b"abc")
    assert (outcome.data, outcome.size) == (b"abc", 3)
    assert JobOutcome.from_json(outcome.to_json(), b"abc") == outcome


@pytest.mark.parametrize(
    ("record", "data", "what"),
    [
        ([], None, "JobOutcome is a list, not an object"),
        ({}, None, "JobOutcome has no status"),
        ({"status": {"state": "complete"}}, None, "JobStatus has no job_id"),
        ({"status": STATUS | {"progress": "much"}}, None, r"JobStatus\.progress is 'much'"),
        ({"status": STATUS | {"restarts": True}}, None, r"JobStatus\.restarts is 'True'"),
        ({"status": STATUS | {"state": "elsewhere"}}, None, "state is 'elsewhere'"),
        ({"status": STATUS, "size": -1}, None, "a result of -1 bytes"),
        ({"status": STATUS, "size": 4}, b"abc", "a result of 4 bytes, and 3 came"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused_and_says_where(record: Any, data: bytes | None, what: str) -> None:
    with pytest.raises(UnavailableError, match=what):
        JobOutcome.from_json(record, data)


def test_a_report_takes_its_warnings_as_text_and_leaves_its_trace_to_whoever_asks() -> None:
    report = Report.from_json(REPORT | {"warnings": ["chunks influence each other"], "trace": {"spans": []}})
    assert report.warnings == ("chunks influence each other",)
    assert report.trace is None
    assert "chunks influence each other" in str(report)
    with pytest.raises(UnavailableError, match="Report is a str, not an object"):
        Report.from_json("whole")


def test_an_error_comes_back_as_its_class_and_an_unknown_one_keeps_its_code() -> None:
    error = ManifestError("too large", hint="less", field="size")
    again = from_json(error.to_json())
    assert (type(again), again.message, again.hint, again.details) == (ManifestError, "too large", "less", {"field": "size"})
    later = from_json({"code": "OF_A_LATER_VERSION", "message": "who knows", "details": {"self": 1, "message": 2, "left": 3}})
    assert (type(later), later.code, later.details) == (PangeaError, "OF_A_LATER_VERSION", {"left": 3})
    assert type(from_json({"details": "none"})) is PangeaError


def test_a_job_s_failure_is_of_the_type_that_its_traceback_names_and_survives_pickling() -> None:
    trace = 'Traceback (most recent call last):\n  File "job.py", line 3, in execute\nZeroDivisionError: division by zero'
    record = JobFailedError("execute raised", traceback=trace, function="execute", chunk_index=2).to_json() | {"traceback": trace}
    error = from_json(record)
    assert isinstance(error, ZeroDivisionError)
    assert isinstance(error, JobFailedError)
    assert (error.function, error.chunk_index, str(error)) == ("execute", 2, "execute raised")
    again = pickle.loads(pickle.dumps(error))  # our own
    assert (type(again), again.__dict__) == (type(error), error.__dict__)
    own = from_json(record | {"traceback": trace.replace("ZeroDivisionError", "OwnError"), "chunk_index": "two"})
    assert (type(own), own.chunk_index) == (JobFailedError, None)
    group = from_json(record | {"traceback": trace.replace("ZeroDivisionError", "ExceptionGroup")})
    assert type(group) is JobFailedError


def test_options_say_what_was_chosen_and_refuse_two_answers_to_one_question() -> None:
    assert JobOptions().chosen() == {}
    chosen = JobOptions.of({"chunks_per_pack": 3, "delimiter": b"\n\n", "limits": {"fuel": 7}}).chosen()
    assert (chosen["chunks_per_pack"], chosen["delimiter"], chosen["limits"]["fuel"]) == (3, r"\n\n", 7)
    assert (JobOptions(isolate=True).chunks_per_pack, JobOptions(chunks_per_pack=1).isolate) == (1, True)
    with pytest.raises(ManifestError, match="isolate puts one chunk into each pack, chunks_per_pack 2"):
        JobOptions(isolate=True, chunks_per_pack=2)
