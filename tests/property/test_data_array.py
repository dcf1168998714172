"""`Array` against NumPy: what either writes the other reads, and both say the same of it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pangea.compute.data import Array
from tests.property.drawn_data import DTYPES, PLAIN_DTYPES, SHAPES, arrays, npy

NUMBERS = PLAIN_DTYPES.filter(lambda dtype: dtype.kind in "biuf")


def plain(array: Any) -> str:
    """What NumPy makes of an array in plain Python, exactly: NaN and the sign of zero show."""
    return repr(unwrapped(array.tolist()))


def unwrapped(value: Any) -> Any:
    """`value` with lists where NumPy leaves arrays within records."""
    if isinstance(value, np.ndarray):
        return unwrapped(value.tolist())
    return type(value)(map(unwrapped, value)) if isinstance(value, list | tuple) else value


@given(arrays())
def test_what_numpy_writes_is_read_with_its_type_its_shape_and_its_values(array: Any) -> None:
    read = Array.from_npy(npy(array))
    assert read.dtype == np.lib.format.dtype_to_descr(array.dtype)
    assert (read.shape, read.ndim, read.size, read.nbytes) == (array.shape, array.ndim, array.size, array.nbytes)
    assert repr(read.tolist()) == plain(array)


@given(arrays())
def test_it_is_written_byte_for_byte_as_numpy_writes_it(array: Any) -> None:
    written = Array.from_npy(npy(array)).to_npy()
    assert written == npy(array if array.ndim == 0 else np.ascontiguousarray(array))
    loaded = np.load(io.BytesIO(written), allow_pickle=False)
    assert (loaded.dtype, loaded.shape, loaded.tobytes()) == (array.dtype, array.shape, array.tobytes())


@given(arrays())
def test_numpy_sees_the_same_array_through_its_interface(array: Any) -> None:
    seen = np.asarray(Array.from_npy(npy(array)))
    assert (seen.dtype, seen.shape, seen.tobytes()) == (array.dtype, array.shape, array.tobytes())
    again = Array.of(array)
    assert again.equals(Array.from_npy(npy(array)))


@given(arrays(), st.data())
def test_an_index_finds_what_it_finds_in_numpy(array: Any, data: st.DataObject) -> None:
    index = data.draw(npst.basic_indices(array.shape, allow_newaxis=False))
    found, expected = Array.from_npy(npy(array))[index], np.asarray(array[index])
    assert repr(found.tolist() if isinstance(found, Array) else found) == plain(expected)
    if isinstance(found, Array):
        assert found.shape == expected.shape
        assert found.to_npy() == npy(expected if expected.ndim == 0 else np.ascontiguousarray(expected))


@given(arrays(shapes=npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6)), st.data())
def test_an_index_of_an_index_is_that_of_numpy(array: Any, data: st.DataObject) -> None:
    first = data.draw(npst.basic_indices(array.shape, allow_newaxis=False).filter(lambda key: np.ndim(array[key]) > 0))
    inner = array[first]
    second = data.draw(npst.basic_indices(inner.shape, allow_newaxis=False))
    found = Array.from_npy(npy(array))[first][second]
    assert repr(found.tolist() if isinstance(found, Array) else found) == plain(np.asarray(inner[second]))


@given(arrays(shapes=npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=6)))
def test_its_first_axis_is_iterated_like_numpy_s(array: Any) -> None:
    read = Array.from_npy(npy(array))
    assert len(read) == len(array)
    assert repr(list(read.rows())) == plain(array)
    parts = [part.tolist() if isinstance(part, Array) else part for part in read]
    assert repr(parts) == plain(array)


@given(arrays(NUMBERS))
def test_its_data_are_numpy_s_numbers_in_c_order(array: Any) -> None:
    data = Array.from_npy(npy(array)).data
    assert repr(data.tolist()) == plain(array.ravel())
    assert len(data) == array.size


@given(arrays(npst.array_dtypes(PLAIN_DTYPES, max_size=4, allow_subarrays=True)))
def test_a_field_is_numpy_s(array: Any) -> None:
    read = Array.from_npy(npy(array))
    for name in array.dtype.names or ():
        assert read[name].shape == array[name].shape
        assert repr(read[name].tolist()) == plain(array[name])


@given(arrays())
def test_it_is_made_again_of_its_plain_values(array: Any) -> None:
    values = unwrapped(array.tolist())
    made = Array.of(values, dtype=np.lib.format.dtype_to_descr(array.dtype), shape=array.shape)
    assert made.shape == array.shape
    assert repr(made.tolist()) == repr(values)


@given(arrays(st.sampled_from([np.dtype(name) for name in ("?", "i8", "f8", "c16", "M8[us]", "m8[us]", "M8[D]")])))
def test_without_a_type_it_takes_numpy_s(array: Any) -> None:
    made = Array.of(array.tolist()) if array.size and "NaT" not in str(array) else Array.of(array)
    assert (made.dtype, made.shape) == (array.dtype.str, array.shape)
    assert repr(made.tolist()) == plain(array)


@given(st.lists(st.integers(-(2**63), 2**64 - 1), min_size=1), st.lists(st.text(max_size=5), min_size=1))
def test_whole_numbers_and_text_take_numpy_s_type(numbers: list[int], texts: list[str]) -> None:
    expected = np.array(numbers)
    if expected.dtype.kind in "iu":
        assert Array.of(numbers).to_npy() == npy(expected)
    assert Array.of(texts).to_npy() == npy(np.array(texts))


@given(st.lists(npst.arrays(np.float32, st.tuples(st.integers(0, 4), st.just(3))), min_size=1, max_size=4))
def test_arrays_one_after_the_other_are_numpy_s_concatenation(parts: list[Any]) -> None:
    files = b"".join(npy(part) for part in parts)
    assert [repr(array.tolist()) for array in Array.many(files)] == [plain(part) for part in parts]
    joined = Array.concat(Array.many(files))
    assert joined.to_npy() == npy(np.concatenate(parts))


@given(arrays(NUMBERS), SHAPES)
def test_it_takes_any_shape_that_holds_as_many_items(array: Any, shape: tuple[int, ...]) -> None:
    read = Array.from_npy(npy(array))
    if np.prod(shape, dtype=int) == array.size:
        assert read.reshape(shape).to_npy() == npy(np.ascontiguousarray(array).reshape(shape))
    else:
        with pytest.raises(ValueError, match="don't fit into shape"):
            read.reshape(shape)


@given(DTYPES)
def test_a_type_is_described_as_numpy_describes_it(dtype: Any) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    assert Array.of([], dtype=descr).dtype == descr
