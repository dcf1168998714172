"""What crosses the wire comes out as it went in; whatever else comes in is a typed error, cheaply."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pangea.compute.model.errors import JobFailedError, ManifestError, PangeaError, QuotaError, UnavailableError, from_json
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.options import JobOptions
from pangea.compute.model.progress import JobState
from pangea.compute.model.status import JobStatus
from pangea.compute.network.rpc import codec, rpc
from tests.deadlines import Cost
from tests.property.drawn import BY_PATH, ERRORS, JSON, STATUSES, TEXTS, TRAVELLING, manifests

MANIFEST, STATUS = rpc.SCHEMA.ComputeJobManifest, rpc.SCHEMA.ComputeJobStatus
#: The dearest takes a fiftieth of it; whatever grows with the square of eight million takes days.
REFUSAL_SECONDS = 2.0
HUGE = 8_000_000
NUMBERS = ("minChunkSize", "maxChunkSize", "redundancy", "retryCount", "timeoutSecs", "timeoutMs")
WORDS = ("jobId", "splitStrategy", "verificationMode", "priority", "locality", "operationType", "limits", "name")


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def travelled(message: Any, kind: Any) -> Any:
    """A reader of what `message` is on the wire."""
    return kind.from_bytes(message.to_bytes())


def read_manifest(message: Any) -> JobManifest:
    with travelled(message, MANIFEST) as reader:
        return asyncio.run(codec.manifest_from_wire(reader))


def plain(**fields: Any) -> Any:
    """A manifest on the wire, with nothing that it needn't have."""
    return MANIFEST.new_message(**{"wasmModule": b"\0asm", **fields})


@given(manifests(TRAVELLING))
def test_a_manifest_arrives_as_it_was_sent(manifest: JobManifest) -> None:
    message = MANIFEST.new_message()
    codec.manifest_to_wire(manifest, message)
    assert read_manifest(message) == manifest


@given(manifests(BY_PATH))
def test_a_file_s_name_does_not_travel(manifest: JobManifest) -> None:
    with pytest.raises(ManifestError, match="has to be read before it travels"):
        codec.manifest_to_wire(manifest, MANIFEST.new_message())


@pytest.mark.parametrize(
    ("said", "read"), [(TRACE, TRACE), ("nonsense", ""), (TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), "")]
)
def test_a_trace_arrives_and_one_that_is_none_is_nowhere(said: str, read: str) -> None:
    message = MANIFEST.new_message()
    codec.manifest_to_wire(JobManifest(module=Content(b"\0asm"), inputs=(Content(b""),), trace=said), message)
    assert read_manifest(message).trace == read


def test_what_the_original_schema_leaves_out_has_its_default() -> None:
    manifest = read_manifest(plain(inputData=b"in"))
    assert manifest == JobManifest(module=Content(b"\0asm"), inputs=(Content(b"in"),), options=JobOptions(timeout=300))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(NUMBERS, st.integers(0, 2**32 - 1)),
            **dict.fromkeys(WORDS, TEXTS | st.sampled_from(["custom", "high", "none", "null", "[]", '{"fuel": 1}'])),
            **dict.fromkeys(("confidence", "estimatedFlops"), st.floats()),
            "delimiter": st.binary(max_size=300),
            "inputContents": st.lists(st.fixed_dictionaries({"sha256": TEXTS, "size": st.integers(0, 2**64 - 1)}), max_size=3),
        },
    )
)
def test_whatever_the_fields_say_is_a_manifest_or_a_manifest_error(fields: dict[str, Any]) -> None:
    message = plain(**fields)
    try:
        manifest = read_manifest(message)
    except ManifestError as error:
        assert len(json.dumps(error.to_json())) < 2_000  # noqa: PT017
    else:
        assert JobManifest.from_json(manifest.to_json()) == manifest


DEEP = "[" * 100_000
HOSTILE = {
    "a long name of a limit": {"limits": json.dumps({"abcdefgh" * (HUGE // 8): 1})},
    "a long value of a limit": {"limits": json.dumps({"fuel": "x" * HUGE})},
    "a number of ten thousand digits": {"limits": '{"fuel": %s}' % ("9" * 10_000)},
    "limits nested deeper than the reader goes": {"limits": DEEP},
    "limits that are a list": {"limits": "[]"},
    "limits that aren't JSON": {"limits": "{"},
    "a limit that is no number": {"limits": '{"time": NaN}'},
    "a limit that is infinite": {"limits": '{"fuel": Infinity}'},
    "a long strategy": {"splitStrategy": "fixed_siz" * (HUGE // 9)},
    "a long priority": {"priority": "h" * HUGE},
    "a long id": {"jobId": "a" * HUGE},
    "a long kind of work": {"operationType": "a" * HUGE},
    "a long name": {"name": "a" * HUGE},
    "a long delimiter": {"delimiter": bytes(HUGE)},
    "confidence that is no number": {"confidence": float("nan")},
    "infinite work": {"estimatedFlops": float("inf")},
    "negative work": {"estimatedFlops": -1.0},
    "a retry without end": {"retryCount": 2**32 - 1},
    "time without end": {"timeoutMs": 2**64 - 1},
    "chunks larger than any": {"maxChunkSize": 2**64 - 1},
    "the smallest chunk above the largest": {"minChunkSize": 10**7, "maxChunkSize": 10},
    "a hash that is none": {"inputContents": [{"sha256": "g" * 64, "size": 1}]},
    "a long hash": {"inputContents": [{"sha256": "a" * HUGE, "size": 1}]},
    "a control character in the name": {"name": "a\x1b[2J"},
}


@pytest.mark.parametrize("fields", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_field_is_refused_cheaply_and_in_few_words(fields: dict[str, Any]) -> None:
    message = plain(**fields).to_bytes()
    with MANIFEST.from_bytes(message) as reader:
        with Cost() as cost, pytest.raises(ManifestError) as refused:
            asyncio.run(codec.manifest_from_wire(reader))
        assert cost.seconds < REFUSAL_SECONDS
    assert len(codec.failure_to_text(refused.value)) < 2_000


def test_too_many_inputs_are_refused_before_they_are_looked_at() -> None:
    message = plain()
    message.init("inputContents", 100_001)
    with pytest.raises(ManifestError, match=r"100,001 inputs; at most 100,000"):
        read_manifest(message)


@pytest.mark.parametrize("field", WORDS)
def test_text_that_is_no_utf_8_is_refused(field: str) -> None:
    message = bytearray(plain(**{field: "abcdefgh"}).to_bytes())
    message[message.index(b"abcdefgh")] = 0xFF
    with MANIFEST.from_bytes(bytes(message)) as reader, pytest.raises(ManifestError, match="isn't UTF-8"):
        asyncio.run(codec.manifest_from_wire(reader))


def test_a_manifest_without_a_module_is_refused_where_modules_are_looked_at() -> None:
    assert read_manifest(MANIFEST.new_message()).module == Content(b"")


@given(STATUSES)
def test_a_status_arrives_as_it_was_sent(status: JobStatus) -> None:
    message = STATUS.new_message()
    codec.status_to_wire(status, message)
    with travelled(message, STATUS) as reader:
        assert codec.status_from_wire(reader) == status
        assert (reader.jobId, reader.status, reader.timeRemainingIsKnown) == (
            *(status.job_id, status.state, status.seconds_left is not None),
        )
        assert reader.completedChunks == min(status.completed_chunks, 2**32 - 1)


def test_a_status_of_the_original_schema_says_what_it_can() -> None:
    message = STATUS.new_message(jobId="a", status="running", progress=0.5, completedChunks=2, totalChunks=4)
    with travelled(message, STATUS) as reader:
        assert codec.status_from_wire(reader) == JobStatus(
            job_id="a",  # type: ignore[arg-type]
            state=JobState.RUNNING,
            progress=0.5,
            completed_chunks=2,
            total_chunks=4,
        )


DETAILS = ["{", "[]", "null", "1", "{}", '{"job_id": 1, "state": "running"}', '{"job_id": "a", "state": "lost"}', DEEP]


@pytest.mark.parametrize("fields", [{"status": "lost"}, {}, *({"status": "running", "detail": text} for text in DETAILS)])
def test_a_status_that_makes_no_sense_is_an_error_that_says_so(fields: dict[str, Any]) -> None:
    message = STATUS.new_message(**fields)
    with travelled(message, STATUS) as reader, pytest.raises(UnavailableError, match="the node's answer can't be read"):
        codec.status_from_wire(reader)


@given(ERRORS)
def test_an_error_arrives_as_it_was_raised(error: PangeaError) -> None:
    with pytest.raises(type(error)) as raised:
        codec.raise_failure(codec.failure_to_text(error))
    assert raised.value.to_json() == error.to_json()
    assert getattr(raised.value, "traceback", "") == getattr(error, "traceback", "")


@pytest.mark.parametrize("text", ["{", "[]", "null", "1", '"x"', DEEP])
def test_a_failure_that_is_none_is_an_error_that_says_so(text: str) -> None:
    with pytest.raises(UnavailableError, match="the node's answer can't be read"):
        codec.raise_failure(text)


CODES = st.sampled_from(["QUOTA_EXCEEDED", "JOB_FAILED", "LIMIT_EXCEEDED", "NEW_IN_9", ""])
FIELDS = st.sampled_from(["self", "message", "hint", "traceback", "function", "chunk_index", "fuel"])


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "code": CODES | JSON,
            **dict.fromkeys(("message", "hint", "traceback", "function", "chunk_index"), JSON),
            "details": JSON | st.dictionaries(FIELDS | TEXTS, JSON),
        },
    )
)
def test_whatever_an_error_s_record_says_it_is_an_error(record: dict[str, Any]) -> None:
    error = from_json(record)
    assert json.loads(codec.failure_to_text(error))["message"] == error.message
    if isinstance(error, JobFailedError):
        assert isinstance(error.traceback, str)
        assert isinstance(error.function, str)
        assert error.chunk_index is None or isinstance(error.chunk_index, int)


def test_an_error_of_a_later_version_keeps_its_code() -> None:
    error = from_json({"code": "NEW_IN_9", "message": "m", "hint": "h", "details": {"figure": 1}})
    assert (type(error), error.code, error.message, error.hint, error.details) == (
        *(PangeaError, "NEW_IN_9", "m", "h", {"figure": 1}),
    )
    assert PangeaError.code == "ERROR"


def test_clients_of_the_original_schema_get_one_line() -> None:
    assert codec.summary(QuotaError("full", hint="wait")) == "QUOTA_EXCEEDED: full (wait)"
    assert codec.summary(QuotaError("full")) == "QUOTA_EXCEEDED: full"
