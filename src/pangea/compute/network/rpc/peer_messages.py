"""What travels between neighbours as structs: packets, answers, and what is said once beside them. All of it may be a stranger's.

Works on builders and readers; their library enters elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import Any, TypeVar

from pangea.compute.model.errors import PeerError, UnverifiedError
from pangea.compute.model.ids import PeerId, TaskId
from pangea.compute.model.options import RANGES, Locality, Priority, VerificationMode
from pangea.compute.model.outcome import FailureKind
from pangea.compute.model.packet import LEAVES_MAX, Budget, JobSpec, TaskPacket, TaskResult, TaskStatus
from pangea.compute.model.trace_context import well_formed
from pangea.compute.model.units import MODULE_BYTES_MAX
from pangea.compute.network.rpc.notes import HELLO_CHARACTERS_MAX, object_of
from pangea.compute.orchestrator.core.messages import Message
from pangea.compute.orchestrator.limits import BATCH_MAX, DEPTH_MAX
from pangea.compute.verification.signed_spec import SignedSpec

HASH_BYTES = 32
#: Ids, names and the like.
_TEXT_MAX = 256
#: A failure's words, or what a guest printed.
MESSAGE_CHARACTERS_MAX = 4096
_SIGNATURE_BYTES = 64
#: Of a packet or an answer: its fixed fields, ids and hashes; and a peer id or the hexadecimal hash of a leaf, in a list.
_PACKET_BYTES, _NAME_BYTES = 1024, 80
_AVOID_MAX = 64
_INPUTS_MAX = 4096
_COUNT_MAX = 2**32 - 1
_BYTES_MAX = 1 << 40
_FUEL_MAX = 2**63 - 1
#: Of one answer: no task takes thirty years, and sums of these stay numbers.
_SECONDS_MAX = 1e9
_SHA256 = re.compile("[0-9a-f]{64}")
_FUNCTIONS = ("execute", "merge")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHeader:
    """What a worker must know of a job beyond its `JobSpec`.

    Attributes:
        name: for messages.
        module_bytes: size of the module, which is fetched by its hash.
        signed: the job's spec, signed by its owner; None if the link has carried it before. Still to be checked.
        trace: where those above have the job in a trace, as a traceparent; "": nowhere.
    """

    name: str
    module_bytes: int
    signed: SignedSpec | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A message, and what travels beside it.

    Attributes:
        message: what is said.
        job: beside `Delegate`.
        contents: small inputs (beside `Delegate`) or results (beside `Answers`), by SHA-256.
    """

    message: Message
    job: JobHeader | None = None
    contents: Mapping[bytes, bytes] = field(default_factory=dict)


def _of_a_stranger(read: Callable[[Any], T]) -> Callable[[Any], T]:
    """Fields are decoded when they are looked at, so whatever the library says of bytes that are no message comes from here."""

    @wraps(read)
    def reading(wire: Any) -> T:
        try:
            return read(wire)
        except PeerError:
            raise
        except Exception as error:
            text = str(error).partition("\n")[0][:200]
        raise PeerError(f"a message that can't be decoded: {text}")  # out here, so that nothing of the library's lives on in it

    return reading


def packet_to_wire(attempt: int, packet: TaskPacket, spec: JobSpec, budget: Budget, data: bytes, wire: Any) -> None:
    """Write a packet into the builder of a `ComputeTaskPacket`; `data` is its input, if that travels along."""
    wire.taskId, wire.parentJobId, wire.chunkIndex = packet.task_id, spec.job_id, packet.start
    wire.chunkData, wire.wasmModuleHash = data, spec.module
    wire.delegationDepth = len(budget.ancestors)
    wire.timeoutMs = min(round(spec.attempt_timeout * 1000), _COUNT_MAX)
    wire.attempt, wire.count, wire.sizeBytes = attempt, packet.count, packet.size_bytes
    wire.function, wire.commitFirst, wire.runs = packet.function, packet.commit_first, packet.runs
    if packet.packs:
        wire.packs = list(packet.packs)
    wire.inputHash, wire.inputBytes = packet.input, packet.input_bytes
    wire.jobSpecHash = spec.signed
    if packet.inputs:
        wire.inputs = list(packet.inputs)
    if packet.avoid:
        wire.avoid = sorted(packet.avoid)
    if packet.only:
        wire.only = packet.only


@_of_a_stranger
def spec_hash_of(wire: Any) -> bytes:
    """The hash of the job's spec that a packet names.

    Raises:
        PeerError: it is none.
    """
    return _hash(wire.jobSpecHash)


@_of_a_stranger
def packet_from_wire(wire: Any) -> tuple[int, TaskPacket]:
    """Read an attempt's number and its packet.

    Raises:
        PeerError: a field is out of range.
    """
    function = str(wire.function)
    if function not in _FUNCTIONS:
        raise PeerError(f"a packet for {function[:40]!r}; functions are execute and merge")
    if len(wire.packs) > LEAVES_MAX:
        raise PeerError(f"a packet of {len(wire.packs):,} packs; at most {LEAVES_MAX}")
    count, packs = int(wire.count), tuple(map(int, wire.packs))
    if count < 1 or (packs and (sum(packs) != count or min(packs) < 1)):
        raise PeerError(f"a packet of {count:,} chunks in packs of {sum(packs):,}")
    if len(wire.inputs) > _INPUTS_MAX or len(wire.avoid) > _AVOID_MAX:
        raise PeerError(f"a packet with {len(wire.inputs):,} inputs that avoids {len(wire.avoid):,} peers")
    packet = TaskPacket(
        task_id=TaskId(_text(wire.taskId)),
        function=function,
        start=int(wire.chunkIndex),
        count=count,
        size_bytes=_at_most(wire.sizeBytes, _BYTES_MAX, "sizeBytes"),
        inputs=tuple(_hash(each) for each in wire.inputs),
        avoid=frozenset(PeerId(_text(each)) for each in wire.avoid),
        commit_first=bool(wire.commitFirst),
        packs=packs,
        input=_hash(wire.inputHash),
        input_bytes=_at_most(wire.inputBytes, _BYTES_MAX, "inputBytes"),
        only=PeerId(_text(wire.only)) if wire.only else None,
    )
    return int(wire.attempt), packet


def delegation_to_wire(spec: JobSpec, budget: Budget, job: JobHeader, wire: Any) -> None:
    """Write what is said once into the builder of a `Delegation`."""
    wire.spec, wire.name = json.dumps(spec_to_json(spec)), job.name
    wire.moduleBytes, wire.traceParent = job.module_bytes, job.trace
    if job.signed is not None:
        wire.signedSpec, wire.specSignature = job.signed.canonical(), job.signed.signature
    wire.depth, wire.fanOut, wire.seconds = max(0, budget.depth), budget.fan_out, budget.seconds
    wire.ancestors = list(budget.ancestors)


@_of_a_stranger
def delegation_from_wire(wire: Any) -> tuple[JobSpec, Budget, JobHeader]:
    """Read a `Delegation`.

    Raises:
        PeerError: a field is out of range.
    """
    if len(wire.ancestors) > DEPTH_MAX:
        raise PeerError(f"{len(wire.ancestors)} ancestors; a tree has {DEPTH_MAX} levels at most")
    budget = Budget(
        depth=_at_most(wire.depth, DEPTH_MAX, "depth"),
        fan_out=int(wire.fanOut),
        seconds=float(wire.seconds),
        ancestors=tuple(PeerId(_text(each)) for each in wire.ancestors),
    )
    if not budget.ancestors:
        raise PeerError("a delegation that says nobody's job it is")
    module_bytes = _at_most(wire.moduleBytes, MODULE_BYTES_MAX, "moduleBytes")
    trace = well_formed(_text(wire.traceParent))
    envelope = JobHeader(name=_text(wire.name), module_bytes=module_bytes, signed=_signed(wire), trace=trace)
    if len(wire.spec) > HELLO_CHARACTERS_MAX:
        raise PeerError(f"a job in {len(wire.spec):,} characters; at most {HELLO_CHARACTERS_MAX:,}")
    spec = spec_from_json(object_of(str(wire.spec)))
    if not _SHA256.fullmatch(spec.module):
        raise PeerError(f"a job whose module is {spec.module[:80]!r}; it is named by its SHA-256")
    return spec, budget, envelope


def _signed(wire: Any) -> SignedSpec | None:
    data = bytes(wire.signedSpec)
    if not data:
        return None
    try:
        return SignedSpec.read(data, _signature(bytes(wire.specSignature)))
    except UnverifiedError as error:
        raise PeerError(f"a delegation without a proper job spec: {error.message}") from error


def result_to_wire(attempt: int, result: TaskResult, data: bytes, wire: Any) -> None:
    """Write an answer into the builder of a `ComputeTaskResult`; `data` is the list of results, if that travels along."""
    wire.taskId, wire.status, wire.workerId = result.task_id, result.status.value, result.worker
    wire.resultData, wire.resultHash, wire.resultBytes = data, result.body.hex(), result.body_bytes
    wire.executionTimeMs, wire.seconds = max(0, round(result.seconds * 1000)), result.seconds
    wire.attempt, wire.fuelUsed, wire.merkleRoot = attempt, min(result.fuel, _FUEL_MAX), result.digest
    wire.commitment, wire.network = result.commitment, result.network
    wire.failure = "" if result.failure is None else result.failure.value
    wire.message, wire.signature = result.message[:MESSAGE_CHARACTERS_MAX], result.signature
    if result.leaves:
        wire.merkleProof = [leaf.hex() for leaf in result.leaves]


@_of_a_stranger
def result_from_wire(wire: Any) -> tuple[int, TaskResult]:
    """Read an attempt's number and its answer.

    Raises:
        PeerError: a field is out of range.
    """
    if len(wire.merkleProof) > LEAVES_MAX:
        raise PeerError(f"an answer with {len(wire.merkleProof)} leaves; at most {LEAVES_MAX}")
    seconds = float(wire.seconds)
    if not 0.0 <= seconds <= _SECONDS_MAX:  # nor if it isn't a number
        raise PeerError(f"an answer that took {seconds} s")
    failure = str(wire.failure)
    result = TaskResult(
        task_id=TaskId(_text(wire.taskId)),
        status=_one_of(TaskStatus, str(wire.status)),
        worker=PeerId(_text(wire.workerId)),
        network=_text(wire.network),
        digest=_hash(wire.merkleRoot, or_none=True),
        leaves=tuple(_hash(_from_hex(str(each))) for each in wire.merkleProof),
        commitment=_hash(wire.commitment, or_none=True),
        fuel=_at_most(wire.fuelUsed, _FUEL_MAX, "fuelUsed"),
        seconds=seconds,
        failure=_one_of(FailureKind, failure) if failure else None,
        message=str(wire.message)[:MESSAGE_CHARACTERS_MAX],
        body=_hash(_from_hex(str(wire.resultHash)), or_none=True),
        body_bytes=_at_most(wire.resultBytes, _BYTES_MAX, "resultBytes"),
        signature=_signature(bytes(wire.signature)),
    )
    if result.status is TaskStatus.FAILED and result.failure is None:
        raise PeerError("an answer that failed for no reason")
    return int(wire.attempt), result


def size_of_packet(packet: TaskPacket, data: bytes) -> int:
    """About how many bytes a packet with its input takes on the wire; never less by much."""
    return len(data) + _PACKET_BYTES + HASH_BYTES * len(packet.inputs) + _NAME_BYTES * len(packet.avoid)


def size_of_result(result: TaskResult, data: bytes) -> int:
    """About how many bytes an answer with its results takes on the wire; never less by much."""
    return len(data) + _PACKET_BYTES + _NAME_BYTES * len(result.leaves) + len(result.message)


def batches(sizes: Iterable[int], *, bytes_max: int) -> list[slice]:
    """Cut a list of items of these sizes into runs of at most `bytes_max` bytes and `BATCH_MAX` items each."""
    runs: list[slice] = []
    start, size, index = 0, 0, -1
    for index, each in enumerate(sizes):
        if index > start and (size + each > bytes_max or index - start >= BATCH_MAX):
            runs.append(slice(start, index))
            start, size = index, 0
        size += each
    return [*runs, slice(start, index + 1)] if index >= start else runs


_SPEC_READERS: dict[str, Callable[[Any], Any]] = {
    "verification": VerificationMode,
    "priority": Priority,
    "locality": Locality,
    "expected": bytes.fromhex,
}
#: Not said: the one follows from the signed spec, the others are the owner's business alone.
_NOT_SAID = ("signed", "has_check", "tolerance")


def spec_to_json(spec: JobSpec) -> dict[str, Any]:
    """A job as JSON types."""
    record = {each.name: getattr(spec, each.name) for each in fields(JobSpec) if each.name not in _NOT_SAID}
    if not spec.needs_adapter:
        del record["needs_adapter"]
    return {**record, "expected": spec.expected.hex()}


def spec_from_json(record: Mapping[str, Any]) -> JobSpec:
    """What `spec_to_json` gave; a later version may say more.

    Raises:
        PeerError: a field is missing, of the wrong type or out of range.
    """
    values: dict[str, Any] = {}
    for each in fields(JobSpec):
        if each.name not in record or each.name in _NOT_SAID:
            continue
        try:
            values[each.name] = _spec_value(each.name, str(each.type), record[each.name])
        except (ValueError, TypeError) as error:
            raise PeerError(f"a job whose {each.name} is {str(record[each.name])[:80]!r}") from error
    try:
        return JobSpec(**values)
    except TypeError as error:
        raise PeerError("a job without an id or a module") from error


def _spec_value(name: str, kind: str, value: Any) -> Any:
    if reader := _SPEC_READERS.get(name):
        return reader(value)
    types: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool}
    expected = types.get(kind, str)
    if not isinstance(value, expected) or (isinstance(value, bool) and kind != "bool"):
        raise TypeError(kind)
    if isinstance(value, str) and (len(value) > _TEXT_MAX or not _is_text(value)):
        raise ValueError(len(value))
    low, high = RANGES.get(name, (0, _BYTES_MAX))
    if isinstance(value, int | float) and not low <= value <= high:
        raise ValueError(value)
    return value


def _is_text(value: str) -> bool:
    """Whether it has an encoding: half of a surrogate pair can be said in JSON, and not passed on."""
    return not any("\ud800" <= each <= "\udfff" for each in value)


def _text(value: Any) -> str:
    text = str(value)
    if len(text) > _TEXT_MAX:
        raise PeerError(f"a name of {len(text):,} characters; at most {_TEXT_MAX}")
    return text


def _hash(value: Any, *, or_none: bool = False) -> bytes:
    data = bytes(value)
    if len(data) != HASH_BYTES and not (or_none and not data):
        raise PeerError(f"a hash of {len(data)} bytes; it has {HASH_BYTES}")
    return data


def _signature(data: bytes) -> bytes:
    if len(data) not in (0, _SIGNATURE_BYTES):
        raise PeerError(f"a signature of {len(data):,} bytes; it has {_SIGNATURE_BYTES}")
    return data


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise PeerError("a hash that isn't hexadecimal") from error


def _at_most(value: Any, most: int, name: str) -> int:
    if int(value) > most:
        raise PeerError(f"{name} is {int(value):,}; at most {most:,}")
    return int(value)


def _one_of(kind: Any, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise PeerError(f"no {kind.__name__} is called {text[:40]!r}") from None
