"""The processes of a devnet: real nodes on loopback, started in order, watched, and ended with all that they left."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pangea.compute.cli.devnet_plan import Place
from pangea.compute.engine.jail import die_with_parent
from pangea.compute.model.errors import UnavailableError
from pangea.compute.network.peers.address import SOCKET_NAME

_LOOK_SECONDS = 0.05
#: For all nodes to come up: so much, and so much for each.
_UP_SECONDS, _UP_SECONDS_EACH = 60.0, 6.0
_STOP_SECONDS = 15.0
_LOG_LINES = 5


class DevnetNode:
    """One node's process, and what its log says."""

    def __init__(self, place: Place, folder: Path) -> None:
        """A node that isn't started yet, in `folder`."""
        self.place = place
        self.data_dir: Path = folder / f"node{place.number}"
        self.log: Path = folder / f"node{place.number}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._read = 0
        self.peer: str = ""
        self.address: str = ""
        self.parent: str = ""
        self.multiaddrs: list[str] = []

    def start(self, options: list[str]) -> None:
        """Start the process. It dies with this one, whatever ends it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PANGEA_") or name in _KEPT}
        command = [sys.executable, "-m", "pangea.compute.cli.main", "node", "start", "--data-dir", str(self.data_dir)]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*command, "--log-format", "json", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is this process's to act on
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509  # only calls the kernel
            )

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def is_up(self) -> bool:
        """Whether it serves, and has the parent that it is to have."""
        return bool(self.peer) and (self.place.parent is None or bool(self.parent))

    def look(self) -> None:
        """Read what its log says by now."""
        if not self.log.exists():
            return
        with open(self.log, "rb") as log:
            log.seek(self._read)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            with suppress(ValueError):  # a traceback
                self._note(json.loads(line))

    def _note(self, record: dict[str, Any]) -> None:
        match record.get("event"):
            case "ready":
                self.peer = str(record["peer"])
            case "listening":
                self.address = str(record["address"])
            case "discovery" if "addresses" in record:
                self.multiaddrs = list(record["addresses"])
            case "joined" if record["relation"] == "parent":
                self.parent = str(record["peer"])

    def trouble(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-_LOG_LINES:])


#: What nodes share with the user: compiled modules.
_KEPT = ("PANGEA_CACHE_DIR",)


class Devnet:
    """Nodes by plan. Use it in a `with`."""

    def __init__(
        self,
        places: list[Place],
        folder: Path,
        *,
        workers: int = 1,
        gpus: Sequence[str] = ("off",),
        discovery: str = "",
        children_max: int = 64,
        on_up: Callable[[DevnetNode, str], None] = lambda _node, _parent: None,
    ) -> None:
        """Nothing runs yet.

        Args:
            places: who is who.
            folder: where nodes keep their data and logs; it is there, and stays.
            workers: worker processes of each node.
            gpus: which adapters nodes use for shaders, in turn.
            discovery: "": each dials its parent; "bootstrap": each looks for one, starting from node 0; "mdns": likewise,
                starting from nothing.
            children_max: with discovery, children that each node takes.
            on_up: told of each node that has come up, with its parent's number or "".
        """
        self.nodes: list[DevnetNode] = [DevnetNode(place, folder) for place in places]
        self._workers = workers
        self._gpus = gpus
        self._discovery = discovery
        self._children_max = children_max
        self._on_up = on_up
        #: That come up at the same time: more would only slow each other down.
        self._starting_max = max(4, 2 * (os.cpu_count() or 1))

    @property
    def address(self) -> str:
        """Node 0, as `--node` takes it."""
        return f"unix:{self.nodes[0].data_dir / SOCKET_NAME}"

    def start(self) -> None:
        """Start all, parents first; returns when all are up.

        Raises:
            UnavailableError: one ends, or doesn't come up in time.
        """
        waiting, starting = list(self.nodes), list[DevnetNode]()
        until = time.monotonic() + _UP_SECONDS + _UP_SECONDS_EACH * len(self.nodes)
        while waiting or starting:
            for node in [node for node in waiting if self._may_start(node)]:
                if sum(not other.peer for other in starting) < self._starting_max:
                    node.start(self._options(node))
                    waiting.remove(node)
                    starting.append(node)
            for node in list(starting):
                node.look()
                if node.is_up:
                    starting.remove(node)
                    self._on_up(node, self._number_of(node.parent))
                elif not node.is_alive or time.monotonic() > until:
                    raise _not_up(node)
            time.sleep(_LOOK_SECONDS)

    def _may_start(self, node: DevnetNode) -> bool:
        parent = node.place.parent
        return parent is None or self.nodes[0 if self._discovery else parent].is_up

    def _options(self, node: DevnetNode) -> list[str]:
        place = node.place
        gpu = self._gpus[place.number % len(self._gpus)]
        options = ["--workers", str(self._workers), "--gpu", gpu, "--stop-seconds", "1s"]
        if not place.is_behind_nat:
            options += ["--listen", "127.0.0.1:0", "--admit", "open"]
        if place.site:
            options += ["--site", place.site]
        if place.sabotage:
            options += ["--sabotage", place.sabotage]
        if self._discovery:
            return options + self._finding(place)
        return options if place.parent is None else [*options, "--join", self.nodes[place.parent].address]

    def _finding(self, place: Place) -> list[str]:
        options = ["--discovery", "127.0.0.1:0", "--children-max", str(self._children_max)]
        options += ["--mdns" if self._discovery == "mdns" else "--no-mdns"]
        if place.parent is None:
            return options
        start = [] if self._discovery == "mdns" else ["--bootstrap", self.nodes[0].multiaddrs[0]]
        return [*options, *start, "--find-parent"]

    def _number_of(self, peer: str) -> str:
        return next((str(node.place.number) for node in self.nodes if peer and node.peer == peer), peer)

    def ended(self) -> list[DevnetNode]:
        """Nodes whose process has ended by itself."""
        return [node for node in self.nodes if node.process is not None and not node.is_alive]

    def close(self) -> None:
        """End all; whoever doesn't end in time is killed."""
        with _undisturbed():
            for node in reversed(self.nodes):
                if node.process is not None and node.is_alive:
                    node.process.terminate()
            until = time.monotonic() + _STOP_SECONDS
            for node in self.nodes:
                if node.process is not None:
                    _end(node.process, until - time.monotonic())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)


def _not_up(node: DevnetNode) -> UnavailableError:
    number = node.place.number
    if node.is_alive:
        what = f"node {number} has not found a parent in time" if node.peer else f"node {number} didn't come up in time"
    else:
        assert node.process is not None, "it was started"
        what = f"node {number} ended with exit code {node.process.returncode}"
    return UnavailableError(f"{what}; its log ends with\n{node.trouble()}", hint="fewer nodes need less of this machine")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Within the block, signals that would end this process do nothing."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    except ValueError:  # not on the main thread: nobody interrupts there
        yield
        return
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def remove(folder: Path) -> None:
    """Delete a devnet's folder."""
    with _undisturbed():
        shutil.rmtree(folder, ignore_errors=True)
