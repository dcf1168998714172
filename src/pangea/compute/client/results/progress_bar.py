"""A bar on the terminal for a job that takes longer than a second; none elsewhere, and none without `rich`."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from pangea.compute.model.plain_text import plain

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_AFTER_SECONDS = 1.0


class ProgressSource(Protocol):
    """What is told of a run."""

    @property
    def phase(self) -> str:
        """In words."""

    @property
    def chunks(self) -> int:
        """Done."""

    @property
    def bytes_done(self) -> int:
        """Of the input."""

    @property
    def bytes_total(self) -> int:
        """Of the input; 0 while nobody knows."""


def is_wanted() -> bool:
    """Whether standard error is a terminal that can show one."""
    return sys.stderr is not None and sys.stderr.isatty() and find_spec("rich") is not None


class ProgressBar:
    """A bar that appears after a second, or at once when something is compiled."""

    def __init__(self) -> None:
        """Count from now."""
        self._begun = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def update(self, progress: ProgressSource) -> None:
        """Show `progress`."""
        if self._bar is None:
            if time.monotonic() - self._begun < _AFTER_SECONDS and not progress.phase.startswith("compiling"):
                return
            self._bar = _new_bar()
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
        assert self._task is not None
        total = progress.bytes_total or None
        text = f"{progress.phase}, {progress.chunks:,} chunks" if progress.chunks else progress.phase
        self._bar.update(self._task, description=plain(text), total=total, completed=progress.bytes_done)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


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
