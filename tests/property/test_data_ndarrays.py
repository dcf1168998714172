"""Arrays against NumPy's own reading and writing: the same bytes, types, shapes and values."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pangea.compute.data.ndarrays import array_of, from_npy, many_npy, npy_of
from tests.property.drawn_data import DTYPES, arrays, npy


def plain(array: Any) -> str:
    """What NumPy makes of an array in plain Python, exactly: NaN and the sign of zero show."""
    return repr(unwrapped(array.tolist()))


def unwrapped(value: Any) -> Any:
    """`value` with lists where NumPy leaves arrays within records."""
    if isinstance(value, np.ndarray):
        return unwrapped(value.tolist())
    return type(value)(map(unwrapped, value)) if isinstance(value, list | tuple) else value


@given(arrays())
def test_what_numpy_writes_is_read_as_it_was(array: Any) -> None:
    read = from_npy(npy(array))
    assert (read.dtype, read.shape, read.tobytes()) == (array.dtype, array.shape, array.tobytes())


@given(arrays())
def test_it_is_written_byte_for_byte_as_numpy_writes_it(array: Any) -> None:
    written = npy_of(array)
    assert written == npy(array if array.ndim == 0 else np.ascontiguousarray(array))
    loaded = np.load(io.BytesIO(written), allow_pickle=False)
    assert (loaded.dtype, loaded.shape, loaded.tobytes()) == (array.dtype, array.shape, array.tobytes())


@given(arrays())
def test_it_is_made_again_of_its_plain_values(array: Any) -> None:
    values = unwrapped(array.tolist())
    made = array_of(values, np.lib.format.dtype_to_descr(array.dtype))
    assert repr(unwrapped(made.reshape(array.shape).tolist())) == repr(values)


@given(arrays(st.sampled_from([np.dtype(name) for name in ("?", "i8", "f8", "c16", "M8[us]", "m8[us]", "M8[D]")])))
def test_without_a_type_it_takes_numpy_s(array: Any) -> None:
    made = array_of(array.tolist()) if array.size and "NaT" not in str(array) else array_of(array)
    assert (made.dtype, made.shape) == (array.dtype.str, array.shape)
    assert repr(made.tolist()) == plain(array)


@given(st.lists(st.integers(-(2**63), 2**64 - 1), min_size=1), st.lists(st.text(max_size=5), min_size=1))
def test_whole_numbers_and_text_take_numpy_s_type(numbers: list[int], texts: list[str]) -> None:
    expected = np.array(numbers)
    if expected.dtype.kind in "iu":
        assert npy_of(array_of(numbers)) == npy(expected)
    assert npy_of(array_of(texts)) == npy(np.array(texts))


@given(st.lists(npst.arrays(np.float32, st.tuples(st.integers(0, 4), st.just(3))), min_size=1, max_size=4))
def test_files_one_after_the_other_are_all_read(parts: list[Any]) -> None:
    read = many_npy(b"".join(npy(part) for part in parts))
    assert [plain(array) for array in read] == [plain(part) for part in parts]


@given(DTYPES)
def test_a_type_is_described_as_numpy_describes_it(dtype: Any) -> None:
    assert array_of([], np.lib.format.dtype_to_descr(dtype)).dtype == dtype
