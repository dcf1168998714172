"""Equal runs that aren't equal: then it is the job, or this machine, and no worker is to blame."""

from __future__ import annotations

from pangea.compute.flow import merging
from pangea.compute.model.errors import JobFailedError, PangeaError
from pangea.compute.model.packet import TaskResult
from pangea.compute.node.jobs.jobs import LiveJob
from pangea.compute.node.storage.result_store import ResultStore


def not_the_same(job: LiveJob, result_store: ResultStore, one: TaskResult, other: TaskResult) -> PangeaError:
    """The error about a job whose task gave two different answers on this very machine. Reads the results: not for the loop."""
    task = one.task_id.rpartition(":")[2]
    return JobFailedError(
        f"this job gives different {_difference(job, result_store, one, other)} on equal runs of task {task}",
        hint="a result must follow from the chunk alone; if nothing in the job can do that, this machine computes wrong:"
        " `pangea doctor --burn-in`",
        kind="not deterministic",
        function="execute",
    )


def _difference(job: LiveJob, result_store: ResultStore, one: TaskResult, other: TaskResult) -> str:
    if one.failure is not None or other.failure is not None:
        ends = (each.failure.value if each.failure is not None else "a result" for each in (one, other))
        return f"ends ({' and '.join(ends)})"
    if one.digest == other.digest:
        return f"amounts of fuel ({one.fuel:,} and {other.fuel:,})"
    done = [job.done[each.digest] for each in (one, other)]
    items = [list(merging.items([result_store.read(each.stored)])) for each in done]
    for index, (a, b) in enumerate(zip(*items, strict=False)):
        if a != b:
            at = next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
            first = done[0].of[1] if done[0].of is not None else 0
            return f"bytes (chunk {first + index:,}, byte {at:,})"
    return f"numbers of results ({len(items[0]):,} and {len(items[1]):,})"
