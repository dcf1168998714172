"""Libraries that only data needs: loaded when they are used, and missed in words."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pangea.compute.model.errors import InputError

_INSTALL = "pip install 'pangea-compute[data]'"


def need(module: str, purpose: str) -> Any:
    """Load a library.

    Args:
        module: its name, such as `pyarrow.csv`.
        purpose: what needs it, for the message: "reading .csv".

    Raises:
        InputError: it isn't installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise InputError(f"{purpose} needs {library}: {_INSTALL}", hint=_INSTALL, library=library) from error
