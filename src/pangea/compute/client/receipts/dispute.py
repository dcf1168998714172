"""Two receipts of the same computation that differ: find the first call that both made and answered differently, and make it.

One call decides, however large the job. Where the two were packed differently there is no such call: then the smallest spans
that both cover are executed again, each as it was packed, a handful of calls at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pangea.compute.client.receipts.differences import Difference, Found, differences
from pangea.compute.client.receipts.materials import Materials
from pangea.compute.model.errors import InputError
from pangea.compute.model.ids import TaskId
from pangea.compute.verification.receipt_check import Finding, equivocations
from pangea.compute.verification.receipt_tree import Node, Receipt
from pangea.compute.verification.receipts import Record

#: Calls executed again where packings differ, for both sides together.
CALLS_MAX = 8
_PARTS = ("module", "runtime", "inputs", "options")


class Verdict(StrEnum):
    """Who is right about the calls in dispute."""

    SAME = "the receipts say the same"
    ONE = "the first is right"
    OTHER = "the other is right"
    NEITHER = "neither is right"
    BOTH = "both are right"
    OPEN = "undecided"


@dataclass(frozen=True, slots=True)
class Span:
    """What both receipts have records of: the same call, or different ones of the same items.

    Attributes:
        ones, others: the records, in order.
    """

    ones: tuple[Record, ...]
    others: tuple[Record, ...]

    @property
    def is_one_call(self) -> bool:
        """Whether both made the same call."""
        return len(self.ones) == len(self.others) == 1

    @property
    def differs(self) -> bool:
        """Whether they say different things of the same call."""
        return self.is_one_call and _said(self.ones[0]) != _said(self.others[0])

    def __str__(self) -> str:
        """What the calls are of."""
        first, last = self.ones[0], self.ones[-1]
        noun = {"split": "segments", "execute": "chunks"}.get(first.function)
        if noun is None:
            return first.task_id.removeprefix(f"{first.job_id}:")
        return f"{first.function} of {noun} {first.start:,} to {last.start + last.count - 1:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """How a dispute ended.

    Attributes:
        verdict: who is right.
        spans: the calls that were executed again.
        ones, others: what isn't as the first receipt's, and the other's, workers signed.
        calls: executed again in all, those that lead there too.
        equivocations: tasks of which one worker signed two different records.
        differently_packed: spans that couldn't be compared.
    """

    verdict: Verdict
    spans: tuple[Span, ...] = ()
    ones: tuple[Difference, ...] = ()
    others: tuple[Difference, ...] = ()
    calls: int = 0
    equivocations: tuple[Finding, ...] = ()
    differently_packed: int = 0


def check_same_job(one: Receipt, other: Receipt) -> None:
    """Say whether there is anything to settle.

    Raises:
        InputError: the receipts are of different computations.
    """
    for part, mine, theirs in zip(_PARTS, one.job.content(), other.job.content(), strict=True):
        if mine != theirs:
            raise InputError(
                f"the receipts are of different jobs: their {part} differ",
                hint="--against settles receipts of the same module on the same inputs with the same options",
            )


def settle(one: Receipt, other: Receipt, materials: Materials) -> Dispute:
    """Find out which of two receipts of the same computation is right where they differ.

    Args:
        one: checked.
        other: checked, and of the same computation.
        materials: of either.

    Raises:
        InputError: the inputs can't be cut as the receipts say.
        UnverifiedError: the module isn't what the records say.
        UnavailableError: this machine couldn't execute a call.
    """
    spans = [*_spans(one, other)]
    mixed = sorted((span for span in spans if not span.is_one_call), key=_size)
    dispute = _first_decided(one, other, materials, [span for span in spans if span.differs])
    if dispute.verdict in (Verdict.SAME, Verdict.BOTH) and _result(one) != _result(other):
        # All that both did alike is the same, and yet something isn't: it is where they were packed differently.
        judged = _judge(one, other, materials, mixed[: _handful(mixed)])
        dispute = replace(judged, verdict=Verdict.OPEN) if judged.verdict in (Verdict.SAME, Verdict.BOTH) else judged
    lies = tuple(equivocations([*one.records(), *other.records()]))
    return replace(dispute, equivocations=lies, differently_packed=len(mixed))


def _first_decided(one: Receipt, other: Receipt, materials: Materials, differing: list[Span]) -> Dispute:
    """The first call of which one side is wrong: both may be right about fuel, if one's worker was slow."""
    calls = 0
    for span in differing[: CALLS_MAX // 2]:
        dispute = _judge(one, other, materials, [span])
        calls += dispute.calls
        if dispute.verdict is not Verdict.BOTH:
            return replace(dispute, calls=calls)
    if not differing:
        return Dispute(verdict=Verdict.SAME)
    verdict = Verdict.BOTH if len(differing) <= CALLS_MAX // 2 else Verdict.OPEN
    return Dispute(verdict=verdict, spans=tuple(differing[: CALLS_MAX // 2]), calls=calls)


def _spans(one: Receipt, other: Receipt) -> Iterator[Span]:
    """What can be compared, in the order of the data: what comes later derives from what comes before."""
    yield from together(one.splits, other.splits)
    yield from together(one.executes(), other.executes())
    if _shape(one.tree) == _shape(other.tree):
        merges = zip(_merges(one), _merges(other), strict=True)
        yield from (Span((mine,), (theirs,)) for mine, theirs in merges)
    elif one.tree.record is not None and other.tree.record is not None and one.tree.record.input == other.tree.record.input:
        yield Span((one.tree.record,), (other.tree.record,))


def together(ones: Sequence[Record], others: Sequence[Record]) -> Iterator[Span]:
    """The smallest spans of items that records of both sides cover exactly. What only one side has is left out."""
    mine: list[Record] = []
    theirs: list[Record] = []
    rest = iter(others)
    for record in ones:
        mine.append(record)
        while _end(theirs) < _end(mine) and (following := next(rest, None)) is not None:
            theirs.append(following)
        if _end(mine) == _end(theirs):
            yield Span(tuple(mine), tuple(theirs))
            mine, theirs = [], []


def _end(records: list[Record]) -> int:
    return records[-1].start + records[-1].count if records else -1


def _shape(tree: Node) -> list[tuple[int, int]]:
    """Where the merges are: for each node, whether it is one and how many children it has."""
    return [(node.record is not None and node.record.function == "merge", len(node.children)) for node in tree.walk()]


def _merges(receipt: Receipt) -> list[Record]:
    return [record for _, record in receipt.nodes() if record.function == "merge"]


def _said(record: Record) -> tuple[bytes, bytes, int]:
    return record.input, record.output, record.fuel


def _result(receipt: Receipt) -> tuple[str, int, int, int]:
    return receipt.job.result_sha256, receipt.job.result_size, receipt.job.segments, receipt.job.chunks


def _size(span: Span) -> tuple[int, int]:
    return sum(record.count for record in span.ones), len(span.ones) + len(span.others)


def _handful(spans: list[Span]) -> int:
    """How many of the spans are within `CALLS_MAX` calls."""
    calls = 0
    for number, span in enumerate(spans):
        calls += len(span.ones) + len(span.others)
        if calls > CALLS_MAX:
            return number
    return len(spans)


def _judge(one: Receipt, other: Receipt, materials: Materials, spans: list[Span]) -> Dispute:
    """Execute the calls of `spans` again. Whoever is accused is so by his own call: a slow worker's fuel may be another."""
    ours = [record for span in spans for record in span.ones]
    others = [record for span in spans for record in span.others]
    mine = _again(one, materials, ours)
    known = {_name(found.record): found for found in mine}
    is_settled = all((found := known.get(_name(record))) and not differences(found, record) for record in others)
    theirs = [] if is_settled else _again(other, materials, others)
    wrong, their_wrong = _wrong(mine, ours), _wrong(theirs, others)
    if wrong or their_wrong:
        verdict = Verdict.NEITHER if wrong and their_wrong else Verdict.OTHER if wrong else Verdict.ONE
    else:
        made = {found.record.task_id for found in (*mine, *theirs)}
        missing = [record for record in (*ours, *([] if is_settled else others)) if record.task_id not in made]
        verdict = Verdict.OPEN if missing or not spans else Verdict.BOTH
    return Dispute(verdict=verdict, spans=tuple(spans), ones=wrong, others=their_wrong, calls=len(mine) + len(theirs))


def _name(record: Record) -> tuple[str, int]:
    """Names a call within any job of the same content."""
    return record.task_id.removeprefix(f"{record.job_id}:"), record.count


def _wrong(found: list[Found], records: list[Record]) -> tuple[Difference, ...]:
    """What isn't as it was signed, of the calls in dispute; others were made on the way to them."""
    names = {record.task_id for record in records}
    return tuple(difference for each in found if each.record.task_id in names for difference in differences(each))


def _again(receipt: Receipt, materials: Materials, records: list[Record]) -> list[Found]:
    """Everything that was found on the way to `records`."""
    found: list[Found] = []
    if not records:
        return found
    wanted: set[TaskId] = {record.task_id for record in records}
    with materials.reexecution(receipt, found.append) as reexecution:
        reexecution.run(wanted)
    return found
