"""`pangea dashboard` for tests, as a user starts it: a process, its stdout in a file."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.deadlines import until
from tests.nodes import PANGEA

_UP_SECONDS = 60.0
_END_SECONDS = 20.0


class DashboardProcess:
    """The page of a node, in the background. Use it in a `with`."""

    def __init__(self, place: Path, node: str, *options: str, listen: str = "127.0.0.1:0", **environment: str) -> None:
        """Start it, and wait until it says where it is."""
        self._out, self._err = place / "dashboard.out", place / "dashboard.err"
        given = {name: value for name, value in os.environ.items() if not name.startswith("PANGEA_")}
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen(
                [PANGEA, "dashboard", "--node", node, "--listen", listen, *options],
                stdout=out,
                stderr=err,
                env=given | environment,
            )
        try:
            until(lambda: self.url or self.process.poll() is not None, seconds=_UP_SECONDS, what="the page")
        except AssertionError:
            self.process.kill()
            raise

    @property
    def url(self) -> str:
        """Where it is; "" as long as it hasn't said."""
        text = self._out.read_text()
        return text.strip() if text.endswith("\n") else ""

    @property
    def said(self) -> str:
        """What is on stderr."""
        return self._err.read_text()

    def end(self) -> int:
        """As Ctrl-C does it; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(_END_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.end()
