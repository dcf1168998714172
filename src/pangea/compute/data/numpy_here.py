"""NumPy, where it is wanted: in every sandbox, and outside where it is installed."""

from __future__ import annotations

from typing import Any

from pangea.compute.data.errors import DataError


def numpy(what: str) -> Any:
    """The library.

    Raises:
        DataError: it isn't installed, and `what` needs it.
    """
    try:
        import numpy as found
    except ImportError as exc:
        raise DataError(
            f"{what} needs NumPy, which isn't installed here: pip install 'pangea-compute[data]'; in a sandbox it is always there"
        ) from exc
    return found
