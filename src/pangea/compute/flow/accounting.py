"""The account of a job that has ended: what its counts and checks come to, the same whoever drove it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pangea.compute.flow.counts import Counts
from pangea.compute.flow.independence import Independence
from pangea.compute.model.options import JobOptions
from pangea.compute.model.report import Report


def report_of(counts: Counts, independence: Independence, options: JobOptions, choices: Sequence[str], **about: Any) -> Report:
    """The report of a job.

    Args:
        counts: what it has added up.
        independence: the check of it.
        options: of its manifest.
        choices: what an adaptive split strategy has chosen, in words.
        about: the report's other fields, which only whoever drove it knows.
    """
    return Report(
        split_strategy=": ".join([options.split_strategy, *(["; ".join(choices)] if choices else [])]),
        segments=counts.segments,
        tasks=counts.tasks,
        fuel=counts.fuel,
        split_seconds=counts.seconds["split"],
        execute_seconds=counts.seconds["execute"],
        merge_seconds=counts.seconds["merge"],
        prints=counts.prints,
        warnings=tuple(filter(None, [independence.warning])),
        **about,
    )
