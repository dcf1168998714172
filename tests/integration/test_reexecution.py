"""Executing the calls of a receipt again: honest receipts pass, and every kind of lie is named with its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from pangea.compute import Job
from pangea.compute.client.receipts import materials as client_materials
from pangea.compute.client.receipts.ban_check import execute_again, said_by
from pangea.compute.client.receipts.differences import Found, differences
from pangea.compute.client.receipts.materials import Materials, read_receipt
from pangea.compute.client.receipts.receipt_inputs import sha256_of
from pangea.compute.client.receipts.verifying import Repeated, draw, repeat_all, repeat_some
from pangea.compute.engine.engine import Engine
from pangea.compute.flow.course import Call
from pangea.compute.model import frames
from pangea.compute.model.errors import InputError, UnavailableError, UnverifiedError
from pangea.compute.model.ids import TaskId
from pangea.compute.model.limits import Limits
from pangea.compute.model.outcome import Outcome
from pangea.compute.network.identity import is_signed_by
from pangea.compute.verification.ban_file import BanProof
from pangea.compute.verification.receipt_check import check
from pangea.compute.verification.receipt_file import dumps, loads
from pangea.compute.verification.receipt_job import ReceiptInput
from pangea.compute.verification.receipt_tree import Node, Receipt, root_of
from pangea.compute.verification.receipts import Record
from tests.guests import LOOP, constant, module, split_into
from tests.signing import SigningNode, identity, respecified


@Job.define
def words() -> None:
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split()

    @Job.execute
    def execute(chunk: bytes) -> bytes:
        import random

        return chunk.upper() + b"%d" % random.randrange(1000)

    @Job.merge
    def merge(results: list[bytes]) -> bytes:
        return b",".join(results)


TEXT = b"the quick brown fox jumps over the lazy dog and runs away\n" * 4
LINES = {"split_strategy": "row_based", "min_chunk_size": 1, "max_chunk_size": 60}


def node(engine: Engine, **changes: Any) -> SigningNode:
    given: dict[str, Any] = {"inputs": [TEXT], "options": LINES, "split_size": 2, "execute_size": 7, "fan_in": 3}
    return SigningNode(engine, words.archive(), **{**given, **changes})


def materials(engine: Engine, receipt: Receipt, folder: Path, inputs: Sequence[bytes] = (TEXT,)) -> Materials:
    files = []
    for at, data in enumerate(inputs):
        (folder / f"input{at}").write_bytes(data)
        files.append(folder / f"input{at}")
    return Materials.of(receipt, module=None, inputs=files, engine=engine, on_compile=lambda _what: None)


def all_of(engine: Engine, receipt: Receipt, folder: Path, inputs: Sequence[bytes] = (TEXT,)) -> Repeated:
    assert check(receipt, is_signed_by) == [], "a lie that is signed, or no lie"
    return repeat_all(loads(dumps(receipt)), materials(engine, receipt, folder, inputs), lambda _done, _total: None)


@pytest.mark.parametrize("fan_in", [0, 3])
@pytest.mark.parametrize(("split_size", "execute_size"), [(1, 1), (2, 7), (9, 100)])
def test_an_honest_receipt_stands_however_the_job_was_packed(
    python: Engine, tmp_path: Path, split_size: int, execute_size: int, fan_in: int
) -> None:
    worker = node(python, split_size=split_size, execute_size=execute_size, fan_in=fan_in)
    receipt = worker.receipt()
    repeated = all_of(python, receipt, tmp_path)
    assert repeated.differences == ()
    assert sum(repeated.calls.values()) == len(receipt.records()) == repeated.drawn
    assert worker.result.startswith(b"THE")


ECHOES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "no split, no merge": (module(), {}),
    "a split": (module(**split_into(frames.pack([b"a", b"bc", b""]))), {"execute_size": 2}),
    "a split into nothing": (module(**split_into(frames.pack([]))), {}),
    "a merge of nothing": (
        module(merge=constant(b"merged")[0], split=constant(frames.pack([]), at=0x30000)[0],
               extra=constant(b"merged")[1] + constant(frames.pack([]), at=0x30000)[1]), {},
    ),
    "fixed sizes": (module(), {"options": {"split_strategy": "fixed_size", "min_chunk_size": 1, "max_chunk_size": 64}}),
}  # fmt: skip


@pytest.mark.parametrize("name", ECHOES)
def test_modules_and_their_missing_functions(engine: Engine, tmp_path: Path, name: str) -> None:
    wasm, changes = ECHOES[name]
    inputs = [TEXT, b"", b"more"]
    worker = SigningNode(engine, wasm, inputs, **changes)
    assert all_of(engine, worker.receipt(), tmp_path, inputs).differences == ()


def test_a_record_that_does_not_end_with_a_pack_is_of_no_call(python: Engine, tmp_path: Path) -> None:
    options = LINES | {"chunks_per_pack": 3}
    honest = node(python, options=options, execute_size=3)
    assert all_of(python, honest.receipt(), tmp_path).differences == ()
    liar = node(python, options=options, execute_size=3, claims={"chunks_per_pack": 2})
    found = all_of(python, liar.receipt(), tmp_path).differences
    assert "count" in {each.what for each in found}


@Job.define
def counting() -> None:
    @Job.split
    def split(data: bytes) -> list[bytes]:
        return data.split()

    @Job.execute
    def execute(chunk: bytes, seen: list[bytes] = []) -> bytes:  # noqa: B006  # that is the fault of this job
        seen.append(chunk)
        return b"%d" % len(seen)


@pytest.mark.parametrize("how", ["all", "some"])
def test_whoever_executes_a_receipt_again_hears_that_its_chunks_influence_each_other(
    python: Engine, tmp_path: Path, how: str
) -> None:
    options = LINES | {"chunks_per_pack": 3}
    for job, warning in ((words, ""), (counting, "chunks influence each other: chunk 2 gives 1 bytes in its pack and 1 alone")):
        receipt = SigningNode(python, job.archive(), [TEXT], options=options, split_size=2, execute_size=6).receipt()
        if how == "all":
            repeated = all_of(python, receipt, tmp_path)
        else:
            some = materials(python, receipt, tmp_path)
            repeated = repeat_some(receipt, some, 100, 1, lambda _done, _total: None)
        assert repeated.differences == ()
        assert repeated.warning.startswith(warning)
        assert bool(repeated.warning) == bool(warning)


# Lies, each signed by its worker


def about(function: str, **changes: Any) -> Callable[[Record], Record]:
    """A lie about one call of `function`, and only that."""
    name = {"split": ":s2", "execute": ":7", "merge": ":m1.1"}[function]
    return lambda record: replace(record, **changes) if record.task_id.endswith(name) else record


NOTHING = bytes(32)


@pytest.mark.parametrize("function", ["split", "execute", "merge"])
@pytest.mark.parametrize(
    ("changes", "what"), [({"input": NOTHING}, "input"), ({"output": NOTHING}, "output"), ({"fuel": 12345}, "fuel")]
)
def test_a_lie_is_named(python: Engine, tmp_path: Path, function: str, changes: dict[str, Any], what: str) -> None:
    receipt = node(python, lie=about(function, **changes)).receipt()
    repeated = all_of(python, receipt, tmp_path)
    only, *others = repeated.differences
    assert (only.function, only.what, others) == (function, what, [])
    assert only.worker in {identity(1).peer_id, identity(2).peer_id}
    shown = changes[what]
    assert only.expected == (f"{shown:,}" if what == "fuel" else shown.hex())
    assert only.found not in (only.expected, "")
    assert f"not {only.expected}, signed by {only.worker}" in str(only)
    drawn = repeat_some(receipt, materials(python, receipt, tmp_path), 1000, 1, lambda _done, _total: None)
    assert drawn.differences == (() if function == "merge" else repeated.differences)


def test_a_call_that_fails_here_is_a_difference(python: Engine, tmp_path: Path) -> None:
    receipt = node(python).receipt()
    starved = replace(
        receipt.job, options=replace(receipt.job.options, limits=Limits(**{**asdict(receipt.job.options.limits), "result": 5}))
    )
    found = all_of(python, owned(respecified(receipt, starved)), tmp_path).differences
    assert {(each.function, each.what, each.found) for each in found} == {("execute", "failure", "result too large")}


def owned(receipt: Receipt, **changes: Any) -> Receipt:
    """`receipt` with changes that its owner signs."""
    changed = replace(receipt, **changes)
    rooted = replace(changed, root=root_of(changed.splits, changed.tree))
    return replace(rooted, signature=identity(0).sign(rooted.statement()))


def test_what_was_left_out_of_the_job_is_found(engine: Engine, tmp_path: Path) -> None:
    full = SigningNode(engine, module(), [TEXT, b"more"], execute_size=1).receipt()
    kept = full.tree.children[:1]
    one = kept[0].record
    assert one is not None
    job = replace(full.job, segments=1, chunks=1, fuel=one.fuel)
    found = all_of(engine, owned(full, job=job, tree=Node(None, kept)), tmp_path, [TEXT, b"more"]).differences
    assert [(each.what, each.expected[:8], each.found[:8]) for each in found] == [
        ("chunks", "1", "2"),
        ("result", full.job.result_sha256[:8], sha256(TEXT).hexdigest()[:8]),
    ]


def test_segments_and_chunks_that_were_left_out_are_found(python: Engine, tmp_path: Path) -> None:
    full = node(python, split_size=1, execute_size=12, fan_in=0).receipt()
    tree = Node(full.tree.record, full.tree.children[:3])
    records = [*full.splits[:3], *(record for _, record in replace(full, tree=tree).nodes())]
    job = replace(full.job, segments=3, chunks=36, fuel=sum(record.fuel for record in records))
    found = all_of(python, owned(full, job=job, tree=tree, splits=full.splits[:3]), tmp_path).differences
    assert [(each.function, each.what) for each in found] == [("merge", "input"), ("the job", "segments"), ("the job", "result")]
    all_splits = replace(job, segments=4, fuel=job.fuel + full.splits[3].fuel)
    found = all_of(python, owned(full, job=all_splits, tree=tree), tmp_path).differences
    assert [(each.function, each.what) for each in found] == [("merge", "input"), ("the job", "chunks"), ("the job", "result")]


def test_records_of_what_isn_t_there_are_found(python: Engine, tmp_path: Path) -> None:
    full, half = node(python, split_size=1, execute_size=12, fan_in=0), [TEXT[: len(TEXT) // 2]]
    receipt = full.receipt()
    job = replace(receipt.job, inputs=(ReceiptInput(sha256=sha256(half[0]).hexdigest(), size=len(half[0])),))
    found = all_of(python, owned(respecified(receipt, job)), tmp_path, half).differences
    assert [(each.function, each.what, each.expected, each.found) for each in found if each.what == "count"] == [
        ("split", "count", "1", "0"),
        ("split", "count", "1", "0"),
        ("execute", "count", "12", "0"),
        ("execute", "count", "12", "0"),
    ]


def test_a_wrong_size_of_the_result_is_found(python: Engine, tmp_path: Path) -> None:
    receipt = node(python).receipt()
    found = all_of(python, owned(receipt, job=replace(receipt.job, result_size=1)), tmp_path).differences
    assert [(each.what, each.expected) for each in found] == [("result", "1 bytes")]


# A sample


def test_a_sample_executes_what_was_drawn_and_the_splits_before_it(python: Engine, tmp_path: Path) -> None:
    receipt = node(python, execute_size=1).receipt()
    given = materials(python, receipt, tmp_path)
    repeated = repeat_some(receipt, given, 3, 7, lambda _done, _total: None)
    again = repeat_some(receipt, given, 3, 7, lambda _done, _total: None)
    assert repeated == again
    assert (repeated.drawn, repeated.of, repeated.seed) == (3, 50, 7)
    assert 1 <= repeated.calls["execute"] <= 3
    assert "merge" not in repeated.calls
    fresh = {repeat_some(receipt, given, 1, None, lambda _done, _total: None).seed for _ in range(2)}
    assert len(fresh) == 2


def test_every_record_is_drawn_as_often_as_the_others() -> None:
    names = [TaskId(str(number)) for number in range(10)]
    counts = Counter(name for seed in range(2_000) for name in draw(names, 3, seed))
    assert set(counts) == set(names)
    assert all(500 < count < 700 for count in counts.values()), counts


def test_a_split_alone_is_executed_alone(python: Engine, tmp_path: Path) -> None:
    receipt = node(python, split_size=1).receipt()
    found: list[Found] = []
    with materials(python, receipt, tmp_path).reexecution(receipt, found.append) as reexecution:
        reexecution.run({receipt.splits[2].task_id})
    assert [each.record for each in found] == [receipt.splits[2]]
    assert found[0].answer() == (receipt.splits[2].input, receipt.splits[2].output, receipt.splits[2].fuel, "")


def test_one_merge_is_executed_with_what_is_below_it(python: Engine, tmp_path: Path) -> None:
    receipt = node(python, split_size=1).receipt()
    step = receipt.tree.children[1]
    found: list[Found] = []
    with materials(python, receipt, tmp_path).reexecution(receipt, found.append) as reexecution:
        assert step.record is not None
        reexecution.run({step.record.task_id})
    assert [each.record for each in found if each.record.function != "split"] == [below.record for below in step.walk()]
    assert all(differences(each) == [] for each in found)


# What it takes


def test_the_inputs_are_those_that_the_receipt_names(python: Engine, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(TEXT)
    (tmp_path / "b").write_bytes(TEXT[::-1])
    named = node(python, paths=[str(tmp_path / "a")]).receipt()
    unnamed = node(python).receipt()

    def attempt(receipt: Receipt, *names: str, module: Path | None = None) -> Materials:
        inputs = [tmp_path / name for name in names]
        return Materials.of(receipt, module=module, inputs=inputs, engine=python, on_compile=lambda _what: None)

    assert attempt(named).inputs == (tmp_path / "a",)
    assert attempt(unnamed, "a").inputs == (tmp_path / "a",)
    for receipt, names, complaint in (
        (unnamed, [], "doesn't say where input 1 of 1"),
        (unnamed, ["b"], "has SHA-256"),
        (unnamed, ["a", "b"], "2 inputs are given; the job had 1"),
        (unnamed, ["c"], "no such file"),
        (unnamed, ["."], "is no file"),
        (node(python, inputs=[TEXT[1:]]).receipt(), ["a"], "bytes; the job's had"),
        (node(python, paths=["/dev/zero"]).receipt(), [], "is no file"),
    ):
        with pytest.raises(InputError, match=complaint):
            attempt(receipt, *names)
    bare = replace(unnamed, module=None)
    with pytest.raises(InputError, match="isn't in the receipt"):
        attempt(bare, "a")
    with pytest.raises(InputError, match="has SHA-256"):
        attempt(bare, "a", module=tmp_path / "b")
    (tmp_path / "module").write_bytes(words.archive())
    assert attempt(bare, "a", module=tmp_path / "module").module == words.archive()
    other = replace(unnamed, job=replace(unnamed.job, runtime="ab" * 32))
    with pytest.raises(UnavailableError, match="within one runtime only"):
        attempt(other, "a")


def test_files_that_cannot_be_read_or_are_too_large_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unreadable = Path("/proc/self/mem")  # opens, and then gives an error
    for read in (read_receipt, sha256_of):
        with pytest.raises(InputError, match="/proc/self/mem can't be read: input/output error"):
            read(unreadable)
    monkeypatch.setattr(client_materials, "RECEIPT_BYTES_MAX", 3)
    (tmp_path / "large.json").write_bytes(b"1234")
    with pytest.raises(InputError, match=r"large\.json has 4 bytes; at most 3 bytes"):
        read_receipt(tmp_path / "large.json")


def test_records_of_functions_that_the_module_hasn_t_are_refused(engine: Engine, tmp_path: Path) -> None:
    receipt = SigningNode(engine, module(**split_into(frames.pack([b"a"]))), [TEXT]).receipt()
    unsplit = owned(receipt, splits=(), job=replace(receipt.job, fuel=receipt.job.fuel - receipt.splits[0].fuel))
    with pytest.raises(UnverifiedError, match="no records of split, but the module has one"):
        all_of(engine, unsplit, tmp_path)


def test_a_stranger_s_receipt_gets_no_more_than_the_verifier_allows(python: Engine, tmp_path: Path) -> None:
    receipt = node(python).receipt()
    given = materials(python, receipt, tmp_path)
    assert repeat_all(receipt, given, lambda _done, _total: None).differences == ()
    with pytest.raises(UnavailableError, match=r"64\.0 MiB are allowed here"):
        repeat_all(receipt, replace(given, caps=Limits(fuel=10**12, memory=64 << 20)), lambda _done, _total: None)
    with pytest.raises(UnavailableError, match="1,000 a call are allowed here"):
        repeat_all(receipt, replace(given, caps=Limits(fuel=1_000)), lambda _done, _total: None)


def test_a_call_that_ends_early_here_says_nothing_about_the_receipt(engine: Engine, tmp_path: Path) -> None:
    worker = SigningNode(engine, module(LOOP), [b"x"], {"limits": {"fuel": 10**9}}, lie=about("execute", fuel=10**6))
    with pytest.raises(AssertionError):
        worker.receipt()  # no honest one exists: it loops
    honest = SigningNode(engine, module(), [b"x"], {"limits": {"fuel": 10**9}}).receipt()
    forged = replace(honest, job=replace(honest.job, module=sha256(module(LOOP)).hexdigest()), module=module(LOOP))
    given = replace(materials(engine, forged, tmp_path, [b"x"]), caps=Limits(fuel=10**6))
    with pytest.raises(UnavailableError, match="couldn't be executed again"):
        repeat_all(forged, given, lambda _done, _total: None)


def test_fuel_that_was_counted_otherwise_is_not_compared(engine: Engine, tmp_path: Path) -> None:
    receipt = SigningNode(engine, module(), [b"x"]).receipt()
    other = replace(receipt, job=replace(receipt.job, meter="another meter"))
    with pytest.raises(UnavailableError, match="counted by another meter"):
        repeat_all(other, materials(engine, other, tmp_path, [b"x"]), lambda _done, _total: None)


def proofs_from(engine: Engine, receipt: Receipt, folder: Path) -> list[BanProof]:
    """What anybody could make of an honest receipt: each of its records as the proof of a ban, with what its call was given."""
    calls = list[tuple[Record, bytes]]()

    def on_call(call: Call, outcome: Outcome) -> None:
        assert call.record is not None, str(outcome)
        calls.append((call.record, b"".join(map(bytes, call.run.parts))))

    assert repeat_all(receipt, materials(engine, receipt, folder), lambda _done, _total: None, on_call).differences == ()
    proof = partial(BanProof, verdict="lied", why="it was wrong", spec=receipt.job.spec(), module=receipt.module)
    return [proof(record=record, input=data) for record, data in calls]


def test_no_record_of_an_honest_receipt_is_the_proof_of_a_ban(python: Engine, tmp_path: Path) -> None:
    """Of splits and of the result, which their owner signs, others hashes are told than of calls that workers are given."""
    proofs = proofs_from(python, node(python).receipt(), tmp_path)
    others = [each for each in proofs if each.findings(is_signed_by)]
    assert {each.record.task_id.partition(":")[2] for each in others} == {"s0", "s2", "merge"}
    assert {*chain.from_iterable(each.findings(is_signed_by) for each in others)} == {
        "the record is of a call that only a job's owner makes"
    }
    for proof in proofs:
        if proof not in others:
            assert execute_again(proof, python, client_materials.CAPS, lambda _what: None) == said_by(proof.record)


def test_a_call_that_took_more_than_is_allowed_here_is_no_proof_of_a_ban(python: Engine, tmp_path: Path) -> None:
    """A task's fuel may be within its calls' caps together, and one pack's beyond its own."""
    receipt = node(python, options=LINES | {"chunks_per_pack": 1}).receipt()
    proof = next(each for each in proofs_from(python, receipt, tmp_path) if len(each.record.packs) == 7)
    allowed = replace(client_materials.CAPS, fuel=-(-proof.record.fuel // proof.record.count))
    with pytest.raises(UnavailableError, match="this says nothing about the ban"):
        execute_again(proof, python, allowed, lambda _what: None)
