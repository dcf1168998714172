"""Calls of NumPy of all its public parts (`numpy_calls.txt`), and what each gives: value, warnings, or an error with its text."""

from __future__ import annotations

import copy
import datetime
import decimal
import fractions
import functools
import io
import math
import operator
import pickle
import re
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.char
import numpy.lib.recfunctions as rfn
import numpy.rec

_MODULES = (copy, datetime, decimal, fractions, io, math, operator, pickle, warnings)
_ADDRESS = re.compile("0x[0-9a-f]+")
#: What the calls use, made anew for each.
_VALUES = """
i = np.arange(12).reshape(3, 4)
v = np.array([3, 1, 2, 5, 4, 1])
f = np.array([[1.5, -2.0, 0.25], [4.0, np.nan, 1.0], [0.5, 7.0, -1.0]])
q = np.array([[4., 1., 2.], [1., 5., 3.], [2., 3., 6.]])
h = np.linspace(-1, 2, 7)
c = np.array([1+2j, -1j, 3.5, 2-1j])
b = np.array([True, False, True, True, False, True])
u = np.array([250, 3, 128], 'u1')
e = np.array([0.5, 65504, -1], 'f2')
s0 = np.array(7)
st = np.array(['abc', 'Xyz', '', ' pad ', '12'])
sb = np.array([b'abc', b'Xyz', b'', b' pad ', b'12'])
vs = np.array(['abc', 'a longer string here, heap', ''], dtype=np.dtypes.StringDType())
d = np.array(['2024-02-29', '1969-12-31', 'NaT'], 'M8[D]')
t = np.array([3, -5, 100], 'm8[h]')
rec = np.array([(1, 2.5, 'a'), (3, -1.0, 'bb')], dtype=[('x', 'i4'), ('y', 'f8'), ('n', 'U3')])
o = np.array([1, 'a', None, 2.5], dtype=object)
m = np.ma.array([1.0, 2.0, 3.0, 4.0], mask=[0, 1, 0, 0])
mi = np.ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]])
p1 = P.Polynomial([1, -3, 2])
"""


def calls() -> list[str]:
    """All of them: an expression each, or statements after `exec:` that set `r`."""
    return Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()


@functools.cache
def _prepared() -> types.CodeType:
    return compile(_VALUES, "values", "exec")


def outcome(text: str) -> list[Any]:
    """What a call gives, as JSON has it."""
    names: dict[str, Any] = {"np": np, "P": np.polynomial, "rfn": rfn} | {each.__name__: each for each in _MODULES}
    with np.errstate(under="ignore"), np.printoptions(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(_prepared(), names)
        try:
            if text.startswith("exec:"):
                exec(text.removeprefix("exec:").replace("\\n", "\n"), names)
            made = _described(names["r"] if text.startswith("exec:") else eval(text, names))
        except Exception as error:
            made = [type(error).__name__, _shown(error)]
    return [made, [[each.category.__name__, _shown(each.message)] for each in caught]]


def _described(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        data = array.tolist() if array.dtype.hasobject else _one_nan(array).tobytes().hex()
        return [type(value).__name__, str(array.dtype.descr), list(array.shape), _shown(data), _shown(repr(value))]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(_described, value)]
    if isinstance(value, dict):
        return ["dict", *[[_shown(key), _described(each)] for key, each in value.items()]]
    return [type(value).__name__, _shown(value.hex() if isinstance(value, bytes) else repr(value))]


def _one_nan(array: Any) -> Any:
    """Signs and payloads of NaNs aren't kept in the sandbox."""
    if array.dtype.kind == "c":
        parts = np.ascontiguousarray(array).view(array.real.dtype).copy()
        parts[np.isnan(parts)] = np.nan
        return parts
    return np.where(np.isnan(array), np.array(np.nan, array.dtype), array) if array.dtype.kind == "f" else array


def _shown(value: Any) -> str:
    return _ADDRESS.sub("0x", str(value))
