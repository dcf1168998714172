"""A devnet for tests, as a user starts it: a process, its stdout in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.deadlines import children_of, until

_UP_SECONDS = 120.0
_END_SECONDS = 30.0


class DevnetProcess:
    """`pangea devnet` in the background. Use it in a `with`; its folder is in `place`."""

    def __init__(self, place: Path, *options: str, seconds: float = _UP_SECONDS) -> None:
        """Start it, and wait until all its nodes are up."""
        self._out, self._err = place / "devnet.out", place / "devnet.err"
        self.place = place
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PANGEA_")}
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pangea.compute.cli.main", "devnet", *options],
                stdout=out,
                stderr=err,
                env=environment | {"TMPDIR": str(place)},
            )
        try:
            until(lambda: self._out.read_text() or self.process.poll() is not None, seconds=seconds, what="the devnet")
        except AssertionError:
            self.end(signal.SIGKILL)
            raise

    @property
    def printed(self) -> str:
        """What is on stdout."""
        return self._out.read_text()

    @property
    def said(self) -> str:
        """What is on stderr."""
        return self._err.read_text()

    @property
    def node(self) -> str:
        """Node 0's address."""
        assert self.printed.startswith("PANGEA_NODE="), self.said
        return self.printed.strip().partition("=")[2]

    def folders(self) -> list[Path]:
        """What it keeps on disk."""
        return sorted(self.place.glob("pangea-devnet-*"))

    def processes(self) -> list[int]:
        """Its nodes, and theirs."""
        nodes = children_of(self.process.pid)
        return nodes + [child for node in nodes for child in children_of(node)]

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_END_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        if kind is not None:
            sys.stderr.write(self.said[-4000:])
