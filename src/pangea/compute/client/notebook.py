"""How jobs show themselves in notebooks: a table for a definition, a bar that moves for a job on a node."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pangea.compute.model.html import figures

if TYPE_CHECKING:
    from pangea.compute.client.handle import JobHandle
    from pangea.compute.client.job import JobDefinition


def definition_html(job: JobDefinition) -> str:
    """What a job is made of: its functions, its options, where it is defined."""
    from pangea.compute.client.sources import display_name

    functions = [(role, _described(function)) for role, function in job.functions.items()]
    options = ", ".join(f"{name}={value!r}" for name, value in job.defaults.items())
    merging = "neighbours may be merged early" if job.associative else ""
    place = f"{display_name(job.file)}:{job.line}" if job.file else ""
    return figures(
        f"job {job.name}", [*functions, ("merge is associative", merging), ("options", options), ("defined in", place)]
    )


def show_live(handle: JobHandle) -> None:
    """Show a job's progress in this cell, and keep it current until the job ends.

    Works in IPython's front ends; the cell doesn't wait for the job.
    """
    screen: Any = import_module("IPython.display")  # whoever calls this has it
    shown = screen.display(screen.HTML(handle.status()._repr_html_()), display_id=True)
    if shown is not None:  # outside of a notebook there is nothing to bring up to date
        handle.on_status(lambda status: shown.update(screen.HTML(status._repr_html_())))


def _described(function: Any) -> str:
    document = (getattr(function, "__doc__", None) or "").strip().partition("\n")[0]
    name = getattr(function, "__name__", type(function).__name__)
    return f"{name}: {document}" if document else name
