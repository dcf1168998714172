"""Who runs what when workers share a run (`pytest -n`): whole files, the slow rooms first, one network at a time.

Rooms of many small files are dealt out before anything is imported: to import them all would cost each worker more than to
run its part. Files of the slow rooms are known to every worker, and go to whoever is free. They wait, mostly, and what was dealt
out computes: so each worker comes to its part at another time, and ends with files that another could take instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

#: Homes of what starts a network of its own: files whose tests use one go to one worker, so that no two share the machine.
_NETWORKS = ("from tests.devnets import", "from tests.hosts import")
#: The slowest first, so that no worker is left alone with one of them.
_ORDER = ("e2e", "integration", "clusters", "simulation", "hostile", "property", "unit")
_DEALT = {"property", "unit"}


class WholeFiles(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Files stay together, so what a file's tests share is made once. A worker gets only what it has collected."""

    def __init__(self, config: Any, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self.collection: list[str] | None = None
        self._root: Path = config.rootpath
        self._numbers: dict[Any, dict[str, int]] = {}
        self._scopes: dict[str, str] = {}
        self._free_files = 0

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        """A worker has collected: not what the others have."""
        self.registered_collections[node] = list(collection)
        self._numbers[node] = {test: number for number, test in enumerate(collection)}

    def schedule(self) -> None:
        """All have collected, or a worker is new: give each who has little to do more."""
        if self.collection is None:
            self.collection = list(dict.fromkeys(test for tests in self._numbers.values() for test in tests))
            for test in self.collection:
                self.workqueue.setdefault(self._split_scope(test), {})[test] = False
            self._free_files = sum(not is_dealt(scope) for scope in self.workqueue)
            self.config.pluginmanager.get_plugin("dsession")._session.testscollected = len(self.collection)
        for _ in range(2):  # a worker begins a test once it knows the next
            for node in self.nodes:
                self._reschedule(node)

    def remove_node(self, node: Any) -> str | None:
        """A worker has ended; the test it died of, if it did.

        What it had left goes to others, but for that test: xdist's own would run it again, on one worker after the other, and
        would hand out files that are done, behind which a worker waits for ever.
        """
        workload = self.assigned_work.pop(node)
        left = [(scope, test) for scope, tests in workload.items() for test, is_done in tests.items() if not is_done]
        if not left:
            return None
        scope, crashed = left[0]
        workload[scope][crashed] = True
        self.workqueue.update({scope: tests for scope, tests in workload.items() if not all(tests.values())})
        for each in self.assigned_work:
            self._reschedule(each)
        return str(crashed)

    def _reschedule(self, node: Any) -> None:
        if node.shutting_down or self._pending_of(self.assigned_work[node]) > 2:
            return
        known = self._numbers.get(node)
        if known is None:  # it still collects
            return
        scope = self._next(node, known)
        if scope is None:
            node.shutdown()
            return
        tests = self.assigned_work[node][scope] = self.workqueue.pop(scope)
        node.send_runtest_some([known[test] for test, is_done in tests.items() if not is_done])

    def _next(self, node: Any, known: dict[str, int]) -> str | None:
        """A file for this worker: of its own part once it is time for that, else one that all know; None: there is none."""
        free = [scope for scope in self.workqueue if not is_dealt(scope)]
        number, workers = int(node.gateway.id.removeprefix("gw")), len(self._numbers)
        is_time = len(free) * workers <= self._free_files * (workers - number % workers)
        dealt = (scope for scope in self.workqueue if is_dealt(scope))
        order = chain(dealt, free) if is_time else chain(free, dealt)
        return next((scope for scope in order if known.keys() >= self.workqueue[scope].keys()), None)

    def _pending_of(self, workload: dict[str, dict[str, bool]]) -> int:
        """How many tests a worker has left: of its last files, as it runs one after the other."""
        pending = 0
        for tests in reversed(workload.values()):
            left = sum(not is_done for is_done in tests.values())
            if not left:
                break
            pending += left
        return pending

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path not in self._scopes:
            self._scopes[path] = "networks" if starts_networks(self._root / path) else path
        return self._scopes[path]


def rank(path: Path) -> tuple[bool, int]:
    """Where a file of tests stands in a run."""
    room = path.parent.name
    return not starts_networks(path), _ORDER.index(room) if room in _ORDER else len(_ORDER)


@cache
def is_dealt(scope: str) -> bool:
    """Whether files of its room are dealt out to workers."""
    return Path(scope).parent.name in _DEALT


@cache
def starts_networks(path: Path) -> bool:
    """Whether its tests start whole networks."""
    text = path.read_text()
    return any(each in text for each in _NETWORKS)


def is_for_another(path: Path, config: Any) -> bool:
    """Whether a file of tests is dealt to another worker than this process. One that takes a crashed worker's place gets all."""
    found = getattr(config, "workerinput", None)
    place = None if found is None or path.parent.name not in _DEALT else _dealt(path.parent).get(path)
    if found is None or place is None:
        return False
    number, workers = int(found["workerid"].removeprefix("gw")), found["workercount"]
    return bool(number < workers and place % workers != number)


def rooms(config: Any) -> list[str]:
    """What to collect: of all tests each worker begins with another room, and so finds compiled what others have imported."""
    tests, given = config.rootpath / "tests", list(config.args)
    found = getattr(config, "workerinput", None)
    if found is None or [Path(each).absolute() for each in given] != [tests]:
        return given
    places = sorted(str(each) for each in tests.iterdir() if each.match("test_*.py") or any(each.glob("test_*.py")))
    begin = int(found["workerid"].removeprefix("gw")) + 1
    return [*places[begin:], *places[:begin]]


@cache
def _dealt(room: Path) -> dict[Path, int]:
    """The place of each file of a room: large and small ones are spread."""
    files = sorted(room.glob("test_*.py"), key=lambda each: (each.stat().st_size, each.name))
    return {each: place for place, each in enumerate(files)}
