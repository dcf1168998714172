"""The proof of a ban as a file: what it holds, what is found wrong with it, and what is no such file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.client.receipts import materials
from pangea.compute.client.receipts.ban_check import _said, said_by
from pangea.compute.data.array import Array
from pangea.compute.model import frames
from pangea.compute.model.errors import InputError, UnverifiedError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.outcome import Finished
from pangea.compute.model.packet import JobSpec
from pangea.compute.model.tolerance import Tolerance
from pangea.compute.network.identity import Identity, is_signed_by
from pangea.compute.orchestrator.rules.trust import Verdict
from pangea.compute.verification.ban_file import CONTENT_BYTES_MAX, VERDICTS, BanProof, dumps, is_ban_file, loads
from pangea.compute.verification.digests import digest_of
from pangea.compute.verification.receipts import Record
from tests.specs import signed_spec

OWNER, WORKER = Identity.create(), Identity.create()
MODULE, INPUT = b"\0asm a module", b"\1\0\0\0a framed list"
JOB = JobSpec(job_id=JobId("0af2cdd1-3d5c-4a63-8c6b-7f3a4f8f1a11"), module=sha256(MODULE).hexdigest(), runtime="cd" * 32)
SPEC = signed_spec(JOB, PeerId(OWNER.peer_id), OWNER.sign)


def signed(record: Record) -> Record:
    return replace(record, signature=WORKER.sign(record.statement()))


RECORD = signed(
    Record(
        job_id=SPEC.job_id,
        owner=SPEC.owner,
        task_id=TaskId(f"{SPEC.job_id}:0"),
        function="execute",
        module=SPEC.module,
        runtime=SPEC.runtime,
        spec=SPEC.hash(),
        start=0,
        count=3,
        packs=(1, 2),
        input=sha256(INPUT).digest(),
        output=b"o" * 32,
        fuel=7,
        worker=PeerId(WORKER.peer_id),
    )
)
PROOF = BanProof(verdict="lied", why="its answer isn't what was found", spec=SPEC, record=RECORD, input=INPUT, module=MODULE)


def test_a_proof_comes_back_as_it_was_written_and_nothing_is_wrong_with_it() -> None:
    data = dumps(PROOF)
    assert is_ban_file(data)
    assert not is_ban_file(b'{"pangeaReceipt": 1}')
    assert loads(data) == PROOF
    assert loads(data).findings(is_signed_by) == []


def test_content_beyond_the_file_s_bound_stays_out_of_it() -> None:
    found = loads(dumps(replace(PROOF, input=b"x" * (CONTENT_BYTES_MAX + 1), module=None)))
    assert (found.input, found.module) == (None, None)
    assert found.findings(is_signed_by) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"spec": replace(SPEC, nonce="0" * 32)}, "didn't sign such a job spec"),
        ({"record": replace(RECORD, fuel=8)}, "didn't sign this record"),
        ({"record": signed(replace(RECORD, job_id=JobId("another")))}, "the record is of another job"),
        ({"record": signed(replace(RECORD, module="00" * 32))}, "the record is of another job"),
        ({"record": signed(replace(RECORD, spec=b"s" * 32))}, "the record is of another job"),
        ({"record": signed(replace(RECORD, function="split"))}, "a call that only a job's owner makes"),
        ({"record": signed(replace(RECORD, function="merge", task_id=TaskId(f"{SPEC.job_id}:merge")))}, "only a job's owner"),
        ({"input": b"another"}, "the input isn't the record's"),
        ({"module": b"another"}, "the module isn't the job's"),
        ({"output": frames.pack([b"another"] * 3)}, "the output isn't the record's"),
        ({"output": b"no list"}, "the output isn't the record's"),
    ],
)
def test_whatever_is_wrong_with_a_proof_is_found(changes: dict[str, Any], what: str) -> None:
    assert any(what in each for each in replace(PROOF, **changes).findings(is_signed_by))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"pangeaBan": 2}, "has format 2; this version of pangea-compute reads format 1"),
        ({"pangeaBan": "1"}, "pangeaBan"),
        ({"more": 1}, "more"),
        ({"verdict": 3}, "verdict"),
        ({"verdict": "LIED"}, "it must say one of lied, faulty, misbehaved"),
        ({"record": {}}, "record"),
        ({"record": 7}, "record"),
        ({"input": "***"}, "input"),
    ],
)
def test_what_is_no_such_file_is_refused_by_name(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(UnverifiedError, match=what):
        loads(json.dumps(json.loads(dumps(PROOF)) | changes).encode())


def test_no_field_of_a_proof_can_be_altered_but_for_what_nobody_has_signed() -> None:
    content, count = json.loads(dumps(PROOF)), 0
    for holder, key in places(content):
        before = holder[key]
        for other in others(before):
            holder[key] = other
            try:
                found = loads(json.dumps(content).encode())
            except UnverifiedError:
                found = None
            is_same = found is not None and replace(found, why=PROOF.why, verdict=PROOF.verdict) == PROOF
            assert found is None or is_same or found.findings(is_signed_by), (key, before, other)
            count += 1
        holder[key] = before
    assert count > 1_000


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def others(value: Any) -> Iterator[Any]:
    """Something else of the same kind, and of every other kind."""
    kinds: list[Any] = [None, True, [], {}, "", "x", "\ud800", 0, -1, 1.5, 2**70]
    yield from (each for each in kinds if each != value)
    match value:
        case str():
            yield from (f"{value[:at]}{'0' if value[at] != '0' else '1'}{value[at + 1 :]}" for at in range(0, len(value), 3))
            yield from (other for other in (value + "=", value[:-1], value.upper(), f"{value} ") if other != value)
        case int():
            yield from (value + 1, value - 1, str(value))
        case list():
            yield from (other for other in (value * 2, value[::-1], value[:-1]) if other != value)
        case dict():
            yield value | {"more": 1}


# Under a tolerance.


def given(*numbers: float) -> bytes:
    return frames.pack([Array.of([number], "float32").to_npy() for number in numbers])


def tolerated(body: bytes) -> BanProof:
    """The proof of a ban for numbers, which are in the file."""
    output = digest_of(body, start=RECORD.start, packs=RECORD.packs)
    return replace(PROOF, record=signed(replace(RECORD, output=output)), output=body)


def test_what_a_worker_gave_is_in_the_proof_and_is_what_it_signed() -> None:
    proof = tolerated(given(1.0, 2.0, 3.0))
    assert loads(dumps(proof)) == proof
    assert proof.findings(is_signed_by) == []


@pytest.mark.parametrize(("found", "stands"), [((1.0, 2.0, 3.25), False), ((1.0, 2.0, 3.75), True)])
def test_a_ban_for_numbers_within_the_tolerance_proves_nothing(found: tuple[float, ...], stands: bool) -> None:
    """Their hashes differ all the same."""
    proof, outcome = tolerated(given(1.0, 2.0, 3.0)), Finished(results=given(*found), fuel=7, seconds=0.0)
    tolerance = Tolerance(absolute=0.5)
    assert (_said(proof, outcome, tolerance) != said_by(proof.record)) is stands
    assert _said(proof, outcome, None) != said_by(proof.record)
    with pytest.raises(InputError, match=r"whether they are within 0\.5 can't be said"):
        _said(replace(proof, output=None), outcome, tolerance)


def test_a_record_with_a_hash_that_is_none_is_refused() -> None:
    record = json.loads(dumps(PROOF))["record"]
    with pytest.raises(UnverifiedError, match=r"record\.output is 'xyz'; it must be hexadecimal"):
        loads(json.dumps(json.loads(dumps(PROOF)) | {"record": record | {"output": "xyz"}}).encode())
    with pytest.raises(UnverifiedError, match="the proof of a ban isn't JSON"):
        loads(b'{"pangeaBan": 1')
    with pytest.raises(UnverifiedError, match="the proof of a ban isn't JSON"):
        loads(b"[" * 100_000)


def test_a_file_that_says_two_things_of_one_is_refused_whoever_reads_which() -> None:
    """Python takes the last of a name that stands twice; others take the first, and would see another worker banned."""
    written = dumps(PROOF).decode()
    for name in ("verdict", "worker", "output"):
        twice = written.replace(f'"{name}":', f'"{name}": "something else", "{name}":', 1)
        assert twice != written
        with pytest.raises(UnverifiedError, match="a name stands twice in one object"):
            loads(twice.encode())


def test_a_file_larger_than_any_proof_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "ban.json"
    file.write_bytes(b'{"pangeaBan": 1')
    os.truncate(file, materials.RECEIPT_BYTES_MAX + 1)
    with pytest.raises(InputError, match=r"the proof of a ban .*ban\.json has 512 MiB; at most 512 MiB"):
        materials.read_proof(file)


def test_each_verdict_that_a_node_comes_to_may_stand_in_a_file() -> None:
    assert {*VERDICTS} == {each.value for each in Verdict} - {Verdict.BY_HAND.value}
