"""Where in a trace a job is, as it travels."""

from __future__ import annotations

import pytest

from pangea.compute.model.ids import JobId
from pangea.compute.model.manifest import Content, JobManifest
from pangea.compute.model.trace_context import TraceContext, span_of, trace_of, well_formed

TEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_traceparent_is_read_and_written_as_w3c_says() -> None:
    found = TraceContext.parse(TEXT)
    assert found == TraceContext(bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736"), bytes.fromhex("00f067aa0ba902b7"), True)
    assert str(found) == well_formed(TEXT) == TEXT
    assert not TraceContext.parse(TEXT[:-2] + "00").is_sampled  # type: ignore[union-attr]
    assert TraceContext.parse(TEXT[:-2] + "03").is_sampled, "other flags are others'"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        *("", "00", TEXT[:-1], TEXT + "0", TEXT.upper(), "01" + TEXT[2:], f"{TEXT}\n", "garbage " * 20),
        *(TEXT.replace("00f067aa0ba902b7", "0" * 16), f"00-{'0' * 32}-00f067aa0ba902b7-01"),
    ],
)
def test_what_is_none_is_no_trace(text: str) -> None:
    assert TraceContext.parse(text) is None
    assert well_formed(text) == ""


def test_ids_follow_from_what_they_are_of() -> None:
    one, other = trace_of(JobId("a")), trace_of(JobId("b"))
    assert (len(one), len(span_of(one, "x"))) == (16, 8)
    assert one != other == trace_of(JobId("b"))
    assert len({span_of(trace, *names) for trace in (one, other) for names in (("x",), ("x", "y"), ("xy",))}) == 6


def test_a_manifest_carries_it_and_is_the_same_job_with_another() -> None:
    plain = JobManifest(module=Content(b"\0asm"), inputs=(Content(b"x"),))
    traced = JobManifest(module=Content(b"\0asm"), inputs=(Content(b"x"),), trace=TEXT)
    assert traced == plain
    assert JobManifest.from_json(traced.to_json()).trace == TEXT
    assert "traceparent" not in plain.to_json()
    assert JobManifest.from_json(plain.to_json() | {"traceparent": "nonsense"}).trace == ""
