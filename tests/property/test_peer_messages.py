"""What neighbours send each other arrives as it was sent; whatever else arrives is a `PeerError`, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pangea.compute.model.errors import PeerError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.model.options import Locality, Priority, VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import LEAVES_MAX, Budget, JobSpec, TaskPacket, TaskResult, TaskStatus
from pangea.compute.model.trace_context import TraceContext, well_formed
from pangea.compute.network.identity import Identity
from pangea.compute.network.peers.hello import Hello, Place, path_of, places_of
from pangea.compute.network.rpc import notes, peer_messages, rpc
from pangea.compute.network.rpc.peer_messages import JobHeader
from pangea.compute.orchestrator.core.messages import Beat, Cancel, Exclude, Lease, Recall, Reveal
from pangea.compute.orchestrator.limits import BATCH_MAX, DEPTH_MAX
from tests.examples import share_of
from tests.property.drawn import HASHES, JSON, LIMITS, NAMES, TEXTS
from tests.specs import signed_spec

PACKET, RESULT, DELEGATION = (getattr(rpc.SCHEMA, name) for name in ("ComputeTaskPacket", "ComputeTaskResult", "Delegation"))
DIGESTS = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(0, 2**63 - 1)
BYTES = st.integers(0, 1 << 40)
PEERS = NAMES.map(PeerId)
SECONDS = st.floats(0, 1e9)


def packets() -> st.SearchStrategy[TaskPacket]:
    """Packets as a node sends them."""
    drawn = st.builds(
        TaskPacket,
        task_id=NAMES.map(TaskId),
        function=st.sampled_from(["execute", "merge"]),
        start=st.integers(0, 2**32 - 1),
        count=st.integers(1, 2**32 - 1),
        size_bytes=BYTES,
        inputs=st.lists(DIGESTS, max_size=4).map(tuple),
        avoid=st.frozensets(PEERS, max_size=3),
        commit_first=st.booleans(),
        input=DIGESTS,
        input_bytes=BYTES,
        only=st.none() | PEERS.filter(bool),
    )
    packs = st.just(()) | st.lists(st.integers(1, 2**16), min_size=1, max_size=LEAVES_MAX).map(tuple)
    return st.builds(lambda packet, packs: replace(packet, packs=packs, count=sum(packs) or packet.count), drawn, packs)


RESULTS = st.builds(
    TaskResult,
    task_id=NAMES.map(TaskId),
    status=st.sampled_from([status for status in TaskStatus if status is not TaskStatus.FAILED]),
    worker=PEERS,
    network=TEXTS,
    digest=DIGESTS | st.just(b""),
    leaves=st.lists(DIGESTS, max_size=LEAVES_MAX).map(tuple),
    commitment=DIGESTS | st.just(b""),
    fuel=NUMBERS,
    seconds=SECONDS,
    failure=st.none() | st.sampled_from(FailureKind),
    message=TEXTS,
    body=DIGESTS | st.just(b""),
    body_bytes=BYTES,
    signature=st.just(b"") | st.binary(min_size=64, max_size=64),
)
FAILURES = st.builds(
    lambda result, kind: replace(result, status=TaskStatus.FAILED, failure=kind), RESULTS, st.sampled_from(FailureKind)
)
SPECS = st.builds(
    JobSpec,
    job_id=NAMES.map(JobId),
    module=HASHES,
    runtime=HASHES,
    operation_type=TEXTS,
    estimated_flops=st.floats(0, 1e24),
    verification=st.sampled_from(VerificationMode),
    confidence=st.floats(0.5, 0.999999999),
    redundancy=st.integers(1, 7),
    expected=DIGESTS | st.just(b""),
    priority=st.sampled_from(Priority),
    locality=st.sampled_from(Locality),
    retry_count=st.integers(0, 100),
    timeout=st.integers(1, 7 * 24 * 3600),
    associative=st.booleans(),
    min_task_bytes=st.integers(0, 1 << 30),
    memory=st.integers(0, 1 << 32),
)
BUDGETS = st.builds(
    Budget,
    depth=st.integers(0, DEPTH_MAX),
    fan_out=st.integers(0, 64),
    seconds=SECONDS,
    ancestors=st.lists(PEERS, min_size=1, max_size=DEPTH_MAX).map(tuple),
)
OWNER = Identity.create()
SPEC = JobSpec(job_id=JobId("job"), module="0" * 64, signed=bytes(range(32)))
SIGNED = st.builds(
    lambda limits, name: signed_spec(replace(SPEC, runtime=name), PeerId(OWNER.peer_id), OWNER.sign, limits=limits), LIMITS, NAMES
)
TRACES = st.builds(TraceContext, st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.booleans())
PARCELS = st.builds(
    JobHeader, name=NAMES, signed=st.none() | SIGNED, module_bytes=st.integers(0, 1 << 20), trace=TRACES.map(str).map(well_formed)
)
ATTEMPTS = st.lists(NUMBERS, max_size=5).map(tuple)
NOTES = (
    st.builds(Beat, **dict.fromkeys(("cores", "window", "nodes"), st.integers(0, 10**6)), height=st.integers(0, 64))
    | st.builds(Cancel, attempts=ATTEMPTS)
    | st.builds(Lease, jobs=st.lists(NAMES.map(JobId), max_size=5).map(tuple))
    | st.builds(Recall, count=NUMBERS)
    | st.builds(Reveal, attempts=ATTEMPTS)
    | st.builds(Exclude, job_id=NAMES.map(JobId), workers=st.lists(PEERS, max_size=5).map(tuple))
)
PLACES = st.tuples(PEERS, PEERS, TEXTS.filter(str.isprintable))
HELLOS = st.builds(
    Hello,
    site=TEXTS.filter(str.isprintable),
    path=st.lists(PEERS, max_size=5).map(tuple),
    cores=st.integers(0, 10**6),
    height=st.integers(0, 10**6),
)
BUDGET = Budget(depth=1, fan_out=1, seconds=1.0, ancestors=(PeerId("p"),))
JOB = JobHeader(name="job", module_bytes=8)
GOOD_PACKET = TaskPacket(task_id=TaskId("t"), start=0, count=1, size_bytes=1, input=bytes(32), input_bytes=1)
GOOD_RESULT = TaskResult(task_id=TaskId("t"), worker=PeerId("w"), digest=bytes(32), leaves=(bytes(32),), body=bytes(32))


def as_packet(packet: TaskPacket, attempt: int = 1, data: bytes = b"") -> bytes:
    wire = PACKET.new_message()
    peer_messages.packet_to_wire(attempt, packet, SPEC, BUDGET, data, wire)
    return bytes(wire.to_bytes())


def as_result(result: TaskResult, attempt: int = 1, data: bytes = b"") -> bytes:
    wire = RESULT.new_message()
    peer_messages.result_to_wire(attempt, result, data, wire)
    return bytes(wire.to_bytes())


def as_delegation(spec: JobSpec = SPEC, budget: Budget = BUDGET, job: JobHeader = JOB) -> bytes:
    wire = DELEGATION.new_message()
    peer_messages.delegation_to_wire(spec, budget, job, wire)
    return bytes(wire.to_bytes())


KINDS: dict[str, tuple[Any, Callable[[Any], Any], bytes]] = {
    "packet": (PACKET, peer_messages.packet_from_wire, as_packet(GOOD_PACKET)),
    "result": (RESULT, peer_messages.result_from_wire, as_result(GOOD_RESULT)),
    "delegation": (DELEGATION, peer_messages.delegation_from_wire, as_delegation()),
}


def read(kind: str, data: bytes) -> Any:
    schema, reader, _ = KINDS[kind]
    with schema.from_bytes(data) as wire:
        return reader(wire)


# What is sent arrives.


@given(NUMBERS, packets(), st.binary(max_size=20))
def test_a_packet_arrives_as_it_was_sent(attempt: int, packet: TaskPacket, data: bytes) -> None:
    assert read("packet", as_packet(packet, attempt, data)) == (attempt, packet)
    with PACKET.from_bytes(as_packet(packet, attempt, data)) as wire:
        assert peer_messages.spec_hash_of(wire) == SPEC.signed


@given(NUMBERS, RESULTS | FAILURES, st.binary(max_size=20))
def test_an_answer_arrives_as_it_was_sent(attempt: int, result: TaskResult, data: bytes) -> None:
    assert read("result", as_result(result, attempt, data)) == (attempt, result)


@given(SPECS, BUDGETS, PARCELS)
def test_what_is_said_once_for_a_batch_arrives_as_it_was_sent(spec: JobSpec, budget: Budget, job: JobHeader) -> None:
    assert read("delegation", as_delegation(spec, budget, job)) == (spec, budget, job)


@pytest.mark.parametrize("trace", ["nonsense", "00-" + "0" * 32 + "-" + "1" * 16 + "-01"])
def test_a_trace_that_is_none_is_nowhere_rather_than_refused(trace: str) -> None:
    _, _, job = read("delegation", as_delegation(job=JobHeader(name="job", module_bytes=8, trace=trace)))
    assert job.trace == ""


@given(NOTES)
def test_a_note_arrives_as_it_was_sent(message: Any) -> None:
    assert notes.message_of(notes.record_of(notes.note_of(message))) == message


@given(HELLOS)
def test_a_hello_arrives_as_it_was_sent(hello: Hello) -> None:
    assert Hello.from_json(notes.record_of(json.dumps(hello.to_json()))) == hello


@given(st.lists(PLACES, max_size=5).map(tuple))
def test_a_tree_arrives_as_it_was_told(places: tuple[Place, ...]) -> None:
    assert places_of(json.loads(json.dumps(places))) == places


# What makes no sense is refused.


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=share_of(300))
@given(data=st.data())
def test_row_9_a_message_with_wrong_bytes_is_refused_or_is_another_message(kind: str, data: st.DataObject) -> None:
    good = bytearray(KINDS[kind][2])
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(8, len(good) - 1))] = data.draw(st.integers(0, 255))
    _assert_refused_or_read(kind, bytes(good))


@pytest.mark.parametrize("kind", KINDS)
def test_row_9_no_single_wrong_byte_is_more_than_a_refusal(kind: str) -> None:
    good = KINDS[kind][2]
    for at in range(8, len(good)):
        for value in (0x00, 0x01, 0x7F, 0x80, 0xFF):
            _assert_refused_or_read(kind, good[:at] + bytes([value]) + good[at + 1 :])


def _assert_refused_or_read(kind: str, data: bytes) -> None:
    try:
        with KINDS[kind][0].from_bytes(data) as wire:
            try:
                KINDS[kind][1](wire)
            except PeerError:
                return
    except rpc.CallError:
        return  # the library itself: no message


@pytest.mark.parametrize("field", ["taskId", "parentJobId", "function"])
def test_a_packet_s_text_that_is_no_text_is_refused(field: str) -> None:
    wire = PACKET.from_bytes(as_packet(GOOD_PACKET)).__enter__().as_builder()
    setattr(wire, field, "12345678")
    data = bytes(wire.to_bytes()).replace(b"12345678", b"\xff\xfe345678")
    if field == "parentJobId":  # says nothing that the batch hasn't said
        assert read("packet", data)[1] == GOOD_PACKET
    else:
        with pytest.raises(PeerError):
            read("packet", data)


WRONG_PACKETS: dict[str, dict[str, Any]] = {
    "no chunks": {"count": 0},
    "packs of fewer chunks": {"count": 3, "packs": [1, 1]},
    "packs of more chunks": {"packs": [1, 1]},
    "a pack of nothing": {"count": 2, "packs": [2, 0]},
    "more packs than any answer has leaves": {"count": LEAVES_MAX + 1, "packs": [1] * (LEAVES_MAX + 1)},
    "another function": {"function": "split"},
    "no input": {"inputHash": b""},
    "half a hash": {"inputHash": bytes(31)},
    "an input beyond all bounds": {"inputBytes": (1 << 40) + 1},
    "more than a machine has": {"sizeBytes": 2**63},
    "a long name": {"taskId": "t" * 257},
    "inputs that are no hashes": {"inputs": [b"x"]},
    "too many inputs": {"inputs": [bytes(32)] * 4097},
    "too many to avoid": {"avoid": ["p"] * 65},
    "a long name to avoid": {"avoid": ["p" * 257]},
}


@pytest.mark.parametrize("fields", WRONG_PACKETS.values(), ids=WRONG_PACKETS)
def test_a_packet_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    _assert_refused("packet", fields)


WRONG_RESULTS: dict[str, dict[str, Any]] = {
    "another status": {"status": "perhaps"},
    "another failure": {"failure": "bad luck"},
    "failed for no reason": {"status": "failed"},
    "time that runs backwards": {"seconds": -1.0},
    "no number of seconds": {"seconds": float("nan")},
    "for ever": {"seconds": float("inf")},
    "a digest of another length": {"merkleRoot": bytes(33)},
    "a commitment of another length": {"commitment": b"x"},
    "a signature of another length": {"signature": bytes(63)},
    "a body's name that isn't hexadecimal": {"resultHash": "x" * 64},
    "a body beyond all bounds": {"resultBytes": (1 << 40) + 1},
    "more fuel than there is": {"fuelUsed": 2**63},
    "leaves that aren't hashes": {"merkleProof": ["00"]},
    "more leaves than any answer has": {"merkleProof": ["00" * 32] * (LEAVES_MAX + 1)},
    "a long name": {"workerId": "w" * 257},
    "a long network": {"network": "n" * 257},
}


@pytest.mark.parametrize("fields", WRONG_RESULTS.values(), ids=WRONG_RESULTS)
def test_an_answer_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    _assert_refused("result", fields)


def _spec(**fields: Any) -> dict[str, Any]:
    return {"spec": json.dumps({**peer_messages.spec_to_json(SPEC), **fields})}


WRONG_DELEGATIONS: dict[str, dict[str, Any]] = {
    "nobody's job": {"ancestors": []},
    "deeper than any tree": {"ancestors": ["p"] * (DEPTH_MAX + 1)},
    "more hops than any tree has": {"depth": DEPTH_MAX + 1},
    "a module beyond all bounds": {"moduleBytes": 2**63},
    "a signed spec that is none": {"signedSpec": b"[]"},
    "a signed spec of no JSON": {"signedSpec": b"{"},
    "a signed spec too large": {"signedSpec": b" " * 5000},
    "a signed spec nested too deep": {"signedSpec": b"[" * 4000},
    "a signature that is none": {"signedSpec": b"{}", "specSignature": b"x"},
    "a job that is none": {"spec": "[]"},
    "a job of no JSON": {"spec": "{"},
    "a job nested too deep": {"spec": "[" * 100_000},
    "a module whose hash isn't hexadecimal": _spec(module="../../etc/passwd"),
    "a module whose hash is too long": _spec(module="0" * 65),
    "a mode that nobody knows": _spec(verification="trust"),
    "redundancy out of range": _spec(redundancy=1000),
    "time that is no number": _spec(timeout="soon"),
    "time without end": _spec(timeout=1e308),
    "a flag that is none": _spec(associative=1),
    "a digest that is none": _spec(expected="xyz"),
    "a name that is none": _spec(job_id=5),
    "a name too long": _spec(job_id="j" * 257),
    "numbers too large to read": {"spec": '{"job_id": "j", "redundancy": ' + "9" * 5000 + "}"},
    "no id": {"spec": '{"module": "' + "0" * 64 + '"}'},
}


@pytest.mark.parametrize("fields", WRONG_DELEGATIONS.values(), ids=WRONG_DELEGATIONS)
def test_a_delegation_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    _assert_refused("delegation", fields)


def _assert_refused(kind: str, fields: dict[str, Any]) -> None:
    schema, _, good = KINDS[kind]
    with schema.from_bytes(good) as wire:
        builder = wire.as_builder()
    for name, value in fields.items():
        setattr(builder, name, value)
    with pytest.raises(PeerError) as refused:
        read(kind, bytes(builder.to_bytes()))
    assert len(refused.value.message) < 400, "an error repeats what a stranger says"


RECORDS = st.dictionaries(
    st.sampled_from("kind cores window nodes height jobs attempts count job_id workers site path places".split()), JSON
)


@given(RECORDS, st.sampled_from(["beat", "lease", "cancel", "recall", "reveal", "shun", "path", "below", "steal"]))
def test_a_note_is_read_or_refused_whatever_it_says(record: dict[str, Any], kind: str) -> None:
    for reader in (notes.message_of, Hello.from_json, peer_messages.spec_from_json, lambda r: places_of(r.get("places"))):
        said = ""
        try:
            reader({**record, "kind": kind})
        except PeerError as error:
            said = error.message
        assert len(said) < 400, "an error repeats what a stranger says"


@given(st.dictionaries(st.sampled_from(sorted(peer_messages.spec_to_json(SPEC))), JSON))
def test_a_job_is_read_or_refused_whatever_it_says(record: dict[str, Any]) -> None:
    try:
        spec = peer_messages.spec_from_json({**peer_messages.spec_to_json(SPEC), **record})
    except PeerError:
        return
    assert len(spec.job_id) <= 256


@pytest.mark.parametrize("depth", [10, 500, 900, 950, 960, 970, 980, 985, 990, 995, 1_000, 100_000])
def test_a_note_nested_to_any_depth_is_read_or_refused(depth: int) -> None:
    text = '{"kind":' + "[" * depth + "]" * depth + ',"cores":' + "[" * depth + "]" * depth + "}"
    for reader in (notes.message_of, Hello.from_json, peer_messages.spec_from_json):
        with pytest.raises(PeerError):
            reader(notes.record_of(text))


@pytest.mark.parametrize("text", ["", "null", "[]", "1", "{", "\ud800", '{"kind": 1e999}', "x" * (notes.NOTE_CHARACTERS_MAX + 1)])
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(PeerError):
        notes.message_of(notes.record_of(text))


def test_row_18_a_path_of_absurd_size_is_refused() -> None:
    values: tuple[Any, ...] = (["p"] * 65, ["p" * 71], "p", {"p": 1}, [1], None)
    for value in values:
        with pytest.raises(PeerError):
            path_of(value)


def test_a_tree_of_absurd_size_is_refused() -> None:
    values: tuple[Any, ...] = ([["p", "q", ""]] * 4_097, [["p" * 71, "q", ""]], [["p", "q"]], ["p"], {}, None, [["p", "q", None]])
    for value in values:
        with pytest.raises(PeerError):
            places_of(value)


@pytest.mark.parametrize("bad", ["\x1b[2J", "a\nb", "\x9b31m", "\u202egnp", "\x00", "\x7f"])
def test_row_25_names_that_a_terminal_would_obey_are_refused(bad: str) -> None:
    with pytest.raises(PeerError):
        Hello.from_json({"site": bad})
    with pytest.raises(PeerError):
        path_of([bad])
    for place in ([bad, "q", ""], ["p", bad, ""], ["p", "q", bad]):
        with pytest.raises(PeerError):
            places_of([place])


# Batches.


@given(st.lists(st.integers(0, 5_000), max_size=2_000), st.integers(1, 10_000))
def test_batches_leave_nothing_out_and_are_within_bounds(sizes: list[int], most: int) -> None:
    runs = peer_messages.batches(sizes, bytes_max=most)
    assert [index for run in runs for index in range(*run.indices(len(sizes)))] == list(range(len(sizes)))
    for run in runs:
        assert 1 <= run.stop - run.start <= BATCH_MAX
        assert sum(sizes[run]) <= most or run.stop - run.start == 1
