"""Dask's graphs of plain functions run in the sandbox, with the results of Dask's own scheduler."""

from __future__ import annotations

from typing import Any

import pytest
from dask import base
from dask._task_spec import Task, TaskRef
from dask.delayed import delayed

from pangea.compute import JobFailedError, dask_scheduler
from pangea.compute.errors import InputError, ManifestError

compute: Any = base.compute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def inc(number: int) -> int:
    return number + 1


def total(numbers: list[int], about: Any = None) -> Any:
    return sum(numbers), about


def where() -> str:
    import sys

    return sys.platform


def divided(by: int) -> int:
    return 1 // by


def test_delayed_calls_give_what_dask_gives() -> None:
    several = [delayed(inc)(n) for n in range(10)]
    whole = delayed(total)(several, about={"k": [several[0], (several[1], 5)], "s": delayed(pow)(several[2], several[3])})
    given: Any = (whole, several[3], 7, [several[4]])
    there = compute(*given, scheduler=dask_scheduler)
    assert there == compute(*given, scheduler="sync")
    assert there[0] == (55, {"k": [1, (2, 5)], "s": 81})


def test_each_task_runs_in_the_sandbox() -> None:
    (there,) = compute(delayed(where)(), scheduler=dask_scheduler)
    assert there == "wasi"


def test_plain_graphs_and_tasks_that_dask_has_joined() -> None:
    plain: dict[Any, Any] = {"a": 1, "b": (abs, -2), "c": (max, "a", "b"), "d": ["a", "b"], "e": (sum, ["a", "b", (abs, -5)])}
    assert dask_scheduler(plain, ["c", ["d", "e"]]) == [2, [[1, 2], 8]]
    assert dask_scheduler(plain, "e") == 8
    parts = [Task("x", abs, -3), Task("y", pow, TaskRef("x"), 2), Task("z", divmod, TaskRef("y"), 2)]
    joined = Task.fuse(*parts)
    assert dask_scheduler({joined.key: joined, "s": Task("s", sum, TaskRef(joined.key))}, [joined.key, "s"]) == [(4, 1), 5]


def test_what_a_task_raises_and_what_can_t_travel_is_said() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        compute(delayed(inc)(delayed(divided)(0)), scheduler=dask_scheduler)
    assert isinstance(raised.value, JobFailedError)
    with pytest.raises(InputError, match="can't travel as a value"):
        compute(delayed(total)([object()]), scheduler=dask_scheduler)
    with pytest.raises(ManifestError, match="max_jobs is 0"):
        compute(delayed(inc)(1), scheduler=dask_scheduler, max_jobs=0)
