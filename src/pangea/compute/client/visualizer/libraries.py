"""Libraries that only pictures need: loaded when the first picture is drawn, and missed in words."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pangea.compute.model.errors import UnavailableError


def need(module: str) -> Any:
    """Load a library that draws.

    Raises:
        UnavailableError: it isn't installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise UnavailableError(
            f"pictures need {library}, which isn't installed", hint="pip install 'pangea-compute[data]'", library=library
        ) from error
