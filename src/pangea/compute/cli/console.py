"""What the command line says, all of it on stderr: progress, reports and errors. Results alone go to stdout."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any, Self

from pangea.compute.client.results.progress_bar import ProgressBar, is_wanted
from pangea.compute.model.errors import JobDefinitionWarning, JobFailedError, PangeaError
from pangea.compute.model.plain_text import plain

if TYPE_CHECKING:
    from pangea.compute.model.progress import Progress

#: Without a terminal, a line about progress at most this often.
_LINE_SECONDS = 5.0


class QuietInterrupt(KeyboardInterrupt):
    """An interrupt that is how the command is meant to end: nothing is said of it."""


def say(text: str) -> None:
    """Print a line on stderr; a stderr that is closed or full is nobody's loss."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(plain(text), file=sys.stderr, flush=True)  # noqa: T201


def show_warnings() -> None:
    """From now on, print a warning about the job or its input as a line of ours: no line of the user's has called us.

    Others, of the user's own code, keep their form: it names the line.
    """
    others = warnings.showwarning

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: str | None = None
    ) -> None:
        if issubclass(category, JobDefinitionWarning) or filename == sys.argv[0]:
            say(f"warning: {message}")
        else:
            others(message, category, filename, lineno, file, line)

    warnings.showwarning = show


def show_error(error: PangeaError) -> None:
    """Print an error with its code, cause and hint."""
    if trace := traceback_of(error):
        say(trace.rstrip("\n"))
    say(f"error {error.code}: {error.message}")
    cause = error.__cause__
    if cause is not None and not isinstance(cause, OSError | SyntaxError) and str(cause) not in error.message:
        say(f"  cause: {cause}")
    if error.hint:
        say(f"  hint: {error.hint}")


def traceback_of(error: PangeaError) -> str:
    """What the guest said of where it failed, or ""."""
    if isinstance(error, JobFailedError):
        return error.traceback
    return str(error.details.get("traceback", ""))


class ProgressDisplay:
    """A bar on a terminal, single lines otherwise, nothing when `quiet`."""

    def __init__(self, *, quiet: bool) -> None:
        """Show progress on stderr, unless `quiet`."""
        self._quiet = quiet
        self._bar = ProgressBar() if not quiet and is_wanted() else None
        self._said_at = time.monotonic()
        self._phase = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, progress: Progress) -> None:
        """Show `progress`."""
        if self._bar is not None:
            self._bar.update(progress)
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
