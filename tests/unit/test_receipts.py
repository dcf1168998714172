"""Receipts as files, and what can be checked of them without executing anything."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.client.receipts.materials import placed
from pangea.compute.model.errors import UnverifiedError
from pangea.compute.model.ids import JobId
from pangea.compute.model.limits import Limits
from pangea.compute.model.options import JobOptions
from pangea.compute.network.identity import is_signed_by
from pangea.compute.verification.receipt_check import check
from pangea.compute.verification.receipt_file import DEPTH_MAX, dumps, loads
from pangea.compute.verification.receipt_tree import MODULE_BYTES_MAX, Node, Receipt, build
from pangea.compute.verification.receipts import Record
from tests.signing import identity, signed
from tests.unit.receipts_made import (
    EXECUTES,
    HASHES,
    JOB,
    LAST,
    MERGES,
    OPTIONS,
    SPLITS,
    STEPS,
    altered,
    found,
    is_accepted,
    receipt_of_words,
    receipt_without_merge,
    record,
    sign,
    sign_as,
)


@pytest.mark.parametrize("make", [receipt_of_words, receipt_without_merge])
def test_a_receipt_survives_its_file_and_its_check(make: Callable[[], Receipt]) -> None:
    data = dumps(make())
    assert loads(data) == make()
    assert loads(json.dumps(json.loads(data), indent=2).encode()) == make()
    assert found(make()) == []


def test_the_tree_is_that_of_the_merges_and_in_the_order_of_the_chunks() -> None:
    receipt = receipt_of_words()
    assert [each for _, each in receipt.nodes()] == [EXECUTES[0], EXECUTES[1], STEPS[0], EXECUTES[2], STEPS[1], LAST]
    assert receipt.executes() == EXECUTES
    assert receipt.records() == [*SPLITS, *(each for _, each in receipt.nodes())]


def test_the_empty_job_has_a_receipt_too() -> None:
    job = replace(JOB, fuel=SPLITS[0].fuel, segments=2, chunks=0, result_sha256=sha256().hexdigest(), result_size=0)
    receipt = build(job, splits=SPLITS[:1], executes=[], merges=[], sign=identity(0).sign)
    assert found(loads(dumps(receipt))) == []
    assert found(sign(receipt, job=replace(job, result_size=1))) == ["result: a job without chunks and merge has an empty result"]
    last = build(
        replace(JOB, fuel=30, segments=2, chunks=0), splits=SPLITS[:1], executes=[], merges=[(LAST, ())], sign=sign_as(0)
    )
    assert found(loads(dumps(last))) == []


def test_a_large_module_stays_outside() -> None:
    for size, is_in in ((MODULE_BYTES_MAX, True), (MODULE_BYTES_MAX + 1, False)):
        module = bytes(size)
        receipt = build(JOB, splits=[], executes=[], merges=[], sign=sign_as(0), module=module)
        assert (receipt.module is not None) == is_in


def test_records_that_make_no_tree_are_refused_when_the_receipt_is_built() -> None:
    def attempt(**changes: Any) -> Receipt:
        given = {"splits": SPLITS, "executes": EXECUTES, "merges": MERGES, "sign": sign_as(0), **changes}
        return build(given.pop("job", JOB), **given)

    with pytest.raises(ValueError, match="no record or was merged already"):
        attempt(executes=EXECUTES[:2])
    with pytest.raises(ValueError, match="no record or was merged already"):
        attempt(merges=[*MERGES[:2], (LAST, (STEPS[0].hash(), STEPS[1].hash(), HASHES[0]))])
    with pytest.raises(ValueError, match=r"1 records of job .* were never merged"):
        attempt(merges=[(STEPS[0], (HASHES[0],)), (LAST, (STEPS[0].hash(), HASHES[1]))])
    with pytest.raises(ValueError, match="no place here: another job"):
        attempt(splits=[record("s0", "split", 0, 2, job_id=JobId("another"))])
    with pytest.raises(ValueError, match="no place here: out of fuel"):
        attempt(splits=[replace(SPLITS[0], failure="out of fuel")])
    with pytest.raises(ValueError, match="options more than the cut's"):
        attempt(job=replace(JOB, options=replace(OPTIONS, redundancy=3)))
    with pytest.raises(ValueError, match="its fuel limit 0"):
        attempt(job=replace(JOB, options=JobOptions()))


# What a stranger writes into the file


ALTERATIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a figure": lambda file: file["job"].update(fuel=1),
    "the name": lambda file: file["job"].update(name="other"),
    "a limit": lambda file: file["job"]["options"]["limits"].update(memory=1 << 20),
    "the confidence": lambda file: file["job"]["verification"].update(reached=1.0),
    "the module": lambda file: file.update(module=base64.b64encode(b"other").decode()),
    "no module": lambda file: file.pop("module"),
    "an output": lambda file: file["splits"][0].update(output="00" * 32),
    "an input": lambda file: file["tree"]["children"][0].update(input="00" * 32),
    "fuel": lambda file: file["splits"][0].update(fuel=1),
    "worker": lambda file: file["splits"][0].update(worker=1),
    "workers": lambda file: file["workers"].reverse(),
    "owner": lambda file: file["job"].update(owner=identity(1).peer_id),
    "job id": lambda file: file["job"].update(id="another"),
    "runtime": lambda file: file["job"].update(runtime="cd" * 32),
    "dropped": lambda file: file["tree"]["children"].pop(),
    "dropped split": lambda file: file["splits"].pop(),
    "re-ordered": lambda file: file["tree"]["children"].reverse(),
    "re-ordered splits": lambda file: file["splits"].reverse(),
    "doubled": lambda file: file["splits"].append(file["splits"][0]),
    "swapped tasks": lambda file: _swap(file["splits"][0], file["splits"][1], "task"),
    "swapped signatures": lambda file: _swap(file["splits"][0], file["splits"][1], "signature"),
    "an execution for a split": lambda file: file["splits"].__setitem__(0, file["tree"]["children"][1]["children"][0]),
    "a step less": lambda file: file["tree"].update(children=file["tree"]["children"][0]["children"]),
    "only the owner": lambda file: file.update(tree=file["tree"]["children"][0]),
}


def _swap(one: dict[str, Any], other: dict[str, Any], name: str) -> None:
    one[name], other[name] = other[name], one[name]


@pytest.mark.parametrize("name", sorted(set(ALTERATIONS) - {"no module"}))
def test_an_altered_receipt_is_refused(name: str) -> None:
    data = altered(ALTERATIONS[name])
    assert json.loads(data) != json.loads(dumps(receipt_of_words())), "the alteration has altered nothing"
    assert not is_accepted(data)


def test_without_its_module_a_receipt_is_as_good() -> None:
    data = altered(ALTERATIONS["no module"])
    assert found(loads(data)) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda file: file.update(more=1), "it has an unknown field 'more'"),
        (lambda file: file["job"].update(more=1), "job has an unknown field"),
        (lambda file: file["splits"][0].update(more=1), r"splits\[0\] has an unknown field|has an unknown field 'more'"),
        (lambda file: file["splits"][0].pop("fuel"), "has no fuel"),
        (lambda file: file["splits"][0].update(fuel=True), "must be a whole number"),
        (lambda file: file["splits"][0].update(fuel=-1), "must be a whole number"),
        (lambda file: file["splits"][0].update(fuel=1 << 63), "must be a whole number"),
        (lambda file: file["splits"][0].update(fuel=1.0), "must be a whole number"),
        (lambda file: file["splits"][0].update(output="AB" * 32), "64 small hexadecimal digits"),
        (lambda file: file["splits"][0].update(output="ab" * 31), "64 small hexadecimal digits"),
        (lambda file: file["splits"][0].update(worker=9), "of worker 9"),
        (lambda file: file["splits"][0].update(signature="!"), "must be base64"),
        (lambda file: file["splits"][0].update(signature="AB=="), "must be base64"),
        (lambda file: file["workers"].append("more"), "one without a record"),
        (lambda file: file["workers"].__setitem__(1, file["workers"][0]), "has one twice"),
        (lambda file: file["workers"].__setitem__(1, 7), "workers must be peer ids"),
        (lambda file: file.update(pangeaReceipt=1), "has format 1"),
        (lambda file: file.pop("pangeaReceipt"), "the number of its format"),
        (lambda file: file.update(tree=[]), r"tree is \[\], not an object"),
        (lambda file: file["tree"]["children"][0].pop("task"), "has no task"),
        (lambda file: file["job"]["options"].update(minChunkSize=0), "min_chunk_size is 0"),
        (lambda file: file["job"]["options"]["limits"].update(memory="all"), "limits.memory"),
        (lambda file: file["job"]["options"]["limits"].update(more=1), "unknown field"),
        (lambda file: file["job"]["options"].update(limits=7), "limits is a int"),
        (lambda file: file["job"]["verification"].update(target=2), "a number from 0 to 1"),
        (lambda file: file["job"].update(name="\x1b[2J"), "printable"),
        (lambda file: file["job"].update(name="\ud800"), "printable"),
        (lambda file: file["job"].update(inputs=7), "must be a list"),
    ],
)
def test_what_no_receipt_has_is_named(change: Callable[[dict[str, Any]], object], complaint: str) -> None:
    with pytest.raises(UnverifiedError, match=complaint):
        loads(altered(change))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"pangeaReceipt":' + b"1" * 5_000 + b"}",
        b"[" * 1_000_000,
        b'{"a":' * 100_000,
    ],
)
def test_what_is_no_receipt_at_all_is_an_error_with_a_name(data: bytes) -> None:
    with pytest.raises(UnverifiedError, match="can't be read"):
        loads(data)


def test_what_readers_of_json_take_in_different_ways_is_refused() -> None:
    data = dumps(receipt_of_words())
    with pytest.raises(UnverifiedError, match="stands twice in one object"):
        loads(data.replace(b'"fuel":', b'"fuel":1,"fuel":', 1))
    with pytest.raises(UnverifiedError, match="NaN is no JSON"):
        loads(data.replace(b'"reached":null', b'"reached":NaN'))


def test_a_bottomless_tree_is_refused() -> None:
    def deepen(file: dict[str, Any]) -> None:
        for _ in range(DEPTH_MAX + 1):
            file["tree"] = {**file["tree"], "children": [file["tree"]]}

    with pytest.raises(UnverifiedError, match="more than 32 levels"):
        loads(altered(deepen))


# What a lying owner signs


def with_execute(at: int, forged: Record) -> Node:
    """The tree without merge steps, one execution exchanged."""
    executes = [*EXECUTES]
    executes[at] = forged
    return Node(LAST, tuple(map(Node, executes)))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tree": with_execute(1, replace(EXECUTES[1], fuel=1))}, "didn't sign this"),
        ({"tree": with_execute(1, record("2", "execute", 2, 3, job_id=JobId("another")))}, "record of another job"),
        ({"tree": with_execute(1, record("3", "execute", 3, 2))}, "begins at chunk 3; the one before it ends at 2"),
        ({"tree": with_execute(1, record("9", "execute", 2, 3))}, "is none of execute"),
        ({"tree": with_execute(1, record("2", "merge", 2, 1))}, "of a merge at this place"),
        ({"tree": with_execute(2, EXECUTES[1])}, "stands twice"),
        ({"tree": with_execute(2, signed(replace(EXECUTES[2], failure="trapped"), identity(1)))}, "it has no result: trapped"),
        ({"tree": with_execute(2, signed(replace(EXECUTES[2], output=b""), identity(1)))}, "it has no result: its hashes"),
        ({"tree": Node(LAST, tuple(map(Node, EXECUTES[:2])))}, "they end at chunk 5; the job has 6"),
        ({"tree": Node(LAST, tuple(map(Node, EXECUTES[::-1])))}, "begins at chunk 5"),
        ({"tree": Node(record("m9.0", "merge", 0, 1), tuple(map(Node, EXECUTES)))}, "of a merge at this place"),
        ({"tree": Node(STEPS[0], (Node(LAST, tuple(map(Node, EXECUTES))),))}, "of a merge at this place"),
        ({"tree": Node(LAST, (*map(Node, EXECUTES), Node(STEPS[0])))}, "it merged nothing"),
        ({"tree": Node(LAST, (Node(None, tuple(map(Node, EXECUTES))),))}, "a concatenation is below"),
        ({"tree": Node(LAST, (Node(EXECUTES[0], (Node(EXECUTES[1]),)), Node(EXECUTES[2])))}, "has nothing below it"),
        ({"tree": Node(EXECUTES[0])}, "a merge or a concatenation above"),
        ({"tree": Node(record("merge", "merge", 1, 1), tuple(map(Node, EXECUTES)))}, "of a merge at this place"),
        ({"splits": tuple(SPLITS[:1])}, "they end at segment 2; the job has 3"),
        ({"splits": tuple(SPLITS[::-1])}, "begins at segment 2"),
        ({"splits": (record("0", "split", 0, 3),)}, "is none of split"),
        ({"splits": ()}, "without split each segment is a chunk"),
        ({"job": replace(receipt_of_words().job, fuel=1)}, "the records come to"),
        ({"job": replace(receipt_of_words().job, result_sha256="00" * 32)}, "the last merge gave"),
        ({"job": replace(receipt_of_words().job, options=replace(OPTIONS, limits=Limits(fuel=5)))}, "a call has 5 at most"),
        ({"job": replace(receipt_of_words().job, options=replace(OPTIONS, limits=Limits()))}, "limits.fuel is 0"),
        ({"module": b"other"}, "don't have the hash"),
    ],
)
def test_a_lying_owner_is_found_out(changes: dict[str, Any], complaint: str) -> None:
    findings = found(sign(receipt_of_words(), **changes))
    assert any(complaint in each for each in findings), findings


def test_a_root_of_other_records_is_found() -> None:
    receipt = replace(receipt_of_words(), root=bytes(32))
    resigned = replace(receipt, signature=identity(0).sign(receipt.statement()))
    assert found(resigned) == ["root: the records are not those that the root names"]


def test_two_records_of_one_worker_for_one_task_prove_a_lie() -> None:
    other = signed(replace(EXECUTES[0], output=bytes(32)), identity(1))
    findings = found(sign(receipt_of_words(), tree=Node(LAST, tuple(map(Node, [EXECUTES[0], other, *EXECUTES[1:]])))))
    assert any("signed two different records of it" in each for each in findings)


def test_a_receipt_is_no_other_jobs() -> None:
    # The very records of one job under another's id, by a lying owner: their workers signed the id.
    moved = replace(receipt_of_words().job, job_id=JobId("2f1c7a3e-0c4b-4f44-9d6f-0d3f0a6f5b12"))
    content = json.loads(dumps(receipt_of_words()))
    content["job"]["id"] = moved.job_id
    receipt = loads(json.dumps(content).encode())
    assert len(found(sign(receipt))) == len(receipt.records()) + 1  # and the owner has signed no such spec


def test_whoever_keeps_a_receipt_may_say_where_the_inputs_are() -> None:
    placed_at = placed(dumps(receipt_of_words()), [Path("a"), Path("b")])
    receipt = loads(placed_at)
    assert [Path(each.path).name for each in receipt.job.inputs] == ["a", "b"]
    assert check(receipt, is_signed_by) == []
    with pytest.raises(UnverifiedError, match="about 2 inputs, not 1"):
        placed(dumps(receipt_of_words()), [Path("a")])


def test_results_that_are_in_a_receipt_are_those_that_its_records_name() -> None:
    receipt = receipt_of_words()
    count = len(receipt.executes())
    forged = replace(receipt, outputs=(b"no list",) * count)
    assert loads(dumps(forged)) == forged
    assert [each.what for each in check(forged, is_signed_by)] == [
        "the results in the receipt aren't those that its record names"
    ] * count
    too_few = replace(receipt, outputs=(b"",) * (count + 1))
    assert [each.where for each in check(too_few, is_signed_by)] == ["outputs"]
    assert b'"outputs"' not in dumps(receipt)
    told = replace(receipt, job=replace(receipt.job, checking=replace(receipt.job.checking, tolerance="4 ulp")))
    assert loads(dumps(told)).job.checking.tolerance == "4 ulp"
