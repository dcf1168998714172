"""Dask's graphs of plain functions in the sandbox: `dask.compute(x, scheduler=dask_scheduler)`.

Each task is a call (`calls.executor`): its function travels by value, its arguments and its result as values, and what can't is
an error that names it. Containers and names of the graph are put together here. Tasks that don't wait for each other run at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, cast

import dask._task_spec
from dask._task_spec import Alias, DataNode, GraphNode, NestedContainer, Task, TaskRef, convert_legacy_graph
from dask.order import order
from dask.typing import Key

from pangea.compute.client.calls.executor import PangeaExecutor

#: Tasks that Dask has joined of several, at once.
_JOINED_MAX = 32


def dask_scheduler(graph: Any, keys: Any, **options: Any) -> Any:
    """Compute `keys` of a Dask graph; a scheduler as `dask.compute(scheduler=…)` takes it.

    Args:
        graph: Dask's.
        keys: a key of it, or a list of keys and lists, to any depth.
        **options: keywords of `dask.compute`: those of `PangeaExecutor`, such as node, engine and limits.

    Returns:
        What the keys stand for, in the shape of `keys`.

    Raises:
        JobDefinitionError: a task's function can't travel, as those of arrays and frames, which need a compiled package.
        InputError: an argument can't travel as a value.
        JobFailedError: a task raised; also of the built-in type that it raised.
    """
    whole = graph if isinstance(graph, Mapping) else graph.__dask_graph__()
    nodes: dict[Key, GraphNode] = dict(convert_legacy_graph(whole))
    with PangeaExecutor(**options) as executor, ThreadPoolExecutor(_JOINED_MAX, "pangea-dask") as threads:
        values = _Run(nodes, executor, threads).values(_flat(keys))
    return _shaped(keys, values)


#: What makes a task of several that Dask has joined.
_JOINED = vars(dask._task_spec)["_execute_subgraph"]


def _is_container(task: Task) -> bool:
    """Whether a task only puts a list, a dict or the like together."""
    return task.func is not _JOINED and getattr(task.func, "__module__", "") == dask._task_spec.__name__


class _Run:
    """One computation of a graph; without `threads`, tasks that Dask has joined are made one after the other."""

    def __init__(self, nodes: dict[Key, GraphNode], executor: PangeaExecutor, threads: ThreadPoolExecutor | None) -> None:
        self._nodes = nodes
        self._executor = executor
        self._threads = threads
        self._values: dict[Key, Any] = {}
        self._running: dict[Future[Any], Key] = {}

    def values(self, keys: Sequence[Key]) -> dict[Key, Any]:
        """All that `keys` need, computed in Dask's own order."""
        needed = self._needed(keys)
        ranks = order({key: self._nodes[key] for key in needed})
        missing = {key: set(self._nodes[key].dependencies) for key in needed}
        followers: dict[Key, list[Key]] = {key: [] for key in needed}
        for key in needed:
            for each in missing[key]:
                followers[each].append(key)
        ready = sorted((key for key in needed if not missing[key]), key=ranks.__getitem__, reverse=True)
        try:
            while ready or self._running:
                while ready:
                    self._begin(ready.pop())
                done = self._finished()
                freed = []
                for key in done:
                    for follower in followers[key]:
                        missing[follower].discard(key)
                        freed += [] if missing[follower] else [follower]
                ready = sorted(freed, key=ranks.__getitem__, reverse=True)
        except BaseException:
            self._executor.shutdown(wait=False, cancel_futures=True)
            raise
        return self._values

    def _needed(self, keys: Sequence[Key]) -> list[Key]:
        found: dict[Key, None] = {}
        waiting = [*keys]
        while waiting:
            key = waiting.pop()
            if key not in found:
                found[key] = None
                waiting += self._nodes[key].dependencies
        return [*found]

    def _begin(self, key: Key) -> None:
        node = self._nodes[key]
        if isinstance(node, Task) and node.func is _JOINED and self._threads is not None:
            future = self._threads.submit(self._inner, node)
        elif isinstance(node, Task) and node.func is not _JOINED and not _is_container(node):
            future = self._call(node)
        else:  # data, another name of something, a container
            future = Future()
            future.set_result(self._value(node))
        self._running[future] = key

    def _call(self, task: Task) -> Future[Any]:
        arguments = [self._value(each) for each in task.args]
        return self._executor.submit(task.func, *arguments, **{name: self._value(each) for name, each in task.kwargs.items()})

    def _inner(self, task: Task) -> Any:
        """What tasks that Dask has joined give: a graph in a task."""
        graph, key, names, *given = task.args
        nodes = {**graph, **{name: DataNode(None, self._value(each)) for name, each in zip(names, given, strict=True)}}
        return _Run(nodes, self._executor, None).values([key])[key]

    def _finished(self) -> list[Key]:
        """Wait for some that run; their keys."""
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        found = {self._running.pop(future): future.result() for future in done}
        self._values.update(found)
        return [*found]

    def _value(self, given: Any) -> Any:
        """An argument, or what stands for itself, with the values of what it names."""
        if isinstance(given, TaskRef):
            return self._values[given.key]
        if not isinstance(given, GraphNode):
            return given
        if isinstance(given, NestedContainer):
            return given.constructor([self._value(each) for each in given.args])
        if isinstance(given, Task) and _is_container(given):
            keywords = {name: self._value(each) for name, each in given.kwargs.items()}
            return given.func(*[self._value(each) for each in given.args], **keywords)
        if isinstance(given, Task):  # inside another's arguments
            return self._inner(given) if given.func is _JOINED else self._call(given).result()
        return self._values[given.target] if isinstance(given, Alias) else cast(DataNode, given).value


def _flat(keys: Any) -> list[Key]:
    return [each for part in keys for each in _flat(part)] if isinstance(keys, list) else [keys]


def _shaped(keys: Any, values: Mapping[Key, Any]) -> Any:
    return [_shaped(each, values) for each in keys] if isinstance(keys, list) else values[keys]
