"""Pictures of values and of runs, and the report: `visualize`, `run_picture`, `run_report`, `Picture`.

No job is started here, and no node asked. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Picture": "values.picture",
    "run_picture": "runs.pictures",
    "run_report": "runs.report",
    "visualize": "values.kinds",
}

if TYPE_CHECKING:
    from pangea.compute.pictures.runs.pictures import run_picture
    from pangea.compute.pictures.runs.report import run_report
    from pangea.compute.pictures.values.kinds import visualize
    from pangea.compute.pictures.values.picture import Picture

__all__ = ["Picture", "run_picture", "run_report", "visualize"]


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
