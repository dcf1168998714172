"""Real nodes for tests: processes with a data directory, started, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pangea.compute.node.storage.crash import VARIABLE
from tests.nursery import PANGEA as PANGEA
from tests.nursery import Forked, is_like_here, nursery

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_RUN_SECONDS = 60.0


class NodeProcess:
    """`pangea node start` on a data directory."""

    #: Whether one without a prefix comes from the nursery.
    is_forked = True

    def __init__(self, data_dir: Path, *options: str, crash_at: str = "", prefix: Sequence[str] = ()) -> None:
        """Start it, and wait until it serves; with `crash_at` it may die before that.

        `prefix` comes before the command: a `Host`'s, to have the node there.
        """
        self.data_dir = data_dir
        self._prefix = prefix
        self._options = options
        self._readies = 0
        self._log = data_dir.with_name(data_dir.name + ".log")
        self.start(crash_at=crash_at)

    def start(self, *, crash_at: str = "") -> None:
        """Start the process."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PANGEA_")}
        if crash_at:
            environment[VARIABLE] = crash_at
        words = ["node", "start", "--data-dir", str(self.data_dir), "--log-format", "json", *self._options]
        with open(self._log, "ab") as log, open(os.devnull, "wb") as nowhere:
            self.process: Forked | subprocess.Popen[bytes] = (
                subprocess.Popen([*self._prefix, PANGEA, *words], stdout=nowhere, stderr=log, env=environment)
                if self._prefix or not self.is_forked
                else nursery().start(words, environment, stdout=nowhere.fileno(), stderr=log.fileno())
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        """Until its log says so, or it has died."""
        known = self._readies
        until = time.monotonic() + _START_SECONDS
        while self.is_alive and time.monotonic() < until:
            self._readies = self.log().count('"event": "ready"')
            if self._readies > known:
                return
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)

    def log(self) -> str:
        """What it has logged so far, all starts together."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def is_alive(self) -> bool:
        """Whether the process lives."""
        return self.process.poll() is None

    def kill(self) -> None:
        """As `kill -9` does it."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait(_STOP_SECONDS)

    def stop(self) -> int:
        """As an operator does it: SIGTERM; the exit code."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.is_alive:
            self.stop()
        if kind is not None:
            sys.stderr.write(self.log()[-4000:])


def data_of(record: bytes | str) -> Any:
    """What a record of `--json` tells, besides which record it is."""
    told: dict[str, Any] = json.loads(record)
    return {name: value for name, value in told.items() if name not in ("schema", "command")}


def pangea(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line."""
    return pangea_in(Path.cwd(), *arguments, **environment)


def pangea_in(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a folder."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("PANGEA_")} | environment
    if not is_like_here(given):
        return subprocess.run([PANGEA, *arguments], capture_output=True, timeout=_RUN_SECONDS, cwd=folder, env=given, check=False)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        process = nursery().start(arguments, given, stdout=out.fileno(), stderr=said.fileno(), folder=folder)
        try:
            code = process.wait(_RUN_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        said.seek(0)
        return subprocess.CompletedProcess(process.args, code, out.read(), said.read())
