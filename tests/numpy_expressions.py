"""Random expressions of NumPy, from a seed: of what is exact in binary arithmetic, so that any two machines agree to the bit."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np

_KINDS = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
_BINARY = ("+", "-", "*", "/", "//", "%", "&", "|", "^", "<<", ">>", "<", "<=", "==", "!=")
_FUNCTIONS = (
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "logical_and",
    "logical_xor",
    "gcd",
    "floor_divide",
    "remainder",
    "fmod",
)
_UNARY = (
    """
-{}|~{}|abs({})|np.sqrt(abs({}))|np.floor({})|np.ceil({})|np.rint({})|np.sign({})|np.isnan({})|np.square({})
np.reciprocal({} + 1.0)|{}.T|{}.ravel()|{}[::-1]|{}[..., :2]|{}.copy(order='F')|np.sort({}, axis=-1, kind='stable')
np.argsort({}, axis=-1, kind='stable')|np.cumsum({})|np.cumsum({}, axis=0)|{}.sum()|{}.sum(axis=0)|{}.prod(axis=-1)
{}.min()|{}.max(axis=0)|{}.argmax()|{}.argmin(axis=-1)|{}.any()|{}.all(axis=0)|np.count_nonzero({}, axis=0)
np.nonzero({})[0]|np.unique({})|np.flip({}, 0)|np.roll({}, 2)|np.diff({}, axis=0)|np.clip({}, 1, 5)
np.repeat({}, 2, axis=0)|np.tile({}, 2)|np.atleast_2d({})|np.median({})|{}.astype('f8')|{}.astype('?')
np.mean({}, axis=0)|np.ptp({})|np.trim_zeros({}.ravel())|np.flatnonzero({})|np.maximum.accumulate({})
np.add.reduce({})|np.triu(np.atleast_2d({}))|np.float64({}.size)|np.array({}.shape)
np.swapaxes(np.atleast_2d({}), 0, 1)|np.pad({}, 1)|np.digitize({}, [0, 2, 4])
np.bincount(({}.ravel() != 0).astype('i8'))
""".strip()
    .replace("\n", "|")
    .split("|")
)
_SHAPES = ((), (1,), (4,), (3, 4), (1, 4), (3, 1), (2, 3, 4), (0,), (37,))


def expressions(seed: int, count: int) -> list[str]:
    """So many of them."""
    chance = random.Random(seed)
    return [_expression(chance, chance.randint(1, 4)) for _ in range(count)]


def _expression(chance: random.Random, depth: int) -> str:
    if depth == 0:
        return f"array({chance.randrange(1000)}, {chance.choice(_KINDS)!r}, {chance.choice(_SHAPES)})"
    which = chance.random()
    inner = _expression(chance, depth - 1)
    if which < 0.45:
        return chance.choice(_UNARY).format(f"({inner})")
    other = (
        _expression(chance, chance.randrange(depth)) if chance.random() < 0.7 else str(chance.choice([0, 1, 3, 2.5, -2, True]))
    )
    if which < 0.6:
        return f"np.{chance.choice(_FUNCTIONS)}({inner}, {other})"
    if which < 0.65:
        return f"np.where({inner}, {other}, 1)"
    return f"({inner} {chance.choice(_BINARY)} {other})"


def array(seed: int, kind: str, shape: tuple[int, ...]) -> Any:
    """A small array of small numbers, with zeros, and in floats with infinities and NaNs."""
    chance = random.Random(seed)
    size = int(np.prod(shape, dtype=int))
    low = 0 if kind[0] in "?u" else -5
    numbers: list[Any] = [chance.randint(low, 5) for _ in range(size)]
    if kind[0] == "f":
        numbers = [chance.choice([number / 4, number, number, float("inf"), float("nan"), -0.0]) for number in numbers]
    return np.array(numbers, kind).reshape(shape)


def outcome(text: str) -> list[Any]:
    """What an expression gives: its warnings, and type, shape and bytes, or the error's type."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(under="ignore"):
        warnings.simplefilter("always")
        try:
            value = np.asarray(eval(text, {"np": np, "array": array}))
        except Exception as error:
            return [type(error).__name__]
        if value.dtype.kind == "f":
            value = np.where(np.isnan(value), np.array(np.nan, value.dtype), value)  # its sign and payload aren't kept
    return [sorted({str(each.message) for each in caught}), value.dtype.str, list(value.shape), value.tobytes().hex()]
