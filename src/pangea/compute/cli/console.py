"""What the command line says, all of it on stderr: progress, reports and errors. Results alone go to stdout."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from pangea.compute.model.errors import JobFailedError, PangeaError

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from pangea.compute.client.run import Progress

#: Without a terminal, a line about progress at most this often.
_LINE_SECONDS = 5.0
#: Control characters but newline and tab: what a job prints must not steer the user's terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """`text` with its control characters shown as escapes."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def say(text: str) -> None:
    """Print a line on stderr; a closed stderr is nobody's loss."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        print(plain(text), file=sys.stderr, flush=True)  # noqa: T201


def show_error(error: PangeaError, *, as_json: bool) -> None:
    """Print an error with its code, cause and hint, or as one JSON object."""
    if as_json:
        say(json.dumps({"error": {**error.to_json(), "traceback": _traceback_of(error)}}))
        return
    if trace := _traceback_of(error):
        say(trace.rstrip("\n"))
    say(f"error {error.code}: {error.message}")
    cause = error.__cause__
    if cause is not None and not isinstance(cause, OSError | SyntaxError) and str(cause) not in error.message:
        say(f"  cause: {cause}")
    if error.hint:
        say(f"  hint: {error.hint}")


def _traceback_of(error: PangeaError) -> str:
    if isinstance(error, JobFailedError):
        return error.traceback
    return str(error.details.get("traceback", ""))


class ProgressDisplay:
    """A bar on a terminal, single lines otherwise, nothing when `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        """Show progress on stderr, unless `quiet`."""
        self._quiet = quiet
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._said_at = time.monotonic()
        self._phase = ""

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            self._bar = _new_bar()
            self._bar.start()
            self._task = self._bar.add_task("starting", total=None)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, progress: Progress) -> None:
        """Show `progress`."""
        if self._bar is not None and self._task is not None:
            total = progress.bytes_total or None
            text = f"{progress.phase}, {progress.chunks:,} chunks" if progress.chunks else progress.phase
            self._bar.update(self._task, description=plain(text), total=total, completed=progress.bytes_done)
        elif not self._quiet:
            self._line(progress)

    def _line(self, progress: Progress) -> None:
        is_news = progress.phase != self._phase and progress.phase.startswith("compiling")
        if not is_news and time.monotonic() - self._said_at < _LINE_SECONDS:
            return
        self._phase, self._said_at = progress.phase, time.monotonic()
        share = f", {100 * progress.bytes_done / progress.bytes_total:.0f} %" if progress.bytes_total else ""
        chunks = f", {progress.chunks:,} chunks" if progress.chunks else ""
        say(f"{progress.phase} ..." if is_news else f"{progress.phase}{share}{chunks}")


def _new_bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    return RichProgress(*columns, console=Console(stderr=True), transient=True)
