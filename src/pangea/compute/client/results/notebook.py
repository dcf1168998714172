"""A job on a node in a notebook: a bar that moves."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from pangea.compute.model.status import JobStatus


def show_live(status: JobStatus, follow: Callable[[Callable[[JobStatus], None]], object]) -> None:
    """Show a job's progress in this cell, and keep it current until the job ends.

    Works in IPython's front ends; the cell doesn't wait for the job.

    Args:
        status: how it stands now.
        follow: has what it is given called at each change.
    """
    screen: Any = import_module("IPython.display")  # whoever calls this has it
    shown = screen.display(screen.HTML(status._repr_html_()), display_id=True)
    if shown is not None:  # outside of a notebook there is nothing to bring up to date
        follow(lambda status: shown.update(screen.HTML(status._repr_html_())))
