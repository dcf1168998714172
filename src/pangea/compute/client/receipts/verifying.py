"""Execute a receipt's calls again, all of them or a random sample, and say what was found."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from pangea.compute.client.receipts.differences import Difference, Found, differences
from pangea.compute.client.receipts.materials import Materials
from pangea.compute.client.receipts.reexecution import OnCall
from pangea.compute.model.ids import TaskId
from pangea.compute.verification.receipt_tree import Receipt

#: Told of the records done so far, and how many there are to do at least.
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """What executing again has found.

    Attributes:
        drawn: records that were drawn; all, if the whole job was repeated.
        of: records that could have been drawn.
        seed: the draw's, to draw the same again; None if there was no draw.
        calls: records compared, by function: beside those drawn, the splits that lead to their chunks.
        differences: what isn't as it was signed.
        warning: that chunks influence each other, or "": that is no fault of whoever signed.
    """

    drawn: int
    of: int
    seed: int | None
    calls: dict[str, int]
    differences: tuple[Difference, ...]
    warning: str = ""


def repeat_all(receipt: Receipt, materials: Materials, on_progress: OnProgress, on_call: OnCall | None = None) -> Repeated:
    """Execute every call of `receipt` again, merges too, and compare each, and the result; `on_call` is told of each.

    Raises:
        InputError: the inputs can't be cut as the receipt says.
        UnverifiedError: the module isn't what the records say.
        UnavailableError: this machine couldn't execute a call.
    """
    total = len(receipt.records())
    seen = _Seen(total, on_progress)
    with materials.reexecution(receipt, seen, on_call) as reexecution:
        of_job = reexecution.run_all()
    warning = reexecution.warning
    found = (*seen.differences, *of_job)
    return Repeated(drawn=total, of=total, seed=None, calls=dict(seen.calls), differences=found, warning=warning)


def repeat_some(
    receipt: Receipt,
    materials: Materials,
    number: int,
    seed: int | None,
    on_progress: OnProgress,
    on_call: OnCall | None = None,
) -> Repeated:
    """Execute `number` of the records of split and execute again, drawn at random, with the splits that lead to their chunks.

    Raises:
        InputError: the inputs can't be cut as the receipt says.
        UnverifiedError: the module isn't what the records say.
        UnavailableError: this machine couldn't execute a call.
    """
    names = [record.task_id for record in (*receipt.splits, *receipt.executes())]
    seed = secrets.randbits(48) if seed is None else seed
    drawn = draw(names, number, seed)
    seen = _Seen(len(drawn), on_progress)
    with materials.reexecution(receipt, seen, on_call) as reexecution:
        reexecution.run(drawn)
    warning, found = reexecution.warning, tuple(seen.differences)
    return Repeated(drawn=len(drawn), of=len(names), seed=seed, calls=dict(seen.calls), differences=found, warning=warning)


def draw(names: list[TaskId], number: int, seed: int) -> set[TaskId]:
    """`number` of `names`, or all of them: the same for the same seed, and equally likely each."""
    return {*Random(seed).sample(names, min(number, len(names)))}  # noqa: S311  # a fresh seed is the kernel's


class _Seen:
    """Compares what is found, as it comes."""

    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self.calls: Counter[str] = Counter()
        self.differences: list[Difference] = []
        self._total = total
        self._on_progress = on_progress

    def __call__(self, found: Found) -> None:
        self.calls[found.record.function] += 1
        self.differences += differences(found)
        self._on_progress(self.calls.total(), self._total)
