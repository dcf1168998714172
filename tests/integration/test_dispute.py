"""Two receipts of one computation: the first call answered differently is made again, and says who is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pangea.compute.client.receipts.dispute import CALLS_MAX, Dispute, Verdict, check_same_job, settle, together
from pangea.compute.client.receipts.materials import Materials
from pangea.compute.engine.engine import Engine
from pangea.compute.model.errors import InputError
from pangea.compute.model.ids import JobId, PeerId, TaskId
from pangea.compute.network.identity import is_signed_by
from pangea.compute.verification.receipt_check import check
from pangea.compute.verification.receipt_tree import Receipt
from pangea.compute.verification.receipts import Record
from tests.examples import spread
from tests.integration.test_reexecution import TEXT, node
from tests.signing import JOB_ID, identity

OTHER_ID = JobId("5f1c7a3e-0c4b-4f44-9d6f-0d3f0a6f5b11")
NOTHING = bytes(32)


def settled(engine: Engine, folder: Path, one: Receipt, other: Receipt) -> Dispute:
    assert check(one, is_signed_by) == check(other, is_signed_by) == [], "no dispute between receipts that are altered"
    check_same_job(one, other)
    (folder / "input").write_bytes(TEXT)
    materials = Materials.of(one, module=None, inputs=[folder / "input"], engine=engine, on_compile=lambda _what: None)
    return settle(one, other, materials)


def lying(name: str, **changes: Any) -> Callable[[Record], Record]:
    return lambda record: replace(record, **changes) if record.task_id.endswith(f":{name}") else record


@pytest.mark.parametrize(
    ("name", "changes", "span"),
    spread(
        3,
        [
            ("s2", {"output": NOTHING}, "split of segments 2 to 3"),
            ("7", {"output": NOTHING}, "execute of chunks 7 to 13"),
            ("7", {"fuel": 99}, "execute of chunks 7 to 13"),
            ("m1.1", {"output": NOTHING}, "m1.1"),
            ("m1.1", {"input": NOTHING}, "m1.1"),
            ("merge", {"output": sha256(b"lie").digest()}, "merge"),
        ],
    ),
)
def test_the_first_call_that_differs_decides(
    python: Engine, tmp_path: Path, name: str, changes: dict[str, Any], span: str
) -> None:
    honest = node(python).receipt()
    liar = node(python, job_id=OTHER_ID, lie=lying(name, **changes), workers=1).receipt_as_signed()
    for one, other, verdict in ((honest, liar, Verdict.ONE), (liar, honest, Verdict.OTHER)):
        dispute = settled(python, tmp_path, one, other)
        assert (dispute.verdict, [str(each) for each in dispute.spans]) == (verdict, [span])
        wrong = dispute.others if verdict is Verdict.ONE else dispute.ones
        right = dispute.ones if verdict is Verdict.ONE else dispute.others
        assert (right, [each.task_id for each in wrong]) == ((), [f"{OTHER_ID}:{name}"])
        assert wrong[0].worker == identity(1).peer_id
        assert dispute.equivocations == ()


def test_two_liars_are_both_wrong(python: Engine, tmp_path: Path) -> None:
    one = node(python, lie=lying("7", output=NOTHING)).receipt()
    other = node(python, job_id=OTHER_ID, lie=lying("7", output=b"1" * 32)).receipt()
    dispute = settled(python, tmp_path, one, other)
    assert dispute.verdict is Verdict.NEITHER
    assert (len(dispute.ones), len(dispute.others)) == (1, 1)


def test_honest_receipts_say_the_same_however_they_were_packed(python: Engine, tmp_path: Path) -> None:
    one = node(python).receipt()
    for other in (
        node(python, job_id=OTHER_ID).receipt(),
        node(python, job_id=OTHER_ID, execute_size=4, split_size=1, fan_in=0).receipt(),
    ):
        dispute = settled(python, tmp_path, one, other)
        assert (dispute.verdict, dispute.calls) == (Verdict.SAME, 0)


def test_where_packings_differ_the_smallest_spans_decide(python: Engine, tmp_path: Path) -> None:
    honest = node(python, execute_size=6, fan_in=0).receipt()
    liar = node(
        python, job_id=OTHER_ID, execute_size=4, fan_in=0, workers=1, bodies=lambda body: body.replace(b"FOX", b"CAT", 1)
    ).receipt()
    assert honest.job.result_sha256 != liar.job.result_sha256
    dispute = settled(python, tmp_path, honest, liar)
    assert dispute.verdict is Verdict.ONE
    assert str(dispute.spans[0]) == "execute of chunks 0 to 11"
    assert dispute.differently_packed == 4
    assert sum(len(span.ones) + len(span.others) for span in dispute.spans) <= CALLS_MAX
    assert settled(python, tmp_path, liar, honest).verdict is Verdict.OTHER


def test_what_cannot_be_compared_stays_open(python: Engine, tmp_path: Path) -> None:
    honest = node(python, fan_in=0).receipt()
    liar = node(python, job_id=OTHER_ID, fan_in=3, lie=lying("merge", output=sha256(b"lie").digest())).receipt_as_signed()
    dispute = settled(python, tmp_path, honest, liar)
    assert (dispute.verdict, dispute.calls, dispute.spans) == (Verdict.OPEN, 0, ())


def test_one_worker_of_two_minds_is_named(python: Engine, tmp_path: Path) -> None:
    honest = node(python).receipt()
    dispute = settled(python, tmp_path, honest, node(python, lie=lying("7", output=NOTHING)).receipt())
    assert dispute.verdict is Verdict.ONE
    assert [each.where for each in dispute.equivocations] == [f"{JOB_ID}:7"]


def test_no_worker_is_of_two_minds_because_an_owner_gave_one_id_to_two_questions(python: Engine, tmp_path: Path) -> None:
    """An owner may cut a job anew under its old id, and workers that have forgotten the first sign both, each as it is."""
    one, other = node(python).receipt(), node(python, execute_size=4, split_size=1, fan_in=0).receipt()
    assert {record.task_id for record in one.records()} & {record.task_id for record in other.records()}
    assert settled(python, tmp_path, one, other).equivocations == ()


def test_receipts_of_different_jobs_have_nothing_to_settle(python: Engine) -> None:
    receipt = node(python).receipt()
    others = {
        "inputs": node(python, inputs=[TEXT[::-1]]).receipt(),
        "options": node(python, options={"split_strategy": "custom"}).receipt(),
        "module": replace(receipt, job=replace(receipt.job, module="00" * 32)),
        "runtime": replace(receipt, job=replace(receipt.job, runtime="00" * 32)),
    }
    for part, other in others.items():
        with pytest.raises(InputError, match=f"their {part} differ"):
            check_same_job(receipt, other)


def test_spans_are_the_smallest_that_both_cover() -> None:
    def records(*counts: int) -> list[Record]:
        starts = [sum(counts[:at]) for at in range(len(counts))]
        return [_record(start, count) for start, count in zip(starts, counts, strict=True)]

    def places(ones: list[Record], others: list[Record]) -> list[tuple[int, int]]:
        return [(len(span.ones), len(span.others)) for span in together(ones, others)]

    assert places(records(1, 2, 3), records(1, 2, 3)) == [(1, 1)] * 3
    assert places(records(2, 2, 2), records(3, 3)) == [(3, 2)]
    assert places(records(4, 2), records(1, 1, 2, 2)) == [(1, 3), (1, 1)]
    assert places(records(2, 2), records(2)) == [(1, 1)]
    assert places(records(2), records(2, 2)) == [(1, 1)]
    assert places([], records(2)) == places(records(2), []) == []


def _record(start: int, count: int) -> Record:
    owner = PeerId(identity(0).peer_id)
    return Record(
        job_id=JOB_ID, owner=owner, task_id=TaskId(f"{JOB_ID}:{start}"), function="execute", module="", runtime="", spec=b"",
        start=start, count=count, input=b"", output=b"", fuel=0, worker=owner,
    )  # fmt: skip
