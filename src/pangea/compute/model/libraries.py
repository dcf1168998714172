"""Libraries that only data and pictures need: loaded when they are used, and missed in words."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pangea.compute.model.errors import UnavailableError

#: Modules that are called otherwise where they are installed from.
_PACKAGES = {"PIL": "pillow", "vl_convert": "vl-convert-python"}


def need(module: str, purpose: str) -> Any:
    """Load a library.

    Args:
        module: its name, such as `pyarrow.csv`.
        purpose: what needs it, for the message: "reading .csv".

    Raises:
        UnavailableError: it isn't installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise _missing(module, purpose) from error


def look_for(module: str, purpose: str) -> None:
    """See that a library is installed, without loading it.

    Raises:
        UnavailableError: it isn't.
    """
    if find_spec(module) is None:
        raise _missing(module, purpose)


def _missing(module: str, purpose: str) -> UnavailableError:
    name = module.partition(".")[0]
    library = _PACKAGES.get(name, name)
    return UnavailableError(
        f"{purpose} needs {library}, which isn't installed", hint="pip install 'pangea-compute[data]'", library=library
    )
