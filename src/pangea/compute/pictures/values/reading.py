"""What a value is: arrays, JSON, images, graphs and models become the shapes that pictures are drawn of."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from PIL import Image

from pangea.compute.client.results.result import Value
from pangea.compute.model.errors import PictureError
from pangea.compute.pictures.values import frames, models
from pangea.compute.pictures.values.shapes import Grid, Numbers, Pixels, Series, Stack
from pangea.compute.pictures.values.turning import Shape
from pangea.compute.pictures.values.wording import described, shown

#: The first bytes of a PNG file. Source: PNG (third edition), section 5.2.
PNG: Final = b"\x89PNG\r\n\x1a\n"
#: Dots of an image: larger ones are refused before they are unpacked, as a small file can hold a very large one.
DOTS_MAX: Final = 100_000_000

_DECLARE = "declare what the job gives, as in @Job.execute(output='array'), or make numbers of them: numpy.frombuffer(data, 'u1')"
_COUNT = "count something in it: visualize(collections.Counter(text.split()))"


def read(value: Any) -> Shape:
    """What `value` is to a picture.

    Raises:
        PictureError: it has no picture; says what it is and what can be done.
    """
    value = _unwrapped(value)
    for reader in _READERS:
        shape = reader(value)
        if shape is not None:
            return shape
    raise PictureError(f"there is no picture of {described(value)}", hint=_remedy(value))


def of_array(array: Any) -> Shape:
    """What an array is, by its type and shape.

    Raises:
        PictureError: it is empty, or isn't of numbers, or has too many dimensions.
    """
    array = np.ma.filled(array.astype(float), np.nan) if isinstance(array, np.ma.MaskedArray) else array
    if array.dtype.names:
        return frames.of_columns({name: np.ascontiguousarray(array[name].ravel()) for name in array.dtype.names})
    if array.size == 0:
        raise PictureError(f"{described(array)} has no values, so there is nothing to show")
    if array.dtype == np.uint8 and _is_image(array.shape):
        return Pixels(array)
    numbers = _floats(array)
    if array.ndim == 2:
        return Series(numbers.ravel()) if 1 in array.shape else Grid(numbers)
    if array.ndim == 3 and array.shape[2] in (3, 4) and array.shape[0] > 4:
        return Pixels(_as_dots(array, numbers))
    if array.ndim == 3:
        return Stack(array if array.dtype == np.uint8 else numbers)
    if array.ndim == 4 and array.shape[3] in (3, 4):
        return Stack(_as_dots(array, numbers))
    if array.ndim == 1:
        return Series(numbers)
    hint = "pictures are drawn of 1 to 3 dimensions: take a part, as in array[0]"
    raise PictureError(
        f"there is no picture of {described(array)}", hint=hint if array.ndim else f"one number says most as it is: {array}"
    )


def of_image(image: Image.Image) -> Pixels | Grid:
    """The dots of a PIL image; a Grid if it has more than 8 bits a channel.

    Raises:
        PictureError: it is too large, or broken.
    """
    if image.width * image.height > DOTS_MAX:
        raise PictureError(
            f"an image of {image.width:,} x {image.height:,} dots is too large to show: at most {DOTS_MAX:,} dots",
            hint="make it smaller first, as with image.thumbnail((2000, 2000))",
        )
    try:
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            return Grid(np.asarray(image, dtype=np.float64))
        transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        mode = "L" if image.mode in ("1", "L") else "RGBA" if transparent else "RGB"
        return Pixels(np.asarray(image.convert(mode)))
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError("the image is broken, or cut off", hint="make it again, or check what wrote it") from error


def _unwrapped(value: Any) -> Any:
    """A result's value as its job declares it; the arrays and tables that jobs see, as those of the host."""
    if isinstance(value, Value):
        return value.as_arrow() if value.kind == "table" else value.value
    if type(value).__module__.startswith("pangea.compute.data."):
        if hasattr(value, "to_npy"):
            return np.load(io.BytesIO(value.to_npy()), allow_pickle=False)
        if hasattr(value, "to_arrow"):
            return frames.of_stream(value.to_arrow())
    return value


def _shape(value: Any) -> Any:
    return value if isinstance(value, Series | Grid | frames.Table) else None


def _image(value: Any) -> Shape | None:
    if isinstance(value, Image.Image):
        return of_image(value)
    if not isinstance(value, bytes | bytearray | memoryview) or bytes(value[:8]) != PNG:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `of_image` has a limit, and words for it
            return of_image(Image.open(io.BytesIO(value), formats=["PNG"]))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError("the PNG is broken, cut off, or too large", hint="make it again, or check what wrote it") from error


def _array(value: Any) -> Shape | None:
    if isinstance(value, np.ndarray):
        return of_array(value)
    scalar = isinstance(value, bytes | str | np.generic | type)
    return of_array(np.asarray(value)) if hasattr(value, "__array__") and not scalar else None


def _mapping(value: Any) -> Shape | None:
    if not isinstance(value, Mapping) or not value:
        return None
    values = list(value.values())
    if all(isinstance(each, Mapping) for each in values):
        return frames.of_rows([{"name": str(name), **each} for name, each in value.items()])
    if all(_is_number(each) for each in values):
        numeric = all(_is_number(name) for name in value)
        return frames.of_columns({"name": list(value) if numeric else [str(name) for name in value], "value": _listed(values)})
    if all(isinstance(each, Sequence | np.ndarray) and not isinstance(each, str | bytes) for each in values):
        return frames.of_columns(value)
    return None


def _sequence(value: Any) -> Shape | None:
    if not isinstance(value, list | tuple) or not value:
        return None
    if all(_is_number(each) for each in value):
        return of_array(np.array(_listed(value)))
    if all(isinstance(each, Mapping) for each in value):
        return frames.of_rows(list(value))
    if all(
        isinstance(each, list | tuple) and len(each) == 2 and isinstance(each[0], str) and _is_number(each[1]) for each in value
    ):
        return frames.of_columns({"name": [name for name, _ in value], "value": _listed([number for _, number in value])})
    if all(isinstance(each, Image.Image) or (isinstance(each, bytes) and each[:8] == PNG) for each in value):
        return _stack([read(each) for each in value])
    if all(isinstance(each, list | tuple | np.ndarray) for each in value):
        return _nested(value)
    return None


def _nested(value: Sequence[Any]) -> Shape:
    try:
        array = np.array([[np.nan if each is None else each for each in row] if isinstance(row, list) else row for row in value])
    except ValueError as error:
        lengths = sorted({len(row) for row in value if hasattr(row, "__len__")})
        raise PictureError(
            f"{described(value)} is ragged: its rows have {', '.join(map(str, lengths[:6]))} values",
            hint="make all rows of one length",
        ) from error
    return of_array(array)


def _stack(shapes: list[Any]) -> Shape:
    sizes = {shape.values.shape for shape in shapes}
    if len(sizes) > 1:
        each = ", ".join(" x ".join(map(str, size)) for size in sorted(sizes)[:4])
        raise PictureError(f"images of different sizes: {each}", hint="make them of one size, as with image.resize((64, 64))")
    return Stack(np.stack([shape.values for shape in shapes]))


def _network(value: Any) -> Shape | None:
    if type(value).__module__.startswith("networkx.") or (hasattr(value, "nodes") and hasattr(value, "is_directed")):
        return models.of_graph(value)
    found = models.of_node_link(value) if isinstance(value, Mapping) else None
    return found if found is not None else models.of_links(value)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return number or value is None


def _listed(values: Sequence[Any]) -> list[float]:
    try:
        return [np.nan if each is None else float(each) if abs(each) > 2**62 else each for each in values]
    except OverflowError as error:
        raise PictureError("a number is too large to be shown", hint="take logarithms: math.log10(number)") from error


def _is_image(shape: tuple[int, ...]) -> bool:
    return (len(shape) == 2 and min(shape) > 1) or (len(shape) == 3 and shape[2] in (3, 4))


def _floats(array: Any) -> Numbers:
    if array.dtype.kind not in "biuf":
        kind = {"c": "take abs(array) or array.real", "O": "make numbers of it: array.astype(float)"}.get(array.dtype.kind, "")
        dates = "give it as a column beside numbers: visualize({'when': dates, 'value': numbers})"
        hint = kind or (dates if array.dtype.kind in "mM" else _COUNT)
        raise PictureError(f"there is no picture of {described(array)}: pictures are drawn of numbers", hint=hint)
    return np.ascontiguousarray(array, dtype=np.float64)


def _as_dots(array: Any, numbers: Numbers) -> Any:
    """Colours given as numbers: 0 to 1, or else 0 to 255."""
    whole = array.dtype.kind in "iu" or np.nanmax(numbers, initial=0.0) > 1.0
    return np.clip(np.nan_to_num(numbers * (1.0 if whole else 255.0)), 0.0, 255.0).round().astype(np.uint8)


def _remedy(value: Any) -> str:
    if value is None:
        return "there is nothing to show; does the job return its result?"
    if isinstance(value, bytes | bytearray | memoryview):
        return _DECLARE
    if isinstance(value, str):
        return _COUNT
    if isinstance(value, list | tuple) and value and isinstance(value[0], str):
        return "count them: visualize(collections.Counter(value))"
    if isinstance(value, bool | int | float | complex):
        return f"one number says most as it is: {shown(value, 30)}"
    return "give numbers: an array, a table, a dict of numbers, an image, a networkx graph or a model; see docs/visualizer.md"


_READERS: Final[tuple[Callable[[Any], Shape | None], ...]] = (
    _shape, _image, _network, models.of_model, frames.of_native, _array, _mapping, _sequence,
)  # fmt: skip
