"""Who runs what when workers share a run (`pytest -n`): whole files, the slow rooms first, one network at a time."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

#: Homes of what starts a network of its own: files whose tests use one go to one worker, so that no two share the machine.
_NETWORKS = ("from tests.devnets import", "from tests.hosts import")
#: The slowest first, so that no worker is left alone with one of them.
_ORDER = ("e2e", "integration", "hostile", "simulation", "property", "unit")


class WholeFiles(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Files stay together, so what a file's tests share is made once."""

    def __init__(self, config: Any, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False  # not by number of tests: by `rank`
        super().__init__(config, log)
        self._root: Path = config.rootpath

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

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "networks" if starts_networks(self._root / path) else path


def rank(path: Path) -> tuple[bool, int]:
    """Where a file of tests stands in a run."""
    room = path.parent.name
    return not starts_networks(path), _ORDER.index(room) if room in _ORDER else len(_ORDER)


@cache
def starts_networks(path: Path) -> bool:
    """Whether its tests start whole networks."""
    text = path.read_text()
    return any(each in text for each in _NETWORKS)
