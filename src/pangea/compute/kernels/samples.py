"""Sample arguments of a kernel, from a seed and its types: ordinary numbers, numbers at the edges, of many lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pangea.compute.model.errors import JobDefinitionError
from pangea.compute.model.libraries import need
from pangea.compute.model.limits import shown
from pangea.compute.model.signatures import KernelSignature, KernelType

_SEED = 20_261_129
_LENGTHS = (0, 1, 2, 3, 8, 17, 64, 257)
#: Of an array with several axes: each as long, so that a matrix fits a vector.
_SIDE_MAX = 33
_FLOAT_EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, float("nan"), float("inf"), float("-inf"))
#: Numbers small enough to be a count or an index, which most integers of a kernel are.
_SMALL_MAX = 40
_NUMBERS_COUNT = 16
#: How many of mixed numbers are at the edges.
_EDGES_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Sample:
    """Arguments of one call.

    Attributes:
        name: what they are, for messages.
        arguments: of the kernel: arrays, and NumPy's numbers.
    """

    name: str
    arguments: tuple[Any, ...]


def samples(signature: KernelSignature, own: Sequence[Any] = ()) -> list[Sample]:
    """The samples that a kernel of this signature is checked with: the author's own, then ours.

    Raises:
        JobDefinitionError: one of the author's isn't of the signature's types.
        UnavailableError: NumPy isn't installed.
    """
    numpy = need("numpy", "a kernel's sample data")
    draw = numpy.random.default_rng(_SEED)
    found = [Sample(f"samples[{index}]", _own(numpy, each, signature, index)) for index, each in enumerate(own)]
    for length in _LENGTHS:
        for kind in ("ordinary", "small", "mixed", "edge"):
            found.append(_sample(numpy, draw, signature, kind, [length] * len(signature.takes)))
    for _ in range(_NUMBERS_COUNT if any(not each.dimensions for each in signature.takes) else 1):
        found.append(_sample(numpy, draw, signature, "edge", [3] * len(signature.takes)))
    if len(signature.takes) > 1:
        found.append(_sample(numpy, draw, signature, "ordinary", list(range(2, 2 + len(signature.takes)))))
    return found


def _own(numpy: Any, given: Any, signature: KernelSignature, index: int) -> tuple[Any, ...]:
    values = given if isinstance(given, tuple) else (given,)
    made = tuple(_converted(numpy, value, type_) for value, type_ in zip(values, signature.takes, strict=False))
    if len(values) != len(signature.takes) or any(each is None for each in made):
        raise JobDefinitionError(
            f"samples[{index}] is {shown(given)}; it must be a tuple of {', '.join(map(str, signature.takes))}", option="samples"
        )
    return made


def _converted(numpy: Any, value: Any, type_: KernelType) -> Any:
    made = numpy.ascontiguousarray(value, type_.descr) if type_.dimensions else numpy.dtype(type_.descr).type(value)
    return (
        made if numpy.ndim(value) == type_.dimensions and numpy.array_equal(made, value, equal_nan=type_.item[0] == "f") else None
    )


def _sample(numpy: Any, draw: Any, signature: KernelSignature, kind: str, lengths: Sequence[int]) -> Sample:
    arguments = tuple(
        _array(numpy, draw, type_, kind, length) if type_.dimensions else _items(numpy, draw, type_, kind, 1)[0]
        for type_, length in zip(signature.takes, lengths, strict=True)
    )
    sizes = "different lengths" if len(set(lengths)) > 1 else f"length {lengths[0]}"
    numbers = ", ".join(str(each) for each, type_ in zip(arguments, signature.takes, strict=True) if not type_.dimensions)
    named = f"{kind} numbers" + (f", arrays of {sizes}" if any(each.dimensions for each in signature.takes) else "")
    return Sample(f"{named}{f'; {numbers}' if numbers else ''}", arguments)


def _array(numpy: Any, draw: Any, type_: KernelType, kind: str, length: int) -> Any:
    shape = (length,) if type_.dimensions == 1 else (min(length, _SIDE_MAX if type_.dimensions == 2 else 5),) * type_.dimensions
    return _items(numpy, draw, type_, kind, int(numpy.prod(shape))).reshape(shape)


def _items(numpy: Any, draw: Any, type_: KernelType, kind: str, count: int) -> Any:
    """So many numbers, as an array with one axis."""
    dtype = numpy.dtype(type_.descr)
    if kind == "mixed":
        pair = [_items(numpy, draw, type_, each, count) for each in ("edge", "ordinary")]
        return numpy.where(draw.random(count) < _EDGES_SHARE, *pair)
    if type_.item == "bool":
        return draw.integers(0, 2, count).astype(dtype)
    if type_.item.startswith("float"):
        return _floats(numpy, draw, dtype, kind, count)
    info = numpy.iinfo(dtype)
    if kind == "small" or (count == 1 and kind == "ordinary"):
        return draw.integers(0, _SMALL_MAX + 1, count, dtype)
    if kind == "ordinary":
        return draw.integers(info.min, info.max, count, dtype, endpoint=True)
    edges = numpy.array(sorted({info.min, info.min + 1, max(info.min, -1), 0, 1, 2, info.max - 1, info.max}), dtype)
    return draw.choice(edges, count)


def _floats(numpy: Any, draw: Any, dtype: Any, kind: str, count: int) -> Any:
    if kind == "ordinary":
        return (draw.normal(size=count) * 10.0 ** draw.integers(-3, 4, count)).astype(dtype)
    if kind == "small":
        return draw.random(count).astype(dtype)
    info = numpy.finfo(dtype)
    extremes = [info.smallest_subnormal, -info.smallest_subnormal, info.tiny, info.max, info.min, info.eps]
    return draw.choice(numpy.array([*_FLOAT_EDGES, *extremes, float(2**53), -1e-3], dtype), count)
