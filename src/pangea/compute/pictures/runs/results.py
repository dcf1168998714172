"""The picture of a job's result, also where nobody knows any more what the job was declared to return."""

from __future__ import annotations

from typing import Any, Final

from pangea.compute.client.results.result import Value
from pangea.compute.model.errors import PangeaError
from pangea.compute.pictures.values.options import Scale
from pangea.compute.pictures.values.picture import Picture

#: How files begin. Sources: NEP 1; Arrow's encapsulated message format (continuation marker).
_NPY: Final = b"\x93NUMPY"
_ARROW: Final = b"\xff\xff\xff\xff"
_JSON: Final = (b"{", b"[")


def result_picture(result: Any, *, scale: Scale | None = None) -> Picture:
    """Draw a result.

    Args:
        result: of a job.
        scale: of its amounts, as of `visualize`.

    Raises:
        PictureError: it has no picture, or one without such a scale.
        UnavailableError: a library is missing.
    """
    from pangea.compute.pictures.values.kinds import visualize

    return visualize(known(result), scale=scale)


def picture_or_why(result: Any) -> tuple[Picture | None, str]:
    """The picture of a result, or why there is none."""
    try:
        return result_picture(result), ""
    except PangeaError as error:
        return None, f"no picture: {error.message}"


def known(result: Any) -> Any:
    """A result, read as what its first bytes say if nothing was declared: by a job's id alone, a node doesn't know."""
    if not isinstance(result, Value) or result.kind != "bytes":
        return result
    try:
        if result.startswith(_NPY):
            return result.as_array()
        if result.startswith(_ARROW):
            return result.as_arrow()
        if result.lstrip()[:1] in _JSON:
            return result.as_json()
    except PangeaError:  # it only begins like one
        pass
    return result
